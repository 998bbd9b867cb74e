package journal

import (
	"runtime"
	"sync"
	"time"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
)

// writer is the one goroutine that changes the database. It gives commands their
// numbers and times, and applies all that wait in one transaction with one sync. Its
// fields belong to it, except the pruner's atomic ones.
type writer struct {
	j      *Journal
	c      *conn
	tx     *tx
	clock  ownClock
	ids    tables.IDs
	newest *integrity.NewestFile

	checkpoints *database.Checkpointer
	pruner      pruner
	batch       []*work
	mode        string // whether the connection syncs at each commit
	synced      int64  // number of the last command that was synced; without a cluster
	begun       bool   // this process's first command has been applied
	stopPatrol  func()
	goroutines  sync.WaitGroup // the writer's own, and the patrol
}

const (
	// opGrace is how long a change that isn't urgent waits for a request, to
	// share its transaction.
	opGrace = 2 * time.Millisecond
	// maxGather is about how long gather waits at most.
	maxGather = 200 * time.Microsecond
	// quietAfter is the idle time after which outcomes of answers are written by
	// themselves, and the interval at which a failing disk is tried.
	quietAfter = time.Second
)

// run works until the queue is closed and empty.
func (w *writer) run() {
	idle := time.NewTimer(quietAfter)
	defer idle.Stop()
	maintain := time.NewTicker(w.j.opt.MaintainEvery)
	defer maintain.Stop()
	defer w.pruner.giving.Wait()
	for {
		if w.pruner.again.Swap(false) {
			w.pruner.busy = true
		}
		switch l := w.j.queue.load(); {
		case l.entries > 0 && w.j.halted.err() == nil:
			w.accumulate()
		case l.requests > 0, l.closed && l.others+l.outcomes > 0:
		case l.others > 0:
			w.await(opGrace, func(l load) bool { return l.requests > 0 || l.hurry })
		case l.closed:
			return
		case w.pruner.busy && w.j.failure() == nil:
			w.prune()
			continue
		default:
			idle.Reset(quietAfter)
			select {
			case <-w.j.queue.wake:
			case <-idle.C:
				w.rest()
			case <-maintain.C:
				w.maintain()
			}
			continue
		}
		w.work()
	}
}

// timed begins a step that waits for the disk, see Health, and returns its end. The end
// of a step within another does nothing.
func (w *writer) timed() (end func()) {
	if !w.j.step.CompareAndSwap(0, int64(max(time.Since(w.j.opened), 1))) {
		return func() {}
	}
	return func() { w.j.step.Store(0) }
}

// await waits until the queue's load is enough or the journal is being closed, at most
// for the given time. It returns whether that time has passed.
func (w *writer) await(most time.Duration, enough func(load) bool) (passed bool) {
	timeout := time.NewTimer(most)
	defer timeout.Stop()
	for l := w.j.queue.load(); !l.closed && !enough(l); l = w.j.queue.load() {
		select {
		case <-w.j.queue.wake:
		case <-timeout.C:
			return true
		}
	}
	return false
}

// gather waits for goroutines that are about to append: it yields the processor
// as long as that brings more requests. On busy processors this makes
// transactions larger and so fewer. A single caller doesn't wait. The wait is
// limited, because one of the other goroutines may run a large query.
func (w *writer) gather() {
	before := w.j.queue.load().requests
	if before < 2 && len(w.batch) < 2 {
		return
	}
	for start := time.Now(); time.Since(start) < maxGather; {
		runtime.Gosched()
		now := w.j.queue.load().requests
		if now == before {
			return
		}
		before = now
	}
}

// work applies the waiting commands in one transaction, then does what can wait
// until after the answers.
func (w *writer) work() {
	w.gather()
	w.batch = w.j.queue.take(w.batch[:0])
	if len(w.batch) == 0 { // all were withdrawn
		return
	}
	if w.batch[0].entry == nil {
		w.transact(w.batch)
	} else if !w.follow(w.batch) {
		return
	}
	clear(w.batch)
	if w.j.failure() != nil {
		return
	}
	defer w.timed()()
	w.checkpoints.Rest(w.c)
	if w.pruner.busy {
		w.prune()
	}
}

// rest uses a quiet second: it writes the outcomes of answers, or tries whether a
// failed disk works again.
func (w *writer) rest() {
	fails := w.j.failure() != nil
	if fails {
		defer w.timed()()
		_ = w.c.Exec("PRAGMA wal_checkpoint(TRUNCATE)") // may make room on a full disk
	}
	if w.j.queue.load().outcomes > 0 {
		w.work()
	} else if fails {
		w.transact([]*work{{cmd: &probe{}}})
	}
}

// wake wakes the readers that wait for the events just stored.
func (w *writer) wake() {
	if len(w.tx.rows) > 0 {
		runtime.Gosched() // handlers go first: they have answers to write
		w.j.tail.Wake()
	}
}
