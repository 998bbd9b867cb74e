package journal

import (
	"database/sql/driver"
	"math"
	"runtime"
	"time"

	"kazoohook/internal/event"
)

// writer is the one goroutine that changes the database. Whatever waits when it
// comes back from a sync shares the next one.
type writer struct {
	j    *Journal
	c    *conn
	next int64 // number of the next event
	ids  ids

	inserts []string // see newInserts
	args    []driver.NamedValue

	batch                []*request
	merge                *merge
	owed                 int  // entries to merge before more events are taken
	due                  int  // entries to merge in the next transaction
	quiet                bool // what is unacknowledged is on disk as it is
	pruner               pruner
	checkpoints          *checkpointer
	stopped              chan struct{}
	restNow, maintainNow bool // for tests, which don't wait for the timers
}

const (
	// opGrace is how long a change that nobody hurries for waits for an append
	// to share its sync.
	opGrace = 2 * time.Millisecond
	// mergeGrace is how long no append comes before a merge goes on without.
	mergeGrace = 5 * time.Millisecond
	// maxGather bounds how often others go first.
	maxGather = 8
	// quietAfter is how long without anything to do before the tables are
	// brought up to date although little is pending, and how often a failing
	// disk is tried when no appends try it.
	quietAfter = time.Second
)

// run works until the queue is closed and empty.
func (w *writer) run() {
	defer close(w.stopped)
	q := w.j.queue
	idle := time.NewTimer(quietAfter)
	defer idle.Stop()
	maintain := time.NewTicker(w.j.opt.MaintainEvery)
	defer maintain.Stop()
	for {
		if w.restNow {
			w.restNow = false
			w.rest()
		}
		if w.maintainNow {
			w.maintainNow = false
			w.maintain()
		}
		appends, ops := q.waiting()
		switch {
		case appends > 0 || (ops > 0 && q.isClosed()):
			w.work()
			continue
		case ops > 0 && w.merge == nil:
			w.lull(opGrace)
			w.work()
			continue
		case q.isClosed():
			w.finish()
			return
		case w.merge != nil && w.j.Health() == nil:
			// Not between two appends, where the next would wait for it: while
			// they come it goes with them.
			if ops > 0 || w.lull(mergeGrace) {
				w.mergeStep(mergeStep)
			}
			if ops > 0 {
				w.work()
			}
			continue
		case w.pruner.busy && w.j.Health() == nil:
			w.prune()
			continue
		}
		idle.Reset(quietAfter)
		select {
		case <-q.wake:
		case <-idle.C:
			w.rest()
		case <-maintain.C:
			w.maintain()
		}
	}
}

// lull waits for an append, but not longer than the time given: true if none
// came.
func (w *writer) lull(most time.Duration) bool {
	timeout := time.NewTimer(most)
	defer timeout.Stop()
	for {
		if n, _ := w.j.queue.waiting(); n > 0 || w.j.queue.isClosed() {
			return false
		}
		select {
		case <-w.j.queue.wake:
		case <-timeout.C:
			return true
		}
	}
}

// gather lets those who are about to append do so: for as long as it brings
// more, everybody else who can run goes first. Where nobody can it costs
// nothing, and where the processors are busy it makes transactions larger and
// so fewer.
func (w *writer) gather() {
	for range maxGather {
		before, _ := w.j.queue.waiting()
		runtime.Gosched()
		if now, _ := w.j.queue.waiting(); now == before {
			return
		}
	}
}

// work does one transaction of what waits, and a step of what is due after it.
func (w *writer) work() {
	w.gather()
	w.batch = w.j.queue.take(w.batch[:0])
	w.transact(w.batch)
	w.checkpoints.rest(w.c)
	n := len(w.batch)
	clear(w.batch)
	if w.j.Health() != nil {
		return
	}
	pending := int(w.next - 1 - w.j.tail.indexed)
	if w.merge == nil && pending >= w.j.opt.mergeAt {
		w.merge = newMerge(w.j.tail)
	}
	if w.merge != nil {
		switch w.owed += mergeRate * n; {
		case pending >= mergeHard*w.j.opt.mergeAt:
			w.mergeStep(math.MaxInt)
		case w.owed >= mergeStep:
			w.due = w.owed // shares the next sync
		}
	}
	if w.pruner.busy {
		w.prune()
	}
}

// transact carries out requests in one transaction and tells each its outcome.
func (w *writer) transact(batch []*request) {
	t, merged, err := w.beginWithMerge()
	if err == nil {
		err = t.prefetch(batch)
		for _, r := range batch {
			if err != nil {
				break
			}
			if r.err = t.do(r); r.err != nil && !isSoft(r.err) {
				err = r.err
			}
		}
		start := time.Now()
		if err != nil {
			t.rollback()
		} else if err = t.commit(); err == nil && (t.wrote || len(t.rows) > 0) {
			w.checkpoints.wrote(w.c, t.rows, t.pages)
			w.j.opt.Observe.committed(time.Since(start), len(t.rows))
			w.j.counters.transactions.Add(1)
			w.j.counters.appends.Add(int64(len(t.rows)))
		}
	}
	if err == nil {
		merged()
	}
	w.j.setHealth(err)
	for _, r := range batch {
		// What repeats an event of an earlier transaction is held all the same.
		held := r.append && r.op == nil && r.err == nil && r.appended.Duplicate && r.appended.Seq < w.next
		if err != nil && !held {
			r.appended, r.err = event.Appended{}, w.j.unavailable(err)
		}
		if r.err == nil && r.appended.Duplicate {
			w.j.counters.duplicates[int(r.rec.Dedupe.Rule)%ruleCount].Add(1)
		}
		r.done <- struct{}{}
	}
}

func (w *writer) begin() (*txn, error) {
	t := &txn{j: w.j, c: w.c, now: w.j.opt.Now(), life: map[event.Key]lifecycle{}, keys: map[event.Key]int64{}}
	w.quiet = false
	return t, w.c.exec("BEGIN")
}

// beginWithMerge begins a transaction, with the step of the merge that is due:
// it holds nothing that can't be repeated, and would need a sync of its own
// otherwise. merged is to be called after the commit.
func (w *writer) beginWithMerge() (t *txn, merged func(), err error) {
	t, err = w.begin()
	if err != nil || w.due == 0 || w.merge == nil {
		return t, func() {}, err
	}
	n := w.due
	w.due, w.owed = 0, 0
	done, complete, err := w.merge.step(w.c, n)
	if err != nil { // no reason to refuse the events: try those without
		w.merge = nil // collected anew later
		_ = w.c.exec("ROLLBACK")
		t, err = w.begin()
		return t, func() {}, err
	}
	t.wrote, t.pages = true, n
	return t, func() {
		done(w.j.tail)
		if complete {
			w.merge = nil
		}
	}, nil
}

// alone runs f in a transaction of its own.
func (w *writer) alone(f func() error) error {
	err := w.c.exec("BEGIN")
	if err == nil {
		if err = f(); err == nil {
			err = w.c.exec("COMMIT")
		}
		if err != nil {
			_ = w.c.exec("ROLLBACK")
		}
	}
	w.j.setHealth(err)
	if err == nil {
		w.j.counters.transactions.Add(1)
	}
	return err
}

func (w *writer) mergeStep(n int) {
	w.owed, w.due = 0, 0
	var done func(*tail)
	var complete bool
	err := w.alone(func() (err error) {
		done, complete, err = w.merge.step(w.c, n)
		return err
	})
	w.checkpoints.wrote(w.c, nil, min(n, mergeAt))
	if err != nil {
		w.merge = nil // collected anew later: all of it can be repeated
		return
	}
	done(w.j.tail)
	if complete {
		w.merge = nil
	}
}

// rest uses a quiet moment: for trying whether a failed disk works again, or
// for leaving little to be read again at the next start.
func (w *writer) rest() {
	if w.j.Health() != nil {
		_ = w.alone(func() error { return setMeta(w.c, "probe", w.j.opt.Now().UnixNano(), nil) })
		return
	}
	w.j.unacked.sweep()
	if w.j.tail.indexed < w.next-1 && w.merge == nil {
		w.merge = newMerge(w.j.tail)
	}
	if !w.quiet && w.noteUnacked() == nil {
		w.quiet = true
	}
}

// noteUnacked writes what is unacknowledged now; what the last row says is from
// before its own answer.
func (w *writer) noteUnacked() error {
	list := w.j.unacked.list(nil)
	return w.alone(func() error { return setMeta(w.c, metaUnacked, w.next-1, list) })
}

// finish leaves everything up to date for the next start.
func (w *writer) finish() {
	if w.merge == nil && w.j.tail.indexed < w.next-1 {
		w.merge = newMerge(w.j.tail)
	}
	for w.merge != nil {
		w.mergeStep(mergeStep)
	}
	if !w.quiet {
		_ = w.noteUnacked()
	}
}
