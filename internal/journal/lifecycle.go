package journal

import (
	"database/sql/driver"
	"time"

	"kazoohook/internal/event"
)

// reorderMargin is how long after a deletion an event of the same object may
// still be one from before it: Kazoo fires each event from a process of its own
// (kazoo 4.3 applications/webhooks/src/webhooks_util.erl), so order between
// events isn't guaranteed, and a first try may have failed.
const reorderMargin = time.Minute

type lifeState int64

const (
	lifeUnknown lifeState = iota
	lifeCreated
	lifeDeleted
)

// lifecycle is what is known of the creation and deletion of one object. It is
// the fold of the object's events (apply), so the rows of the events that the
// table doesn't know yet are computed again at start.
type lifecycle struct {
	key                 event.Key
	seq                 int64 // last event applied
	state               lifeState
	created, createdSeq int64 // Unix ns and event of the last creation, 0 if none is known
	deleted, deletedSeq int64 // likewise
	// late: the first known creation arrived within the margin after the
	// deletion. Most probably it was overtaken by the deletion.
	late bool
	// revived: seen alive after the deletion, by a listing.
	revived bool
	touched int64
}

const margin = int64(reorderMargin)

// repeats decides whether a created or deleted event is one already held, and
// which. edited says whether the object was edited in a span of time: an undeleted
// document shows as doc_edited only.
//
// Of live events (and a resync's) arrival is the order. A recovered one has the
// time of its failed attempts and may be older than what is known.
func (l *lifecycle) repeats(r *event.Record, edited func(after, until int64) (bool, error)) (seq int64, dup bool, err error) {
	t, past := nanos(r.ReceivedAt), r.Source == event.SourceRecovered
	switch r.Action {
	case event.Created:
		return l.createdSeq, l.repeatsCreation(t, past), nil
	case event.Deleted:
	default:
		return 0, false, nil // Route gives this rule to no other action
	}
	switch {
	case l.deleted == 0:
		return 0, false, nil
	case past && t <= l.deleted:
		// Of an earlier life if the object was created again in between.
		return l.deletedSeq, t+margin >= l.created || l.created >= l.deleted, nil
	case l.state == lifeCreated:
		// Created again since; but fired before that: the old deletion's echo.
		return l.deletedSeq, past && t+margin < l.created, nil
	case l.late && l.beyondMargin(t), l.revived:
		return 0, false, nil
	}
	after := l.deleted + margin
	if l.inFuture(t) {
		after = 0
	}
	alive, err := edited(after, t)
	return l.deletedSeq, !alive, err
}

func (l *lifecycle) repeatsCreation(t int64, past bool) bool {
	switch {
	case l.created == 0:
		return false
	case past && t < l.created:
		// Of an earlier life if it was deleted in between.
		return !(t < l.deleted && l.deleted < l.created)
	case l.state == lifeCreated:
		return true
	case past:
		return t <= l.deleted
	}
	// Deleted since: created again, unless this is the late creation's twin.
	return l.late && t <= l.created+margin
}

// beyondMargin: t is more than the margin after the deletion.
func (l *lifecycle) beyondMargin(t int64) bool { return t > l.deleted+margin || l.inFuture(t) }

// inFuture: the clock was set back since the deletion, its time means nothing.
func (l *lifecycle) inFuture(t int64) bool { return l.deleted > t+margin }

// apply folds a stored event into the state. Applying one twice is harmless.
func (l *lifecycle) apply(r *event.Record) {
	if r.Seq <= l.seq {
		return
	}
	t, past := nanos(r.ReceivedAt), r.Source == event.SourceRecovered
	l.seq = r.Seq
	l.touched = max(l.touched, t)
	if r.Action == event.Created {
		l.applyCreation(r.Seq, t, past)
		return
	}
	if past && l.deleted > t {
		return // an earlier life's
	}
	earlier := past && l.state == lifeCreated && t+margin < l.created
	l.deleted, l.deletedSeq = t, r.Seq
	if !earlier {
		l.state, l.late, l.revived = lifeDeleted, false, false
	}
}

func (l *lifecycle) applyCreation(seq, t int64, past bool) {
	if past && t < l.created {
		return // an earlier life's
	}
	first := l.created == 0
	l.created, l.createdSeq = t, seq
	switch {
	case l.state != lifeDeleted:
		l.state = lifeCreated
	case past && t <= l.deleted:
		// It came before the deletion that is known.
	case first && !l.beyondMargin(t):
		l.late = true
	default:
		l.state, l.late = lifeCreated, false
	}
}

// revive notes that a listing begun at since saw the object.
func (l *lifecycle) revive(since int64) (changed bool) {
	if l.state != lifeDeleted || l.revived || !l.beyondMargin(since) {
		return false
	}
	l.revived = true
	return true
}

const (
	lifecycleColumns = "key,seq,state,created,created_seq,deleted,deleted_seq,late,revived,touched"
	lifeColumns      = 10
)

// args fills the values of one row, in the order of lifecycleColumns.
func (l *lifecycle) args(a []driver.NamedValue) {
	a[0].Value = l.key[:]
	for i, n := range []int64{
		l.seq, int64(l.state), l.created, l.createdSeq, l.deleted, l.deletedSeq, flag(l.late), flag(l.revived), l.touched,
	} {
		a[1+i].Value = n
	}
}

func scanLifecycle(v []driver.Value) (l lifecycle) {
	n := func(i int) int64 {
		x, _ := v[i].(int64)
		return x
	}
	if b, ok := v[0].([]byte); ok {
		copy(l.key[:], b)
	}
	l.seq, l.state = n(1), lifeState(n(2))
	l.created, l.createdSeq, l.deleted, l.deletedSeq = n(3), n(4), n(5), n(6)
	l.late, l.revived, l.touched = n(7) != 0, n(8) != 0, n(9)
	return l
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
