package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/datadir"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// log is the state that the entries of the replicated log led to: the row of the
// table cluster, and the table boots. It belongs to the writer.
type log struct {
	ClusterState

	tick  snapshot.Clock // the clock at the leader's newest tick
	last  snapshot.At    // of the last command
	chain [32]byte
	boots map[process]*boot
	stale bool // a transaction failed, so this must be read again
}

// followed is the part of a tx that only a replicated log needs.
type followed struct {
	log   *log            // nil: there is none
	from  process         // the process that gave the command being applied; zero without a log
	news  []news          // for Cluster's callbacks
	name  string          // the journal's new name; "": unchanged
	gap   integrity.Range // numbers to skip
	notes []byte          // of the command being applied: see saw

	elsewhere []bool // of each of the transaction's rows: another process gave the command
	ms, was   uint64 // the time of the newest event's id, now and when the transaction began
}

func (f *followed) reset(c *conn) (err error) {
	if f.log != nil && f.log.stale {
		if f.log, err = loadLog(ctx0, c); err != nil {
			f.log = &log{stale: true}
			return err
		}
		f.ms = f.was
	}
	f.was = f.ms
	f.news, f.notes, f.elsewhere, f.name, f.gap = f.news[:0], f.notes[:0], f.elsewhere[:0], "", integrity.Range{}
	return nil
}

// inOrder is an id whose time is not before that of the newest event. The node that drew
// it may have a clock that is behind.
func (f *followed) inOrder(id ulid.ULID) ulid.ULID {
	if id.Time() < f.ms {
		_ = id.SetTime(f.ms)
	}
	f.ms = id.Time()
	return id
}

// givenHere reports whether this process gave the command.
func (t *tx) givenHere() bool { return t.log == nil || t.from == t.j.process() }

// process is one life of a node.
type process struct{ node, boot string }

// entry is where a command stood in the log: the position of its entry, and its index
// in that entry, from 0.
type entry struct {
	envelope
	position uint64
	index    int
	sum      [32]byte // SHA-256 of the entry that begins with it
	bytes    int64    // and its size
	apart    bool     // a command of that entry must be alone
}

// news is what Cluster's callbacks are called for: an election, a tick (without a
// leader), or another change of the state (without a term).
type news struct {
	term   uint64
	leader string // and its process
	boot   string
}

// errRepeated says that a command was applied at an earlier try.
var errRepeated = errors.New("the command was applied before")

func tooNew(version, known int) error {
	return fmt.Errorf("%w: the cluster's rules have version %d, this program knows up to %d; use the newer program", ErrNewer, version, known)
}

// loadLog reads the log's state, except the boots: they are read when needed.
func loadLog(ctx context.Context, c *conn) (*log, error) {
	l := &log{boots: map[process]*boot{}}
	// Behind the chain's hash is that of the newest entry, unless an earlier version of
	// the program wrote the row. A column of its own would be unknown to that version.
	err := c.Rows(ctx, "SELECT c.epoch, c.base, c.position, c.term, c.leader, c.boot, c.tick, c.fold, c.chain, j.name, j.number, j.clock, j.wall "+
		"FROM cluster c LEFT JOIN journal j", nil, func(v database.Row) error {
		l.ClusterState = ClusterState{
			Epoch: v.Text(0), Base: v.Int(1), Position: uint64(v.Int(2)), Term: uint64(v.Int(3)), Leader: v.Text(4), Boot: v.Text(5),
			Fold: int(v.Int(7)), Journal: v.Text(9),
		}
		l.tick = snapshot.Clock(v.Int(6))
		copy(l.Entry[:], v.Blob(8)[copy(l.chain[:], v.Blob(8)):])
		l.last = snapshot.At{Number: v.Int(10), Clock: snapshot.Clock(v.Int(11)), Wall: tables.Time(v.Int(12))}
		return nil
	})
	if err == nil {
		l.Members, err = members(ctx, c)
	}
	return l, err
}

func members(ctx context.Context, c *conn) (list []Member, err error) {
	err = c.Rows(ctx, "SELECT node, id, removed FROM members ORDER BY node", nil, func(v database.Row) error {
		list = append(list, Member{Node: v.Text(0), ID: v.Text(1), Removed: v.Int(2) != 0})
		return nil
	})
	return list, err
}

// lookAtLog reads the state of a cluster's log, if the journal's schema is new enough
// to have it.
func (j *Journal) lookAtLog(ctx context.Context, c *conn) error {
	var version int64
	if _, err := c.Ints(ctx, "PRAGMA user_version", nil, &version); err != nil || version < tables.ClusterSchema {
		return err
	}
	l, err := loadLog(ctx, c)
	if err == nil {
		j.shared.Store(&shared{l.ClusterState, l.last.Number, l.chain})
	}
	return err
}

// judge judges what the file newest says. A journal that follows a log doesn't have that
// file unless it was closed. If a new log is made from it, that file isn't needed: whoever
// calls Begin knows whether events are missing.
func (w *writer) judge(ctx context.Context, said integrity.Newest, ok bool, e end) integrity.Verdict {
	if !ok && w.j.opt.begins {
		if l, err := loadLog(ctx, w.c); err == nil && l.Epoch != "" {
			return integrity.Verdict{Name: w.j.Name(), Next: e.last}
		}
	}
	return integrity.Judge(said, ok, w.j.Name(), e.last, e.at.Number)
}

// beginLog makes the journal follow a log. What the journal lacks is applied again
// from there, so the file newest isn't used. While that file is missing, the journal
// can't be taken for the complete one of a single node.
func (w *writer) beginLog(ctx context.Context, end end) error {
	j := w.j
	l, err := loadLog(ctx, w.c)
	switch {
	case err != nil:
		return err
	case l.Epoch == "" || l.Epoch != j.opt.Cluster.Epoch:
		return fmt.Errorf("%w: it follows epoch %q, the log is %q", ErrEpoch, l.Epoch, j.opt.Cluster.Epoch)
	case l.Fold > j.newestFold():
		return tooNew(l.Fold, j.newestFold())
	}
	l.last.Clock = max(l.last.Clock, end.at.Clock)
	w.tx.log, w.tx.ms, w.tx.next, w.begun = l, end.ms, end.last+1, true
	if _, err := w.c.Ints(ctx, "SELECT boot FROM journal", nil, &w.tx.boot); err != nil {
		return err
	}
	j.shared.Store(&shared{l.ClusterState, l.last.Number, l.chain})
	j.applied.Store(l.last.Number)
	if j.proposer, err = newProposer(j, l, end.ms); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(j.opt.Dir, integrity.NewestName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return datadir.SyncDir(j.opt.Dir)
}

// follow applies a command of the log and adds it to the chain.
func (t *tx) follow(k *work) {
	if k.err = t.admit(k); k.err == nil {
		k.result, k.err = t.apply(k.cmd)
	}
	if t.failed == nil {
		t.failed = t.link(k.cmd, &k.result, k.err)
	}
}

// admit gives a command of the log its number and time. It returns an error if the
// command doesn't count: it was applied before, or it belongs to another term.
func (t *tx) admit(k *work) error {
	l, e, h := t.log, k.entry, k.cmd.head()
	if next := l.Position + uint64(tables.Flag(e.index == 0)); e.position != next {
		t.look(fmt.Errorf("entry %d of the cluster's log follows entry %d", e.position, l.Position))
		return t.failed
	}
	if e.index == 0 {
		l.Entry = e.sum
	}
	l.Position, t.from = e.position, process{e.Node, e.Boot}
	l.last = snapshot.At{Number: l.last.Number + 1, Clock: l.last.Clock, Wall: tables.Time(e.Wall)}
	t.at, h.at, h.id = l.last, l.last, e.ID
	if e.Boot != "" { // else the command could not be read
		if !t.bootOf(t.from).take(e.Number) {
			return errRepeated
		}
	}
	clock := snapshot.Clock(e.Clock)
	switch cmd := k.cmd.(type) {
	case *led:
		if cmd.Term <= l.Term {
			return ErrTerm
		}
	case *ticked:
		clock = l.tick.Add(min(max(0, cmd.Elapsed), maxAway))
	}
	if e.Term != 0 && e.Term != l.Term {
		return ErrTerm
	}
	l.last.Clock = max(l.last.Clock, clock)
	t.at, h.at = l.last, l.last
	return nil
}

// bootOf returns what is known of a process.
func (t *tx) bootOf(p process) *boot {
	if b, ok := t.log.boots[p]; ok {
		return b
	}
	b := &boot{}
	t.look(t.c.Rows(ctx0, "SELECT opened, highest, holes FROM boots WHERE node = ? AND boot = ?", []any{p.node, p.boot}, func(v database.Row) error {
		b.opened, b.highest = v.Int(0), uint64(v.Int(1))
		return b.read(v.Blob(2))
	}))
	t.log.boots[p] = b
	return b
}

// apply notes that a node's process began.
func (*opened) apply(t *tx) (res result, _ error) {
	if t.log == nil {
		t.boot = t.at.Number
		t.exec("UPDATE journal SET boot = ?", t.boot)
		return res, nil
	}
	b := t.bootOf(t.from)
	b.opened, b.changed = t.at.Number, true
	return res, nil
}

// flush writes what the entries of a transaction changed.
func (l *log) flush(c *conn) error {
	for p, b := range l.boots {
		if !b.changed {
			continue
		}
		b.changed = false
		err := c.Exec("INSERT OR REPLACE INTO boots (node, boot, opened, highest, holes) VALUES (?,?,?,?,?)", p.node, p.boot, b.opened, int64(b.highest), b.bytes())
		if err != nil {
			return err
		}
	}
	err := c.Exec("UPDATE cluster SET position = ?, term = ?, leader = ?, boot = ?, tick = ?, fold = ?, chain = ?",
		int64(l.Position), int64(l.Term), l.Leader, l.Boot, int64(l.tick), int64(l.Fold), slices.Concat(l.chain[:], l.Entry[:]))
	if err != nil {
		return err
	}
	return c.Exec("UPDATE journal SET number = ?, clock = ?, wall = ?", l.last.Number, int64(l.last.Clock), tables.Nanos(l.last.Wall))
}

// maxSince is how long the cluster's clock advances without another tick.
const maxSince = 3 * time.Second
