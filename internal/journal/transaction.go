package journal

import (
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
)

// transact applies a batch in one transaction and gives each command its result. If
// damage prevents that, each command is tried alone. If the storage failed, only
// duplicates that are held succeed.
func (w *writer) transact(batch []*work) {
	err := w.try(batch)
	damage := database.IsDamage(err)
	switch {
	case damage && len(batch) > 1:
		for i := range batch {
			w.transact(batch[i : i+1])
		}
		return
	case damage:
		err = w.damaged(batch[0], err)
	default:
		w.j.setHealth(err)
	}
	for _, k := range batch {
		if o, ok := k.cmd.(*outcome); ok && o.Written && err != nil && !damage {
			// Without it, an identical request would later seem to be a repeated one.
			_ = w.j.queue.push(k)
		}
		if err != nil && !k.held {
			k.result, k.err = result{}, w.j.unavailable(err)
		}
		if k.done != nil {
			k.done <- struct{}{}
		}
	}
	if err == nil {
		w.wake()
	}
}

// try applies a batch. It returns an error only if the storage failed; then nothing
// was changed.
func (w *writer) try(batch []*work) error {
	defer w.timed()()
	mode := syncLater
	for _, k := range batch {
		if !k.cmd.lazy() && k.entry == nil { // lost entries are applied again
			mode = syncNow
		}
	}
	if err := w.synchronous(mode); err != nil {
		return err
	}
	if !w.begun {
		batch = append([]*work{{cmd: &opened{}}}, batch...)
	}
	was := w.clock.last
	if err := w.tx.reset(); err != nil {
		return err
	}
	// Transaction takes the write lock before its first read. A reader that meets a
	// half-done commit may hold that lock for a moment (SQLite's walIndexReadHdr).
	// If this happened before the transaction's first write, SQLite would fail
	// instead of waiting.
	var start time.Time
	err := w.c.Transaction(func() error {
		w.tx.readAhead(batch)
		for _, k := range batch {
			if k.entry != nil {
				w.tx.follow(k)
			} else {
				w.stamp(k.cmd)
				k.result, k.err = w.tx.apply(k.cmd)
				// A duplicate that was judged by what is on disk, and needs nothing stored.
				k.held = k.err == nil && k.appended.Duplicate && k.appended.Seq > 0 && !w.tx.dirty
			}
			if w.tx.failed != nil {
				return w.tx.failed
			}
		}
		err := w.tx.flush()
		start = time.Now()
		return err
	})
	if err != nil {
		w.clock.last = was
		w.tx.forget()
		return err
	}
	if applied := w.j.opt.applied; applied != nil {
		for _, k := range batch {
			applied(k.cmd)
		}
	}
	w.begun = true
	w.committed(time.Since(start))
	return nil
}

// stamp gives a command its number, its time and ids for the events that it may
// append. In a cluster it gets only probes, which change nothing.
func (w *writer) stamp(cmd command) {
	if w.tx.log != nil {
		cmd.head().at = w.tx.log.last
		return
	}
	now := w.j.opt.Now()
	cmd.head().at = w.clock.next(now)
	draw(&w.ids, cmd, now)
}

// committed publishes what is on disk now: to readers, metrics and the file newest.
func (w *writer) committed(took time.Duration) {
	t, j := w.tx, w.j
	n := int64(len(t.rows))
	t.next += n
	j.tail.Grow(t.rows)
	j.opt.Observe.Commit(took, len(t.rows))
	bytes := int64(0) // about what the events take
	for i := range t.rows {
		j.opt.Observe.Event(&t.rows[i].Record, t.elsewhere[i])
		bytes += int64(rowOverhead + len(t.rows[i].Body))
	}
	j.count(func(s *Stats) {
		for rule, n := range t.duplicates {
			s.Duplicates[event.Rule(rule)] += n
		}
		s.Appends += n
		s.Transactions++
	})
	j.applied.Store(t.at.Number)
	if t.looks {
		j.looks.signal()
	}
	if t.removed > 0 {
		w.removedUntil(t.removed, t.unread)
	}
	if w.mode == syncNow {
		w.synced = t.at.Number
	}
	if w.newest != nil {
		w.newest.Write(t.next-1, t.at.Number, w.synced)
	}
	// A burst would exceed the size limit until retention runs again.
	if w.pruner.bytes += bytes; j.opt.MaxBytes > 0 && w.pruner.bytes > j.opt.MaxBytes/32 {
		w.pruner.bytes, w.pruner.busy = 0, true
	}
	w.checkpoints.Wrote(4 + t.more + len(t.rows) + len(t.altered) + int(bytes/database.PageSize))
}

// Whether commits are synced. Commits that nobody waits for need no sync: the next
// synced commit makes them durable, too.
const syncNow, syncLater = "FULL", "NORMAL"

func (w *writer) synchronous(mode string) error {
	if mode == w.mode {
		return nil
	}
	err := w.c.Exec("PRAGMA synchronous = " + mode)
	if err == nil {
		w.mode = mode
	}
	return err
}
