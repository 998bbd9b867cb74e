package journal

import (
	"math"
	"runtime"
	"time"
)

// writer is the one goroutine that changes the database. Whatever waits when it
// comes back from a sync shares the next one.
type writer struct {
	j    *Journal
	c    *conn
	next int64 // number of the next event
	ids  ids

	inserts []string // see newInserts
	txn     *txn     // one after the other

	batch                []*request
	merge                *merge // in progress, or nil
	merged               *merge // the last one, for its memory
	owed                 int    // entries to merge before more events are taken
	due                  int    // entries to merge in the next transaction
	quiet                bool   // what is unacknowledged is on disk as it is
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
	// maxGather is how long others go first, about.
	maxGather = 200 * time.Microsecond
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
// more, everybody else who can run goes first, which makes transactions larger
// and so fewer where the processors are busy. A single caller is not made to
// wait, nor anybody for long: among those who can run may be a large query.
func (w *writer) gather() {
	before, _ := w.j.queue.waiting()
	if before < 2 && len(w.batch) < 2 {
		return
	}
	for start := time.Now(); time.Since(start) < maxGather; {
		runtime.Gosched()
		now, _ := w.j.queue.waiting()
		if now == before {
			return
		}
		before = now
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
		w.startMerge()
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
