package journal

import (
	"fmt"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/dedupe"
	"kazoohook/internal/event"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// apply carries out one command. It is a function of the database and of the
// command alone: ids, numbers and times travel in the command. Package dedupe
// decides what is a duplicate, package snapshot what becomes of an object; this
// package only stores the result.
//
// A command that the rules can't handle does not stop the journal: a request is
// stored as unknown, any other command is ignored. If the storage failed, t.failed
// says why.
func (t *tx) apply(cmd command) (res result, err error) {
	t.at = cmd.head().at
	defer func() {
		switch p := recover(); {
		case t.failed != nil:
			err = t.failed
		case p != nil:
			res, err = t.broken(cmd, fmt.Errorf("panic: %v", p))
		case err != nil && !isSoft(err):
			res, err = t.broken(cmd, err)
		}
	}()
	cmd = t.ruled(cmd)
	return cmd.apply(t)
}

// broken handles a failure of a rule: a request is stored as unknown, any other
// command is ignored.
func (t *tx) broken(cmd command, err error) (res result, _ error) {
	t.j.count(func(s *Stats) { s.Broken++ })
	t.j.opt.Log.Error().Err(err).Int64("command", t.at.Number).Str("kind", fmt.Sprintf("%T", cmd)).
		Msg("a command could not be applied: a request is kept as unknown, anything else is ignored")
	r, ok := cmd.(*request)
	if !ok {
		return res, fmt.Errorf("command %d was ignored: %w", t.at.Number, err)
	}
	rec := r.Rec
	rec.Event, rec.Problem = event.Unknown, "the rules failed: "+err.Error()
	rec.Action, rec.ObjectType, rec.Hidden = "", "", false
	rec.Dedupe.Rule = event.RuleUnacknowledged
	res.appended = t.append(&rec, r.id)
	return res, nil
}

// apply decides whether a record is new, stores it, and updates its object.
func (cmd *request) apply(t *tx) (res result, _ error) {
	r, a := &cmd.Rec, &res.appended
	d := dedupe.Decide(t, r, t.at)
	var o *object
	var now snapshot.Object
	if isObjectEvent(r) && (!d.Duplicate || d.Look) {
		o = t.object(snapshot.Key(r.ObjectType, r.AccountID, r.ObjectID))
		now = o.Object.Object
	}
	appends := !d.Duplicate && !r.Hidden
	switch {
	case d.Duplicate:
		*a = t.held(d.Of)
		if t.givenHere() {
			t.duplicates[int(r.Dedupe.Rule)%ruleCount]++
		}
		now.Doubted(t.at)
	case o != nil:
		seq := int64(0)
		if appends {
			seq = t.nextSeq()
		}
		r.Known = event.Known{Name: now.Name, Fields: now.Fields}
		if !now.Happened(r, seq, t.at) {
			o = nil
		}
	}
	// Nothing was changed until here, and from here on only the storage can
	// fail, no rule.
	if appends {
		*a = t.append(r, cmd.id)
	}
	if o != nil {
		t.put(o, now)
	}
	t.recognise(cmd, d, a.Seq)
	return res, nil
}

func (cmd *owned) apply(t *tx) (result, error) {
	return result{appended: t.own(cmd.Rec, cmd.id)}, nil
}

// recognise stores the keys by which later duplicates are recognised.
func (t *tx) recognise(cmd *request, d dedupe.Decision, seq int64) {
	r := &cmd.Rec
	repeatable := r.Source == event.SourceWebhook && r.Dedupe.Rule == event.RuleUnacknowledged
	switch {
	case d.Claims && r.Source == event.SourceRecovered: // the firing ends the wait
		t.spare("DELETE FROM unanswered WHERE key = ? AND seq = ?", r.Dedupe.Key[:], d.Of)
	case d.Claims: // another try is being answered now
		t.await(r.Dedupe.Key, d.Of, cmd.Command)
	case repeatable && !d.Duplicate && !r.Hidden:
		t.await(r.Dedupe.Key, seq, cmd.Command)
	}
	if repeatable && r.RequestID != "" && seq > 0 {
		t.spare("INSERT OR IGNORE INTO tries (key, request_id, seq, at) VALUES (?,?,?,?)", r.Dedupe.Key[:], r.RequestID, seq, int64(t.at.Clock))
	}
	if r.Source == event.SourceRecovered && r.Firing.ID != "" {
		t.spare("INSERT OR IGNORE INTO firings (hook_id, firing, seq, at) VALUES (?,?,?,?)", r.HookID, r.Firing.ID, seq, int64(t.at.Clock))
	}
}

// own appends an event of the receiver's own, for Own and for other commands that
// lead to one. Its id and time travel in the command.
func (t *tx) own(r event.Record, id ulid.ULID) event.Appended {
	r = tables.Normal(r)
	r.ReceivedAt = tables.Time(tables.Nanos(t.at.Wall))
	if r.Dedupe.Rule == event.RuleContent {
		if seq, known := t.Content(&r); known {
			return t.held(seq)
		}
	}
	return t.append(&r, id)
}

func isObjectEvent(r *event.Record) bool {
	return r.Action != "" && r.ObjectType != "" && r.ObjectID != ""
}

// held returns the event that the request duplicates; its number is 0 if it was
// removed.
func (t *tx) held(seq int64) event.Appended {
	a := event.Appended{Duplicate: true}
	if seq > 0 {
		if r, ok := t.row(seq); ok {
			a.Seq, a.ID = r.Seq, r.ID
		}
	}
	return a
}

// Listing is what a part of a listing, or a look-up, led to.
type Listing struct {
	// Created are the objects that were not known to exist, with the events of
	// their creation if creations are reported.
	Created []Finding
	// Doubtful are objects that the listing shows although their deletion is
	// known. Only a look-up can say whether they exist.
	Doubtful []snapshot.Object
}

// Finding is an object and the event that reports its creation or deletion. Appended
// has no number if nothing was reported.
type Finding struct {
	Object   snapshot.Object
	Appended event.Appended
}

func (cmd *listed) apply(t *tx) (res result, _ error) {
	p := &cmd.Page
	for i := range p.Objects {
		o := t.object(snapshot.Key(p.Type, p.Account, p.Objects[i].ID))
		now := o.Object.Object
		became := now.Listed(p, &p.Objects[i], t.at)
		t.shown(&res.listing, o, now, became, p.Report, cmd.IDs[i])
	}
	return res, nil
}

func (cmd *looked) apply(t *tx) (res result, _ error) {
	k := &cmd.Look
	o := t.object(snapshot.Key(k.Type, k.Account, k.ID))
	now := o.Object.Object
	became := now.Looked(k, t.at)
	t.shown(&res.listing, o, now, became, k.Report, cmd.id)
	return res, nil
}

// shown stores what became of an object by a listing or a look-up.
func (t *tx) shown(l *Listing, o *object, now snapshot.Object, became snapshot.Outcome, report bool, id ulid.ULID) {
	switch became {
	case snapshot.Ignored:
		return
	case snapshot.Doubtful:
		l.Doubtful = append(l.Doubtful, now)
		return
	case snapshot.Appeared:
		l.Created = append(l.Created, t.found(&now, event.Created, report, id))
	case snapshot.Noted:
	}
	t.put(o, now)
}

func (cmd *missing) apply(t *tx) (res result, _ error) {
	m := &cmd.Missing
	o := t.object(snapshot.Key(m.Type, m.Account, m.ID))
	now := o.Object.Object
	if !now.Misses(m) {
		res.appended = event.Appended{Seq: now.DeletedSeq, Duplicate: true}
		return res, nil
	}
	res.appended = t.found(&now, event.Deleted, m.Report, cmd.id).Appended
	t.put(o, now)
	return res, nil
}

// found updates an object whose creation or deletion was found, and appends the
// event if it is to be reported.
func (t *tx) found(o *snapshot.Object, a event.Action, report bool, id ulid.ULID) Finding {
	f := Finding{}
	r := tables.Normal(o.Record(a, t.at.Wall))
	if report {
		f.Appended = t.append(&r, id)
	}
	switch {
	case a == event.Deleted:
		o.Happened(&r, f.Appended.Seq, t.at)
	case report:
		o.Created, o.CreatedSeq = t.at.Clock, f.Appended.Seq
	}
	f.Object = *o
	return f
}

// apply sets a cursor if it still is at From.
func (cmd *moved) apply(t *tx) (res result, _ error) {
	if t.change(t.fail, "UPDATE consumers SET cursor = ? WHERE name = ? AND cursor = ?", cmd.To, cmd.Consumer, cmd.From) > 0 {
		return res, nil
	}
	var now int64 // 0 for a new consumer
	_, err := t.c.Ints(ctx0, "SELECT cursor FROM consumers WHERE name = ?", []any{cmd.Consumer}, &now)
	t.look(err)
	if now != cmd.From {
		return res, fmt.Errorf("%w: %q is at %d, not %d", ErrCursorMoved, cmd.Consumer, now, cmd.From)
	}
	t.exec("INSERT OR REPLACE INTO consumers (name, cursor) VALUES (?,?)", cmd.Consumer, cmd.To)
	return res, nil
}

func (cmd *setting) apply(t *tx) (res result, _ error) {
	t.set(cmd.Key, cmd.Value)
	return res, nil
}

// set stores a small value; an empty one removes the key.
func (t *tx) set(key, value string) {
	t.before("SELECT value FROM state WHERE key = ?", key)
	if value == "" {
		t.exec("DELETE FROM state WHERE key = ?", key)
		return
	}
	t.exec("INSERT OR REPLACE INTO state (key, value) VALUES (?,?)", key, value)
}
