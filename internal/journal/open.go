package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/datadir"
	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/journal/tail"
	"kazoohook/internal/snapshot"
)

// FileName is the name of the database in the data directory.
const FileName = "events.db"

// Open opens the journal in o.Dir, creating it if there is none, and claims the
// directory for this process. Errors: ErrInUse if another process has the directory,
// ErrCorrupt if the journal's end can't be read, ErrNewer if a later version wrote
// it, ErrEpoch, and ErrUnavailable if the storage fails now: then try again. The time
// it takes doesn't depend on how much the journal holds.
func Open(ctx context.Context, o Options) (*Journal, error) {
	j := prepare(o, false)
	err := datadir.MakeDir(o.Dir)
	if err == nil {
		j.lock, err = database.Claim(o.Dir)
	}
	if err == nil {
		err = j.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(j.damaged(err), j.Close())
	}
	return j, nil
}

// OpenReadOnly opens the journal of a stopped service for reading. It changes
// nothing. The error wraps fs.ErrNotExist if there is none.
func OpenReadOnly(ctx context.Context, o Options) (*Journal, error) {
	j := prepare(o, true)
	_, err := os.Stat(j.path)
	if err != nil {
		return nil, fmt.Errorf("journal: there is none in %s: %w", o.Dir, err)
	}
	if j.lock, err = database.ClaimToRead(o.Dir); err != nil {
		return nil, err
	}
	if err := j.look(ctx); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// OpenFile opens the database of a journal for reading, whether or not a service
// uses it. It changes nothing. With ErrCorrupt it also returns a journal, which gives
// what can be read. The error wraps fs.ErrNotExist if the database has no tables yet.
func OpenFile(ctx context.Context, path string) (*Journal, error) {
	j := prepare(Options{Dir: filepath.Dir(path)}, true)
	j.path = path
	err := j.look(ctx)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return nil, errors.Join(err, j.Close())
	}
	return j, err
}

// look reads where the journal ends.
func (j *Journal) look(ctx context.Context) error {
	return j.damaged(j.pool.Use(ctx, func(c *conn) error {
		if blank, err := tables.Blank(ctx, c); err != nil || blank {
			return cmp.Or(err, errBlank)
		}
		end, err := j.load(ctx, c)
		j.applied.Store(end.at.Number)
		if err == nil {
			err = j.lookAtLog(ctx, c)
		}
		return err
	}))
}

// prepare makes a Journal without opening anything.
func prepare(o Options, readOnly bool) *Journal {
	o = o.withDefaults()
	j := &Journal{
		opened: time.Now(),
		opt:    o, path: filepath.Join(o.Dir, FileName), readOnly: readOnly,
		queue: newQueue(o), tail: tail.New(1, 0), damage: integrity.NewLedger(o.Log), looks: make(signal, 1),
		exceeded: make(chan int64),
		counted:  Stats{Duplicates: map[event.Rule]int64{}, QueueLimit: o.QueueSize, MaxBytes: o.MaxBytes, Retention: o.Retention},
	}
	for r := range ruleCount {
		j.counted.Duplicates[event.Rule(r)] = 0
	}
	j.commands.Store(rand.Uint64()) //nolint:gosec // a name, no secret
	j.end = sync.OnceValue(j.close)
	j.pool = database.NewPool(func() (*conn, error) { return j.connect("query_only(1)", "cache_size(-1000)") })
	return j
}

// connect opens a connection to the database.
func (j *Journal) connect(pragmas ...string) (*conn, error) {
	options := ""
	if j.readOnly {
		options = database.ReadOnly(j.path)
	}
	return j.opt.open(j.path, options, pragmas...)
}

// start opens the database for writing and begins to work.
func (j *Journal) start(ctx context.Context) (err error) {
	if err := cmp.Or(integrity.Unfinished(j.opt.Dir), database.Orphaned(j.path)); err != nil {
		return err
	}
	_, there := os.Stat(j.path)
	if errors.Is(there, os.ErrNotExist) && j.opt.Import != nil {
		if err := j.opt.Import(ctx, j.opt.Dir); err != nil {
			return err
		}
	}
	if err := datadir.Make(j.opt.Dir, j.path); err != nil {
		return err
	}
	c, err := j.connect(tables.WriterPragmas()...)
	if err != nil {
		return err
	}
	w := &writer{j: j, c: c, mode: syncNow, tx: newTx(j, c)}
	clean, err := w.begin(ctx, there == nil)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	beside, err := j.connect("synchronous(full)", "wal_autocheckpoint(0)", "cache_size(-64)")
	if err != nil {
		return errors.Join(err, c.Close(), w.closeNewest(false))
	}
	w.checkpoints = database.NewCheckpointer(beside)
	j.w = w
	if j.proposer != nil {
		j.proposer.start(w.tx.log.ClusterState)
	}
	ctx, w.stopPatrol = context.WithCancel(context.WithoutCancel(ctx))
	w.goroutines.Go(func() { j.damage.Patrol(ctx, j.readPage, !clean) })
	w.goroutines.Go(w.run)
	return nil
}

// begin reads where the journal ends and compares that with what the file newest
// says, unless the database wasn't there: whoever moves it away begins anew.
func (w *writer) begin(ctx context.Context, there bool) (clean bool, err error) {
	j := w.j
	if err := tables.Migrate(ctx, w.c); err != nil {
		return false, err
	}
	said, ok, err := integrity.ReadNewest(filepath.Join(j.opt.Dir, integrity.NewestName))
	end, unread := j.load(ctx, w.c)
	if err := cmp.Or(err, unread); err != nil {
		return false, err
	}
	if j.opt.Cluster != nil {
		return said.Closed, w.beginLog(ctx, end)
	}
	verdict := w.judge(ctx, said, ok && (there || j.Name() != ""), end)
	end.at.Number = max(end.at.Number, said.Number)
	if err := w.identify(verdict, end); err != nil {
		return false, err
	}
	w.clock, w.ids, w.tx.next = newOwnClock(end.at, j.opt.Now()), tables.NewIDs(end.ms), verdict.Next+1
	if said.Name == j.Name() {
		w.synced = said.Synced
	}
	if err := w.openNewest(end.at.Number); err != nil {
		return false, err
	}
	j.applied.Store(end.at.Number)
	// From now on the journal may differ from the log that it followed.
	if err := w.c.Exec("UPDATE cluster SET epoch = '' WHERE epoch <> ''"); err != nil {
		return false, err
	}
	return said.Closed || verdict.Next == 0, datadir.SyncDir(j.opt.Dir)
}

// openNewest opens the file newest and writes it.
func (w *writer) openNewest(number int64) (err error) {
	path := filepath.Join(w.j.opt.Dir, integrity.NewestName)
	if w.newest, err = integrity.OpenNewest(path, w.j.Name(), w.j.opt.noted); err == nil {
		w.newest.Write(w.tx.next-1, number, w.synced)
	}
	return err
}

// closeNewest closes the file newest. In a cluster it makes that file, so that a
// single node can go on with the journal.
func (w *writer) closeNewest(clean bool) (err error) {
	if w.newest == nil && clean {
		err = w.openNewest(w.j.Applied())
	}
	if w.newest == nil || err != nil {
		return err
	}
	return w.newest.Close(clean)
}

// identify gives the journal the name and the next number of a verdict.
func (w *writer) identify(v integrity.Verdict, e end) error {
	j, last := w.j, e.last
	if v.Name == j.Name() {
		return nil
	}
	err := w.c.Transaction(func() error {
		if v.Next > last {
			if err := w.c.Exec("INSERT INTO gaps (first, last, reason) VALUES (?,?,?)", v.Skip.First, v.Skip.Last, "restored"); err != nil {
				return err
			}
		}
		return w.c.Exec("INSERT OR REPLACE INTO journal (id, name, number, clock, wall, boot, last) VALUES (1,?,?,?,?,0,?)",
			v.Name, e.at.Number, int64(e.at.Clock), tables.Nanos(e.at.Wall), v.Next)
	})
	if err != nil {
		return err
	}
	if j.Name() != "" || v.Lost > 0 || v.Commands > 0 {
		v.Log(j.opt.Log, last)
		j.damage.Lost(v.Lost)
	}
	if v.Next > last {
		j.damage.Gap(v.Skip)
	}
	j.name.Store(v.Name)
	j.tail.Skip(v.Next)
	return nil
}

// end is where a journal ends.
type end struct {
	at   snapshot.At // of the last command
	ms   uint64      // the time of the newest event's id
	last int64       // the last number that was given, or is skipped
}

// load reads the bounds and the name of the journal.
func (j *Journal) load(ctx context.Context, c *conn) (e end, err error) {
	var first, newest int64
	for _, from := range []string{"", " INDEXED BY events_event WHERE event >= 0"} { // the second if the table is damaged
		_, err = c.Ints(ctx, "SELECT (SELECT min(seq) FROM events"+from+"), (SELECT max(seq) FROM events"+from+")", nil, &first, &newest)
		if !database.IsDamage(err) {
			break
		}
	}
	if err != nil {
		return e, err
	}
	e.last, j.tail = newest, tail.New(max(first, 1), newest)
	err = c.Rows(ctx, "SELECT name, number, clock, wall, last FROM journal", nil, func(v database.Row) error {
		j.name.Store(v.Text(0))
		e.last = max(newest, v.Int(4))
		j.tail.Skip(e.last)
		e.at = snapshot.At{Number: v.Int(1), Clock: snapshot.Clock(v.Int(2)), Wall: tables.Time(v.Int(3))}
		return nil
	})
	if err == nil {
		err = c.Rows(ctx, "SELECT first, last FROM gaps ORDER BY first", nil, func(v database.Row) error {
			j.damage.Gap(integrity.Range{First: v.Int(0), Last: v.Int(1)})
			return nil
		})
	}
	if err != nil || newest == 0 {
		return e, err
	}
	err = c.Rows(ctx, "SELECT number, clock, id FROM events WHERE seq = ?", []any{newest}, func(v database.Row) error {
		var id ulid.ULID
		if copy(id[:], v.Blob(2)) != len(id) {
			return database.Damaged("its id is malformed")
		}
		e.ms = id.Time()
		if number, clock := v.Int(0), snapshot.Clock(v.Int(1)); number > e.at.Number || clock > e.at.Clock { // the row of journal is older
			e.at = snapshot.At{Number: max(number, e.at.Number), Clock: max(clock, e.at.Clock), Wall: time.UnixMilli(int64(e.ms))}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("its newest event, %d, can't be read: %w", newest, err)
	}
	return e, err
}
