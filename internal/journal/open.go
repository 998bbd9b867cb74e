package journal

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
)

const fileName = "journal.db"

// Open opens the journal in o.Dir, creating it if there is none, and claims the
// directory for this process: ErrInUse if another has it, ErrCorrupt if the
// files are damaged, ErrNewer if a later version wrote them. The time it takes
// doesn't depend on how much the journal holds.
func Open(ctx context.Context, o Options) (*Journal, error) {
	o = o.withDefaults()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return open(ctx, o, false)
}

// OpenReadOnly opens the journal of a service that is stopped, for reading.
func OpenReadOnly(ctx context.Context, o Options) (*Journal, error) {
	o = o.withDefaults()
	if _, err := os.Stat(filepath.Join(o.Dir, fileName)); err != nil {
		return nil, fmt.Errorf("journal: there is none in %s: %w", o.Dir, err)
	}
	return open(ctx, o, true)
}

func open(ctx context.Context, o Options, readOnly bool) (_ *Journal, err error) {
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		opt: o, path: filepath.Join(o.Dir, fileName), readOnly: readOnly, lock: lock,
		queue: newQueue(o), tail: newTail(), unacked: newUnacked(o.Now),
	}
	j.pool = newPool(j.path, o.fault)
	c, err := j.connect(ctx)
	if err != nil {
		_ = lock.release()
		return nil, err
	}
	w := &writer{j: j, c: c, stopped: make(chan struct{})}
	w.inserts, w.txn = newInserts(), newTxn(j, c)
	w.ids.entropy = ulid.Monotonic(bufio.NewReaderSize(rand.Reader, 1024), 0)
	if err := w.load(ctx); err != nil {
		_ = c.close()
		_ = lock.release()
		return nil, j.damaged(err)
	}
	if readOnly {
		if err := c.close(); err != nil {
			_ = lock.release()
			return nil, fmt.Errorf("journal: %w", err)
		}
		return j, nil
	}
	if w.checkpoints, err = newCheckpointer(j.path); err != nil {
		_ = c.close()
		_ = lock.release()
		return nil, j.damaged(err)
	}
	j.w = w
	go w.run()
	return j, nil
}

// connect checks the files, then opens them for writing.
func (j *Journal) connect(ctx context.Context) (*conn, error) {
	if err := checkFiles(j.path); err != nil {
		return nil, j.damaged(err)
	}
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	c, err := openConn(j.path, "auto_vacuum(incremental)", "journal_mode(wal)", "synchronous(full)",
		"cache_size(-2000)", fmt.Sprintf("wal_autocheckpoint(%d)", checkpointHard), "journal_size_limit(16777216)", "temp_store(memory)")
	if err != nil {
		return nil, j.damaged(err)
	}
	c.fault = j.opt.fault
	err = migrate(ctx, c)
	if err == nil {
		err = syncDir(j.opt.Dir)
	}
	if err != nil {
		_ = c.close()
		return nil, j.damaged(err)
	}
	return c, nil
}

// load reads the end of the journal: what the tables don't know, and what may
// be repeated.
func (w *writer) load(ctx context.Context) error {
	t := w.j.tail
	found, err := w.c.ints(ctx, "SELECT (SELECT min(seq) FROM events), (SELECT max(seq) FROM events)", nil, &t.first, &t.last)
	if err != nil {
		return err
	}
	indexed, _, err := getMeta(ctx, w.c, metaIndexed)
	if err != nil {
		return err
	}
	if found && t.last > 0 {
		r, ok, err := readRow(ctx, w.c, t.last)
		if err != nil || !ok {
			return fmt.Errorf("its newest event, %d, is unreadable: %w", t.last, err)
		}
		w.ids.ms = r.id.Time()
	} else {
		t.first = 1
	}
	w.next = t.last + 1
	if err := w.checkEnds(ctx, indexed); err != nil {
		return err
	}
	last := t.last
	t.indexed = max(indexed, t.first-1)
	err = w.c.rows(ctx, "SELECT "+columns+" FROM events WHERE seq > ? ORDER BY seq", []any{t.indexed}, func(v []driver.Value) error {
		r, err := scanRow(v)
		if err != nil {
			return err
		}
		t.note(&r)
		t.recent.push(r.Record)
		return w.replay(&r.Record)
	})
	if err != nil {
		return err
	}
	t.last = last
	return w.loadUnacked(ctx)
}

// replay folds an event that the lifecycle table may not know into it.
func (w *writer) replay(r *event.Record) error {
	if r.Dedupe.Rule != event.RuleLifecycle {
		return nil
	}
	tx := newTxn(w.j, w.c)
	if err := tx.prefetchLife([]driver.Value{r.Dedupe.Key[:]}); err != nil {
		return err
	}
	l := tx.lifecycle(r.Dedupe.Key)
	l.apply(r)
	w.j.tail.life[l.key] = l
	return nil
}

// loadUnacked finds out which deliveries may be repeated: whether their 200 was
// written is not known, or it is known that it wasn't.
func (w *writer) loadUnacked(ctx context.Context) error {
	t := w.j.tail
	seq, list, err := getMeta(ctx, w.c, metaUnacked)
	if err != nil {
		return err
	}
	if seq != t.last {
		err := w.c.rows(ctx, "SELECT unacked FROM events WHERE seq = ?", []any{t.last}, func(v []driver.Value) error {
			list, _ = v[0].([]byte)
			return errStop
		})
		if err != nil {
			return err
		}
	}
	seqs, from := parseUnacked(list)
	for s := max(from, t.first, t.last-maxUnacked); from > 0 && s <= t.last; s++ {
		seqs = append(seqs, s)
	}
	now := w.j.opt.Now()
	for _, s := range seqs {
		r, ok, err := readRow(ctx, w.c, s)
		if err != nil {
			return err
		}
		if ok && tracked(&r.Record) && now.Sub(time.UnixMilli(int64(r.id.Time()))) <= retryWindow {
			w.j.unacked.add(keyOf(&r.Record), s, false)
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
