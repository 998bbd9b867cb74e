package journal

import (
	"runtime"
	"time"

	"kazoohook/internal/event"
)

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
	if err == nil {
		if len(t.rows) > 0 {
			runtime.Gosched() // those who have an answer to give go first
			w.j.tail.wake()
		}
		merged()
	}
}

// begin takes the lock at once. Between a transaction's first read and its first
// write it may be held for a moment by a reader that comes upon a commit half
// done (SQLite's walIndexReadHdr), and then SQLite would fail instead of waiting.
const begin = "BEGIN IMMEDIATE"

func (w *writer) begin() (*txn, error) {
	w.txn.reset(w.j.opt.Now())
	w.quiet = false
	return w.txn, w.c.exec(begin)
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
	err := w.c.exec(begin)
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
