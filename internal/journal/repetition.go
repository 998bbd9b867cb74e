package journal

import (
	"context"
	"database/sql/driver"

	"kazoohook/internal/event"
)

const ruleCount = int(event.RuleLifecycle) + 1

// repetition decides whether a record is an event already held. The rules, and
// why they are safe, are those of event.Rule; a record read back from Kazoo's
// attempts is first compared with what arrived around its firing.
func (t *txn) repetition(r *event.Record) (event.Appended, error) {
	if r.Source == event.SourceRecovered {
		if seq, dup, err := t.heldFiring(r); err != nil || dup {
			return t.duplicate(seq, err)
		}
	} else if tracked(r) {
		if d, was := t.j.unacked.claim(keyOf(r)); d != nil {
			t.undo = append(t.undo, func() { t.j.unacked.restore(d, was) })
			return t.duplicate(d.seq, nil)
		}
	}
	switch r.Dedupe.Rule {
	case event.RuleContent:
		if seq, dup, err := t.heldContent(r); err != nil || dup {
			return t.duplicate(seq, err)
		}
	case event.RuleLifecycle:
		l := t.lifecycle(r.Dedupe.Key)
		seq, dup, err := l.repeats(r, func(after, until int64) (bool, error) {
			return t.edited(r, l.deletedSeq, after, until)
		})
		if err != nil || dup {
			return t.duplicate(seq, err)
		}
	}
	return event.Appended{}, nil
}

// duplicate answers with the event that is repeated; 0 if that was pruned.
func (t *txn) duplicate(seq int64, err error) (event.Appended, error) {
	if err != nil {
		return event.Appended{}, err
	}
	held, ok, err := t.row(seq)
	if err != nil || !ok {
		return event.Appended{Duplicate: true}, err
	}
	return event.Appended{Seq: held.Seq, ID: held.ID, Duplicate: true}, nil
}

// heldContent finds an event with the key of r.
func (t *txn) heldContent(r *event.Record) (seq int64, dup bool, err error) {
	if seq, ok := t.keys[r.Dedupe.Key]; ok {
		return seq, true, nil
	}
	if seq, ok := t.j.tail.keys[r.Dedupe.Key]; ok {
		return seq, true, nil
	}
	for _, seq := range t.held[identityHash(r.ObjectID, r.Dedupe.Key)] {
		held, ok, err := t.row(seq)
		if err != nil || (ok && held.Dedupe == r.Dedupe) {
			return seq, err == nil, err
		}
	}
	return 0, false, nil
}

// heldFiring finds a firing that was recovered before, or an identical delivery
// that arrived when this firing was tried: then only our answer was lost.
func (t *txn) heldFiring(r *event.Record) (seq int64, dup bool, err error) {
	if r.Firing.ID != "" {
		dup, err = t.c.ints(ctx0, "SELECT seq FROM firings WHERE hook_id = ? AND firing = ?",
			[]any{r.HookID, r.Firing.ID}, &seq)
		if err != nil || dup {
			return seq, dup, err
		}
	}
	from, to := nanos(r.Firing.First), nanos(r.Firing.Last)
	if from == 0 {
		from = nanos(r.ReceivedAt)
	}
	to = max(from, to)
	slack := int64(t.j.opt.RecoverySlack)
	from, to = from-slack, to+slack
	err = t.identical(r, func(held *row) bool {
		if at := nanos(held.ReceivedAt); from <= at && at <= to {
			seq, dup = held.Seq, true
		}
		// Appended before the firing: so were all that follow.
		return !dup && int64(held.id.Time())*1e6 >= from-1e6
	})
	return seq, dup, err
}

// identical visits the events with the key and action of r, newest first, until
// each returns false.
func (t *txn) identical(r *event.Record, each func(*row) bool) error {
	same := func(held *row) bool { return held.Dedupe == r.Dedupe && held.Action == r.Action }
	for i := len(t.rows) - 1; i >= 0; i-- {
		if same(&t.rows[i]) && !each(&t.rows[i]) {
			return nil
		}
	}
	h := identityHash(r.ObjectID, r.Dedupe.Key)
	tail := t.j.tail
	for i := len(tail.pending) - 1; i >= 0; i-- {
		if tail.pending[i].identity != h {
			continue
		}
		held, ok, err := t.row(tail.seqAt(i))
		if err != nil {
			return err
		}
		if ok && same(&held) && !each(&held) {
			return nil
		}
	}
	return t.indexed(h, h, func(held *row) bool { return !same(held) || each(held) })
}

// edited says whether the object of r was edited in a span of time, by an event
// stored after its deletion.
func (t *txn) edited(r *event.Record, deletedSeq, after, until int64) (found bool, err error) {
	match := func(held *row) bool {
		at := nanos(held.ReceivedAt)
		return held.Action == event.Edited && held.ObjectID == r.ObjectID && held.ObjectType == r.ObjectType &&
			at > after && at <= until
	}
	for i := range t.rows {
		if match(&t.rows[i]) {
			return true, nil
		}
	}
	lo, hi := objectRange(r.ObjectID)
	tail := t.j.tail
	for i, p := range tail.pending {
		if p.action != event.Edited || p.identity < lo || p.identity > hi {
			continue
		}
		held, ok, err := t.row(tail.seqAt(i))
		if err != nil || (ok && match(&held)) {
			return err == nil, err
		}
	}
	err = t.indexed(lo, hi, func(held *row) bool {
		found = match(held)
		return !found && held.Seq > deletedSeq
	})
	return found, err
}

// indexed visits the events that the index has between two hashes, newest
// first, until each returns false.
func (t *txn) indexed(lo, hi int64, each func(*row) bool) error {
	const sql = "SELECT pos FROM idx WHERE h >= ? AND h <= ? AND pos >= ? ORDER BY pos DESC"
	return t.c.rows(ctx0, sql, []any{lo, hi, t.j.tail.first}, func(v []driver.Value) error {
		seq, _ := v[0].(int64)
		held, ok, err := t.row(seq)
		if err != nil {
			return err
		}
		if ok && !each(&held) {
			return errStop
		}
		return nil
	})
}

// row reads one event, of this transaction or of an earlier one.
func (t *txn) row(seq int64) (r row, ok bool, err error) {
	if i := seq - t.j.w.next; i >= 0 && i < int64(len(t.rows)) {
		return t.rows[i], true, nil
	}
	return readRow(ctx0, t.c, seq)
}

// lifecycle is what is known of an object that prefetch looked up, this
// transaction included.
func (t *txn) lifecycle(k event.Key) lifecycle {
	if l, ok := t.life[k]; ok {
		return l
	}
	if l, ok := t.j.tail.life[k]; ok {
		return l
	}
	if l, ok := t.seen[k]; ok {
		return l
	}
	return lifecycle{key: k}
}

func readRow(ctx context.Context, c *conn, seq int64) (r row, ok bool, err error) {
	err = c.rows(ctx, "SELECT "+columns+" FROM events WHERE seq = ?", []any{seq}, func(v []driver.Value) error {
		ok = true
		if r, err = scanRow(v); err != nil {
			return err
		}
		return errStop
	})
	return r, ok, err
}
