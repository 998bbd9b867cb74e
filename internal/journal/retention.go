package journal

import (
	"fmt"
	"os"
	"time"

	"github.com/oklog/ulid/v2"
)

// pruneStep is how many events are removed in one transaction: a few
// milliseconds, between which appends go on.
const pruneStep = 500

// unreadGrace is how much longer than retention unread events are kept for a
// consumer that is behind.
const unreadGrace = 2

// pruner removes what is too old or too much, a step at a time. Events go from
// the oldest on and never the newest one, which carries the number to go on
// from.
type pruner struct {
	busy    bool
	swept   int64     // events up to here had been removed at the last sweep
	expired time.Time // when long forgotten objects were last looked for
	sweeps  []sweep   // to be done
	loud    time.Time // last warning about unread events
	young   time.Time // last warning about young ones
	grown   int64     // bytes stored since the size was last looked at
}

// maintain looks whether there is something to do.
func (w *writer) maintain() {
	w.pruner.busy = true
	if w.j.Health() == nil {
		w.prune()
	}
}

// prune does one step.
func (w *writer) prune() {
	p := &w.pruner
	more, err := w.pruneEvents()
	if err == nil && !more {
		more, err = w.sweep()
	}
	if err == nil && !more {
		more, err = w.shrink()
	}
	p.busy = more && err == nil
	if err != nil {
		w.j.opt.Log.Warn().Err(w.j.unavailable(err)).Msg("journal retention failed; will try again")
	}
}

// pruneEvents removes one step of events, if any must go.
func (w *writer) pruneEvents() (more bool, err error) {
	t, o := w.j.tail, w.j.opt
	limit := min(t.first+pruneStep-1, t.indexed, t.last-1) // may go at all
	read := t.last
	if _, err := w.c.ints(ctx0, "SELECT min(cursor) FROM consumers HAVING count(*) > 0", nil, &read); err != nil {
		return false, err
	}
	through := int64(0)
	if o.Retention > 0 {
		if through, err = w.olderThan(o.Retention, min(limit, read)); err != nil {
			return false, err
		}
		if through < t.first { // nothing read is too old: what of the unread?
			if through, err = w.olderThan(unreadGrace*o.Retention, limit); err != nil {
				return false, err
			}
		}
	}
	if through < t.first && o.MaxBytes > 0 {
		used, err := w.used()
		if err != nil {
			return false, err
		}
		if used > o.MaxBytes-o.MaxBytes/8 {
			// Of the consumers that this can spare, the slowest counts: one that hangs
			// far behind must not cost the others what they are about to read.
			spared := t.last
			if _, err := w.c.ints(ctx0, "SELECT min(cursor) FROM consumers WHERE cursor >= ? HAVING count(*) > 0", []any{t.first}, &spared); err != nil {
				return false, err
			}
			through = min(limit, spared)
			if err := w.warnOfYoung(through); err != nil {
				return false, err
			}
			if limit == t.indexed && w.merge == nil {
				w.startMerge() // so that more can go
			}
		}
	}
	if through < t.first {
		return false, nil
	}
	return true, w.remove(through, read)
}

// olderThan finds the last event up to limit that is older than age; 0 if none.
func (w *writer) olderThan(age time.Duration, limit int64) (through int64, err error) {
	var id ulid.ULID
	cut := w.j.opt.Now().Add(-age)
	if cut.UnixMilli() <= 0 {
		return 0, nil
	}
	if err := id.SetTime(ulid.Timestamp(cut)); err != nil {
		return 0, err
	}
	_, err = w.c.ints(ctx0, "SELECT max(seq) FROM events WHERE seq BETWEEN ? AND ? AND id < ?",
		[]any{w.j.tail.first, limit, id[:]}, &through)
	return through, err
}

// youngest is an age from which an event may go without harm: until then Kazoo's
// record of failed attempts may tell of it again, when an answer of ours was lost
// (registration's overlap, and a pass that comes late).
const youngest = 10 * time.Minute

// warnOfYoung tells that the size limit costs events that may be needed.
func (w *writer) warnOfYoung(seq int64) error {
	now := w.j.opt.Now()
	if since := now.Sub(w.pruner.young); since >= 0 && since < youngest {
		return nil
	}
	r, ok, err := readRow(ctx0, w.c, seq)
	if err != nil || !ok {
		return err
	}
	if age := now.Sub(time.UnixMilli(int64(r.id.Time()))); age < youngest {
		w.pruner.young = now
		w.j.opt.Log.Warn().Int64("through", seq).Float64("age_seconds", age.Seconds()).
			Msg("journal removes events of the last ten minutes, because of its size limit: one whose answer to Kazoo was lost may be told twice; set JOURNAL_MAX_BYTES higher")
	}
	return nil
}

// remove deletes the events up to a number; those above read loudly.
func (w *writer) remove(through, read int64) error {
	t := w.j.tail
	first := t.first
	err := w.alone(func() error { return w.c.exec("DELETE FROM events WHERE seq <= ?", through) })
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.first = through + 1
	t.mu.Unlock()
	w.j.counters.pruned.Add(through - first + 1)
	if unread := through - max(first-1, read); unread > 0 {
		w.j.counters.prunedUnread.Add(unread)
		if now := w.j.opt.Now(); now.Sub(w.pruner.loud) > time.Minute || now.Before(w.pruner.loud) {
			w.pruner.loud = now
			w.j.opt.Log.Error().Int64("through", through).Int64("unread", unread).Int64("slowest_cursor", read).
				Msg("journal removes events that a consumer has not read: it is too far behind, or the size limit is too small")
		}
	}
	return nil
}

// shrinkStep is how many pages go back to the file system in one transaction.
const shrinkStep = 256

// shrink gives free pages back where the size is limited and reached, or where
// they are more than half of the file.
func (w *writer) shrink() (more bool, err error) {
	var pages, free int64
	if _, err := w.c.ints(ctx0, "PRAGMA page_count", nil, &pages); err != nil {
		return false, err
	}
	if _, err := w.c.ints(ctx0, "PRAGMA freelist_count", nil, &free); err != nil {
		return false, err
	}
	over := w.j.opt.MaxBytes > 0 && pages*pageSize > w.j.opt.MaxBytes
	if free == 0 || (!over && free <= pages/2) {
		if fileSize(w.j.path) > pages*pageSize {
			// The file itself gets shorter only with the next checkpoint, and in a
			// quiet time that may be long in coming.
			return false, w.c.script(ctx0, "PRAGMA wal_checkpoint(PASSIVE)")
		}
		return false, nil
	}
	err = w.alone(func() error {
		return w.c.script(ctx0, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", shrinkStep))
	})
	return true, err
}

const pageSize = 4096

// used is the size of what the database holds, without the pages that are free
// to be used again.
func (w *writer) used() (int64, error) {
	var pages, free int64
	if _, err := w.c.ints(ctx0, "PRAGMA page_count", nil, &pages); err != nil {
		return 0, err
	}
	_, err := w.c.ints(ctx0, "PRAGMA freelist_count", nil, &free)
	return (pages - free) * pageSize, err
}

// grown notes how much was stored: a burst must not exceed the size limit by
// what arrives until retention is looked at again.
func (w *writer) grown(rows []row) {
	if w.j.opt.MaxBytes <= 0 {
		return
	}
	for i := range rows {
		w.pruner.grown += rowOverhead + int64(len(rows[i].Body))
	}
	if w.pruner.grown > w.j.opt.MaxBytes/32 {
		w.pruner.grown, w.pruner.busy = 0, true
	}
}

// rowOverhead is about what an event takes besides its body, index included.
const rowOverhead = 500

func fileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}
