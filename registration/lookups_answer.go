package registration

import (
	"context"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// look looks up one object, unless it is paused or no longer needed. It returns
// true if the round should stop, because Kazoo doesn't answer or the journal is
// broken.
func (l *lookups) look(ctx context.Context, root string, o *snapshot.Object) (stop bool) {
	l.run.Lock()
	defer l.run.Unlock()
	f, key := failure{o.AccountID, o.Type, true}, o.Key()
	if l.paused(f) || l.paused(key) || l.silence.stuck[o.AccountID] {
		return false
	}
	asOf := l.store.Applied() // later commands take precedence over what is read now
	now, ok, err := l.store.Object(ctx, o.Type, o.AccountID, o.ID)
	if err != nil || !ok || now.Look == 0 {
		return err != nil
	}
	held, err := l.held(ctx, &now)
	if err != nil {
		return true
	}
	if now.Type == accountType && now.State == snapshot.Deleted && now.Shown == 0 && len(held) == 0 {
		return l.tell(ctx, answer(&now, nil, asOf)) != nil // nothing depends on it
	}
	got, err := l.ask(ctx, &now)
	switch {
	case err == nil:
		return l.found(ctx, &now, got, asOf)
	case crossbar.IsNotFound(err):
		return l.notFound(ctx, &now, held, asOf)
	case ctx.Err() != nil:
		return true
	}
	l.fails(f, err)
	if refused(err) {
		l.pause(key, longestPause)
	} else {
		l.pause(f, firstPause)
	}
	return l.silence.note(ctx, l.api, root, o.AccountID, err)
}

func (l *lookups) ask(ctx context.Context, o *snapshot.Object) (crossbar.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return l.api.Object(ctx, o.AccountID, snapshot.Kind(o.Type), o.ID)
}

// answered records that Kazoo answered for an object.
func (l *lookups) answered(o *snapshot.Object) {
	f := failure{o.AccountID, o.Type, true}
	l.silence.answered()
	delete(l.again, f)
	delete(l.again, o.Key())
	l.works(f)
}

// found applies the answer that an object exists. A deleted one is alive again.
func (l *lookups) found(ctx context.Context, o *snapshot.Object, got crossbar.Object, asOf int64) (stop bool) {
	if o.Type == accountType && o.State == snapshot.Deleted && o.Shown == 0 && l.again[o.Key()].next == 0 {
		// Kazoo reported the account deleted, and now it exists. It is looked up
		// once more before that is believed.
		l.answered(o)
		l.pause(o.Key(), snapshot.Reorder)
		l.opts.Log.Warn().Str("deleted_account_id", o.ID).Int64("of_seq", o.DeletedSeq).
			Msg("an account was reported deleted but Kazoo still has it; its objects are not reported as deleted")
		return false
	}
	l.answered(o)
	a := answer(o, &got, asOf)
	a.Report = l.reportsReturn(o)
	return l.tell(ctx, a) != nil
}

// notFound applies the answer that there is no such object. If it is a deleted account,
// its objects are deleted too. An object that had come back after its deletion is
// deleted again: its second deletion may be known only from a failed attempt, whose
// time doesn't distinguish it from the first.
func (l *lookups) notFound(ctx context.Context, o *snapshot.Object, held []snapshot.Object, asOf int64) (stop bool) {
	l.answered(o)
	if o.Type == accountType && o.State == snapshot.Deleted {
		for _, h := range held {
			if err := l.lose(ctx, loss{h, asOf}, l.watches(h.Type, event.Deleted), func(int64) {}); err != nil {
				return true
			}
		}
	}
	if o.Returned() {
		if err := l.lose(ctx, loss{*o, asOf}, l.watches(o.Type, event.Deleted), func(int64) {}); err != nil {
			return true
		}
	}
	return l.tell(ctx, answer(o, nil, asOf)) != nil
}

// tell passes an answer to the journal.
func (l *lookups) tell(ctx context.Context, a snapshot.Look) error {
	got, err := l.store.Looked(ctx, a)
	for _, f := range got.Created {
		if f.Appended.Seq != 0 {
			l.count(func(s *ResyncStats) { s.Created++ })
		}
	}
	return err
}

// held returns the objects that are alive in a deleted account.
func (l *lookups) held(ctx context.Context, o *snapshot.Object) (list []snapshot.Object, err error) {
	if o.Type != accountType || o.State != snapshot.Deleted {
		return nil, nil
	}
	for _, typ := range snapshot.Types() {
		if typ == accountType {
			continue
		}
		if list, err = collect(list, l.store.Objects(ctx, typ, o.ID)); err != nil {
			return nil, err
		}
	}
	return list, nil
}
