package journal

import (
	"bytes"
	"cmp"
	"fmt"
	"time"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

const (
	// pruneStep is how many events are removed in one transaction. It takes a few
	// milliseconds, and appends go on in between. sweepStep and shrinkStep limit the
	// objects that are looked at and the pages that are given back in one step.
	pruneStep, sweepStep, shrinkStep = 250, 2000, 256
	// unreadGrace times Retention is how long unread events are kept for a consumer
	// that is behind.
	unreadGrace = 2
	// youngest is the age from which an event may be removed without harm. If our
	// answer was lost, Kazoo's record of failed attempts shows the event again.
	// Until this age registration may read that part of the record again.
	youngest = 10 * time.Minute
	// deletedTTL is how long a deleted object is remembered. It is longer than events
	// are usually kept, because Kazoo fires doc_deleted again at any later save of a
	// deleted document. expireEvery is how often older objects are looked for.
	deletedTTL, expireEvery = 400 * 24 * time.Hour, 24 * time.Hour
	// rowOverhead is about what an event takes besides its body, indexes included.
	rowOverhead = 500
)

// pruner removes events that are too old or too many, a step at a time. It
// removes the oldest first and never the newest one. Age is by the journal's
// own clock, so a jump of the wall clock neither removes events early nor stops
// their removal.
type pruner struct {
	busy    bool
	expired snapshot.Clock // when objects deleted long ago were last looked for
	swept   []byte         // key up to which all were looked at; nil: done
	loud    time.Time      // last warning about unread events
	young   time.Time      // last warning about young ones
	bytes   int64          // stored since the size was last looked at
	retained
}

// maintain starts retention, and checks the backlog unless another node leads.
func (w *writer) maintain() {
	w.pruner.busy = true
	if w.j.failure() != nil {
		return
	}
	defer w.timed()()
	w.prune()
	if p := w.j.proposer; p != nil && p.leads() == 0 {
		return
	}
	if err := w.checkBacklog(); err != nil {
		w.j.opt.Log.Warn().Err(w.j.unavailable(err)).Msg("the backlog of destinations could not be measured; will try again")
	}
}

// prune does one step.
func (w *writer) prune() {
	defer w.timed()()
	more, err := false, error(nil)
	steps := []func() (bool, error){w.pruneEvents, w.sweepObjects, w.shrink}
	if p := w.j.proposer; p != nil && (p.leads() == 0 || w.pruner.given.Load()) {
		steps = steps[2:] // the leader decides what is removed, one command at a time
	}
	for _, step := range steps {
		if more, err = step(); more || err != nil {
			break
		}
	}
	w.pruner.busy = more && err == nil
	if err != nil {
		w.j.opt.Log.Warn().Err(w.j.unavailable(err)).Msg("journal retention failed; will try again")
	}
}

// pruneEvents removes one step of events, if any must go.
func (w *writer) pruneEvents() (more bool, err error) {
	o := w.j.opt
	first, last := w.j.tail.Bounds()
	backlog, cursor, err := w.j.heldBack(ctx0, w.c)
	if err != nil {
		return false, err
	}
	limit := min(first+pruneStep-1, last-1, cursor) // what may be removed at most
	read, err := w.slowest(0, last)
	through := int64(0)
	if err == nil && o.Retention > 0 {
		through, err = w.olderThan(o.Retention, first, min(limit, read))
		if err == nil && through < first { // no event that was read is too old: look at the unread
			through, err = w.olderThan(unreadGrace*o.Retention, first, limit)
		}
	}
	if err == nil && through < first && o.MaxBytes > 0 {
		var used int64
		if used, err = w.c.Used(ctx0); err == nil && used-backlog.Bytes > o.MaxBytes-o.MaxBytes/8 {
			// The slowest consumer that has read the oldest event counts. One that
			// is further behind must not cost the others the events that they
			// read next.
			if through, err = w.slowest(first, last); err == nil {
				through = min(limit, through)
				err = w.warnOfYoung(through)
			}
		}
	}
	if err != nil || through < first {
		return false, err
	}
	return true, w.give(&removed{First: first, Through: through})
}

// slowest returns the lowest cursor of the consumers that are at from or beyond; last
// if there is none.
func (w *writer) slowest(from, last int64) (int64, error) {
	_, err := w.c.Ints(ctx0, "SELECT min(cursor) FROM consumers WHERE cursor >= ? HAVING count(*) > 0", []any{from}, &last)
	return last, err
}

// olderThan finds the last event from first to limit that is older than age; 0
// if none is.
func (w *writer) olderThan(age time.Duration, first, limit int64) (through int64, err error) {
	_, err = w.c.Ints(ctx0, "SELECT max(seq) FROM events WHERE seq BETWEEN ? AND ? AND clock < ?", []any{first, limit, int64(w.now().Add(-age))}, &through)
	return through, err
}

// now is the journal's clock.
func (w *writer) now() snapshot.Clock {
	if w.tx.log != nil {
		return w.tx.log.last.Clock
	}
	return w.clock.now(w.j.opt.Now())
}

// warnOfYoung warns that the size limit removes events that may still be
// needed.
func (w *writer) warnOfYoung(seq int64) error {
	now := w.j.opt.Now()
	if since := now.Sub(w.pruner.young); since >= 0 && since < youngest {
		return nil
	}
	r, ok, err := tables.Read(ctx0, w.c, w.j.damage, "events", seq)
	if age := now.Sub(time.UnixMilli(int64(r.ULID.Time()))); err == nil && ok && age < youngest {
		w.pruner.young = now
		w.j.opt.Log.Warn().Int64("through", seq).Float64("age_seconds", age.Seconds()).
			Msg("journal removes events of the last ten minutes, because of its size limit: one whose answer to Kazoo was lost may be reported twice; set JOURNAL_MAX_BYTES higher")
	}
	return err
}

// apply deletes events, and moves those that destinations need to the backlog.
func (cmd *removed) apply(t *tx) (res result, _ error) {
	read := t.nextSeq() - 1 // by the consumer that is furthest behind
	_, err := t.c.Ints(ctx0, "SELECT min(cursor) FROM consumers HAVING count(*) > 0", nil, &read)
	t.look(err)
	t.before("SELECT count(*), total(sum) FROM events WHERE seq BETWEEN ? AND ?", cmd.First, cmd.Through)
	t.hold(cmd.First, cmd.Through)
	for _, sql := range []string{
		"DELETE FROM events WHERE seq BETWEEN ?1 AND ?2",
		"DELETE FROM unanswered WHERE seq <= ?2",
		"DELETE FROM tries WHERE seq <= ?2",
	} {
		t.spare(sql, cmd.First, cmd.Through)
	}
	t.more += pruneStep
	t.removed, t.unread = cmd.Through, t.unread+max(0, cmd.Through-max(cmd.First-1, read))
	return res, nil
}

// proxyTries is far longer than a proxy goes on trying a request.
const proxyTries = time.Hour

func (cmd *swept) apply(t *tx) (res result, _ error) {
	var end any         // nil: of all
	if cmd.End == nil { // firings are few
		t.spare("DELETE FROM firings WHERE at < ?", int64(cmd.Before))
		t.spare("DELETE FROM tries WHERE at < ?", int64(t.at.Clock.Add(-proxyTries)))
	} else {
		end = cmd.End
	}
	t.more += pruneStep
	t.spare("DELETE FROM objects WHERE key > ?1 AND (?2 IS NULL OR key <= ?2) AND state = 2 AND deleted < ?3", cmd.After, end, int64(cmd.Before))
	return res, nil
}

// removedUntil publishes that events were removed. It logs an error if some consumer
// had not read them.
func (w *writer) removedUntil(through, unread int64) {
	first, _ := w.j.tail.Bounds()
	w.j.tail.Removed(w.j.damage.NeverGiven(through))
	w.j.count(func(s *Stats) {
		s.Pruned += max(0, through-first+1)
		s.PrunedUnread += unread
	})
	if unread == 0 {
		return
	}
	if now := w.j.opt.Now(); now.Sub(w.pruner.loud) > time.Minute || now.Before(w.pruner.loud) {
		w.pruner.loud = now
		w.j.opt.Log.Error().Int64("through", through).Int64("unread", unread).
			Msg("journal removes events that a consumer has not read: it is too far behind, or the size limit is too small")
	}
}

// sweepObjects forgets objects that were deleted long ago, once a day. Each step takes
// the next ones in order of their keys, so that it changes rows that lie close
// together.
func (w *writer) sweepObjects() (more bool, err error) {
	p, now := &w.pruner, w.now()
	if p.swept == nil {
		if p.expired != 0 && now.Sub(p.expired) < expireEvery {
			return false, nil
		}
		p.expired, p.swept = now, []byte{0}
	}
	cmd := &swept{After: p.swept, Before: now.Add(-deletedTTL)}
	err = w.c.Rows(ctx0, "SELECT key FROM objects WHERE key > ? ORDER BY key LIMIT 1 OFFSET ?", []any{p.swept, int64(sweepStep)}, func(v database.Row) error {
		cmd.End = bytes.Clone(v.Blob(0))
		return database.ErrStop
	})
	if err == nil {
		err = w.give(cmd)
	}
	if err == nil {
		p.swept = cmd.End
	}
	return true, err
}

// give applies a command of retention. In a cluster it doesn't wait for that.
func (w *writer) give(cmd command) error {
	if w.j.proposer != nil {
		w.retain(cmd)
		return nil
	}
	k := &work{cmd: cmd}
	w.transact([]*work{k})
	return k.err
}

// shrink gives free pages back to the file system if the size limit is exceeded, or
// if they are more than half of the file.
func (w *writer) shrink() (more bool, err error) {
	size, free, err := w.c.Size(ctx0)
	backlog, _, unknown := w.j.heldBack(ctx0, w.c)
	if err := cmp.Or(err, unknown); err != nil {
		return false, err
	}
	over := w.j.opt.MaxBytes > 0 && size-backlog.Bytes > w.j.opt.MaxBytes
	switch {
	case free > 0 && (over || free > size/2):
		if err := w.synchronous(syncLater); err != nil { // a lost step is done again
			return false, err
		}
		w.checkpoints.Wrote(shrinkStep)
		return true, w.c.Script(ctx0, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", shrinkStep))
	case database.FileSize(w.j.path) > size:
		// The file itself gets shorter only with the next checkpoint. Without
		// traffic that may take long.
		database.Checkpoint(w.c)
	}
	return false, nil
}
