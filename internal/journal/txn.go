package journal

import (
	"errors"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
)

// txn is one transaction of the writer: the events it will append and what
// follows from them, none of which is visible to anybody before the commit.
type txn struct {
	j     *Journal
	c     *conn
	now   time.Time
	rows  []row
	life  map[event.Key]lifecycle // changed
	seen  map[event.Key]lifecycle // read in advance
	keys  map[event.Key]int64     // RuleContent keys of rows
	held  map[int64][]int64       // what the index has for hashes looked up in advance
	open  []opened                // rows whose answers matter
	undo  []func()                // to run if it fails
	wrote bool
	pages int // at most as many were changed besides those of rows
}

// opened is a delivery whose outcome will matter once it is stored.
type opened struct {
	key  deliveryKey
	seq  int64
	busy bool
}

// newTxn begins none yet: see reset.
func newTxn(j *Journal, c *conn) *txn {
	return &txn{
		j: j, c: c,
		life: map[event.Key]lifecycle{}, seen: map[event.Key]lifecycle{},
		keys: map[event.Key]int64{}, held: map[int64][]int64{},
	}
}

// reset makes room for the next transaction, in the memory of the last.
func (t *txn) reset(now time.Time) {
	clear(t.rows)
	clear(t.undo)
	clear(t.life)
	clear(t.seen)
	clear(t.keys)
	clear(t.held)
	*t = txn{
		j: t.j, c: t.c, now: now, rows: t.rows[:0], undo: t.undo[:0], open: t.open[:0],
		life: t.life, seen: t.seen, keys: t.keys, held: t.held,
	}
}

// exec changes something.
func (t *txn) exec(sql string, args ...any) error {
	t.wrote = true
	return t.c.exec(sql, args...)
}

// append decides whether r is new and, if so, gives it its number.
func (t *txn) append(r *event.Record) (event.Appended, error) {
	a, err := t.repetition(r)
	if err != nil || a.Duplicate {
		return a, err
	}
	id, err := t.j.w.ids.next(t.now)
	if err != nil {
		return a, err
	}
	rw := row{Record: *r, id: id}
	rw.Seq, rw.ID = t.j.w.next+int64(len(t.rows)), id.String()
	t.rows = append(t.rows, rw)
	if err := t.follow(&rw.Record); err != nil {
		return a, err
	}
	return event.Appended{Seq: rw.Seq, ID: rw.ID}, nil
}

// follow keeps what follows from a new event.
func (t *txn) follow(r *event.Record) error {
	if tracked(r) {
		t.open = append(t.open, opened{keyOf(r), r.Seq, r.Source == event.SourceWebhook})
	}
	switch r.Dedupe.Rule {
	case event.RuleContent:
		t.keys[r.Dedupe.Key] = r.Seq
	case event.RuleLifecycle:
		l := t.lifecycle(r.Dedupe.Key)
		l.apply(r)
		t.life[l.key] = l
	}
	if r.Source == event.SourceRecovered && r.Firing.ID != "" {
		return t.exec("INSERT OR REPLACE INTO firings (hook_id, firing, seq, at) VALUES (?,?,?,?)",
			r.HookID, r.Firing.ID, r.Seq, nanos(t.now))
	}
	return nil
}

// insertEvents is the statement that inserts n rows. Several with each cost much
// less than each by itself.
func insertEvents(n int) string {
	row := ",(" + placeholders(columnCount+1) + ")"
	return "INSERT INTO events (" + columns + ",unacked) VALUES " + strings.Repeat(row, n)[1:]
}

// insertSizes are the numbers of rows for which there is a statement.
func insertSizes() []int { return []int{16, 4, 1} }

// insert writes the rows; the last carries what is unacknowledged.
func (t *txn) insert() error {
	const width = columnCount + 1
	rows := t.rows
	for i, n := range insertSizes() {
		args := t.c.room(n * width)
		for ; len(rows) >= n; rows = rows[n:] {
			for k := range n {
				rows[k].args(args[k*width:])
				args[k*width+columnCount].Value = nil
			}
			if len(rows) == n {
				args[n*width-1].Value = t.j.unacked.list(t.open)
			}
			if err := t.c.execNamed(t.j.w.inserts[i], args); err != nil {
				return err
			}
			t.wrote = true
		}
	}
	return nil
}

// commit makes everything durable, or undoes it.
func (t *txn) commit() error {
	err := t.insert()
	if err == nil {
		err = t.c.exec("COMMIT")
	}
	if err != nil {
		t.rollback()
		return err
	}
	t.j.w.next += int64(len(t.rows))
	t.j.tail.grow(t.rows, t.life)
	t.j.w.grown(t.rows)
	for _, o := range t.open {
		t.j.unacked.add(o.key, o.seq, o.busy)
	}
	return nil
}

// rollback leaves no trace, here or on disk. SQLite has often done its part by
// itself when a write failed; then ours fails, which is fine.
func (t *txn) rollback() {
	for _, f := range t.undo {
		f()
	}
	_ = t.c.exec("ROLLBACK")
}

// ids gives increasing ULIDs. The time in them never decreases, whatever the
// clock does, so an event can be found by time from its number.
type ids struct {
	ms      uint64
	entropy ulid.MonotonicReader
}

func (g *ids) next(now time.Time) (id ulid.ULID, err error) {
	g.ms = max(g.ms, ulid.Timestamp(now))
	id, err = ulid.New(g.ms, g.entropy)
	if errors.Is(err, ulid.ErrMonotonicOverflow) {
		g.ms++
		id, err = ulid.New(g.ms, g.entropy)
	}
	return id, err
}

// newInserts are the statements of insertSizes.
func newInserts() (sql []string) {
	for _, n := range insertSizes() {
		sql = append(sql, insertEvents(n))
	}
	return sql
}

// do carries out one request. Its error is the request's own if isSoft, else
// the whole transaction's.
func (t *txn) do(r *request) (err error) {
	if r.append {
		if r.appended, err = t.append(&r.rec); err != nil {
			return err
		}
	}
	if r.op != nil {
		return r.op(t)
	}
	return nil
}
