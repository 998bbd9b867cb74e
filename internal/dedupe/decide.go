package dedupe

import (
	"crypto/sha256"
	"slices"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// Lookup is what the rules read from the journal. It answers as of the command that
// is being applied, earlier commands of the same transaction included. If it can't read
// something, it may answer anything: the journal then discards the decision.
type Lookup interface {
	// Object returns what is known of the object whose creation or deletion has
	// this key.
	Object(key event.Key) (snapshot.Object, bool)
	// Content returns the event with the record's key under event.RuleContent.
	Content(r *event.Record) (seq int64, ok bool)
	// Unanswered returns the stored requests with the record's key under
	// event.RuleUnacknowledged whose outcome is unknown or negative, oldest
	// first. Requests that are matched with a firing are left out.
	Unanswered(r *event.Record) []Unanswered
	// Firing returns the event of a firing that was recovered before; seq is 0 if
	// the event is hidden or no longer kept.
	Firing(hookID, id string) (seq int64, ok bool)
	// Tried returns the event of event.RuleUnacknowledged that has this key and
	// whose request had this X-Request-Id.
	Tried(key event.Key, requestID string) (seq int64, ok bool)
}

const (
	// retryWindow is how long after an unanswered request Kazoo may still repeat
	// it: up to 5 tries, 2 s apart, each with up to 10 s of connecting
	// (kazoo 4.3 applications/webhooks/src/webhooks_util.erl).
	retryWindow = time.Minute
	// retryPause is Kazoo's pause between tries. An identical request that comes
	// sooner, while the first is still being answered, is a new event.
	retryPause = 2 * time.Second
)

// Unanswered is a stored request whose 200 is not known to have been written.
type Unanswered struct {
	Seq         int64          // of its event
	At          snapshot.Clock // when its newest try was stored, or when the outcome of that try became known
	Received    time.Time      // when it came, by the wall clock; zero: unknown
	Failed      bool           // the 200 was not written; false: not known yet
	BeforeCrash bool           // the process died before the outcome was known
}

// Awaits reports whether Kazoo may repeat the request: the answer failed, or it has
// taken so long that Kazoo may have given up.
func (u *Unanswered) Awaits(now snapshot.Clock) bool {
	age := now.Sub(u.At)
	switch {
	case age > retryWindow:
		return false
	case u.Failed:
		return true
	}
	return !u.BeforeCrash && age >= retryPause
}

// failedAs reports whether a firing may have been this request. The firing's tries
// lasted from first to last by the clock of one of Kazoo's nodes. It matches by the
// journal's clock or by the wall clock, because either may have stopped or jumped
// in between.
func (u *Unanswered) failedAs(f *event.Firing, at snapshot.At) bool {
	reach := retryWindow
	if u.Failed {
		reach = snapshot.NodeClocks
	}
	if at.Past(f.First).Add(-reach) <= u.At && u.At <= at.Past(f.Last).Add(reach) {
		return true
	}
	return !u.Received.IsZero() && !u.Received.Before(f.First.Add(-reach)) && !u.Received.After(f.Last.Add(reach))
}

// Identity returns how duplicates of r are recognised: as event.Route found. But
// anybody who knows the hook's secret may have sent a request whose signature is wrong,
// and it must not make a real one a duplicate. Such a request has a key of its own, made
// of its bytes, so it is compared only with others of its kind. A creation or deletion
// is then recognised by its content, as it says nothing about the object.
func Identity(r *event.Record) event.Dedupe {
	d := r.Dedupe
	if r.Signature != event.SignedWrong {
		return d
	}
	if d.Rule == event.RuleLifecycle {
		d.Rule = event.RuleContent
	}
	body := sha256.Sum256(r.Body)
	sum := sha256.Sum256(slices.Concat([]byte("signature wrong"), d.Key[:], body[:]))
	copy(d.Key[:], sum[:])
	return d
}

// Decision is what Decide found.
type Decision struct {
	Duplicate bool
	Of        int64 // the earlier event; 0 if it is hidden or no longer kept
	// Claims says that the record is another try of the unanswered request Of. If it
	// came from a hook, its outcome replaces that of Of. If it is a recovered firing,
	// Of is no longer unanswered.
	Claims bool
	// Look asks for a look-up of the object: the deletion is either the known one
	// or another, and only Kazoo knows which.
	Look bool
}

// Decide decides whether r, which has its Identity, is a duplicate.
//
//   - Unique content (event.RuleContent) identifies an event.
//   - A creation or a deletion (event.RuleLifecycle) is judged by what is known
//     of its object.
//   - Anything else (event.RuleUnacknowledged) is a duplicate of an identical
//     request if a trusted proxy repeats it with the same X-Request-Id. Otherwise it
//     is one only if the answer to that request failed, or if its outcome is unknown
//     after 2 s. Each request absorbs one duplicate at a time, within a minute.
//   - A firing that was recovered before is a duplicate. Otherwise it stands for
//     one identical request whose 200 was not written. If there is none, it is an
//     event: two firings are two events, even if they are identical.
//   - A request whose signature is wrong is a duplicate only of others like it, and
//     nothing else is a duplicate of it: see Identity.
func Decide(l Lookup, r *event.Record, at snapshot.At) Decision {
	if r.Source == event.SourceRecovered && r.Firing.ID != "" {
		if seq, ok := l.Firing(r.HookID, r.Firing.ID); ok {
			return Decision{Duplicate: true, Of: seq}
		}
	}
	switch r.Dedupe.Rule {
	case event.RuleContent:
		seq, ok := l.Content(r)
		return Decision{Duplicate: ok, Of: seq}
	case event.RuleLifecycle:
		if o, ok := l.Object(r.Dedupe.Key); ok {
			return lifecycle(&o, r, at)
		}
		return Decision{}
	default:
		return unacknowledged(l, r, at)
	}
}

func unacknowledged(l Lookup, r *event.Record, at snapshot.At) Decision {
	if r.Source == event.SourceWebhook && r.RequestID != "" {
		if seq, ok := l.Tried(r.Dedupe.Key, r.RequestID); ok {
			return Decision{Duplicate: true, Of: seq}
		}
	}
	held := l.Unanswered(r)
	for i := range held {
		u := &held[i]
		if r.Source == event.SourceRecovered && u.failedAs(&r.Firing, at) ||
			r.Source == event.SourceWebhook && u.Awaits(at.Clock) {
			return Decision{Duplicate: true, Of: u.Seq, Claims: true}
		}
	}
	return Decision{}
}

// lifecycle judges a creation or a deletion. Those from a hook are ordered by arrival.
// A recovered one happened when its last try failed, so it may be older than what is
// known. Its time may be wrong by snapshot.NodeClocks.
func lifecycle(o *snapshot.Object, r *event.Record, at snapshot.At) Decision {
	t, past := at.Of(r), r.Source == event.SourceRecovered
	switch r.Action {
	case event.Created:
		if creationHeld(o, t, past) {
			return Decision{Duplicate: true, Of: o.CreatedSeq}
		}
	case event.Deleted:
		if deletionHeld(o, t, past) {
			return Decision{Duplicate: true, Of: o.DeletedSeq, Look: past && o.Doubts(t)}
		}
	}
	return Decision{}
}

func creationHeld(o *snapshot.Object, t snapshot.Clock, past bool) bool {
	switch {
	case o.Created == 0:
		return false
	case snapshot.Unique(o.ID):
		return true
	case past && t < o.Created:
		// It is another creation only if the object was surely deleted in between.
		return t.Add(snapshot.NodeClocks) >= o.Deleted || o.Deleted >= o.Created
	case o.Created > o.Deleted, (o.State == snapshot.Alive || o.Shown != 0) && o.Created >= o.Shown:
		return true // created since the newest deletion
	}
	return past && t <= o.Deleted
}

func deletionHeld(o *snapshot.Object, t snapshot.Clock, past bool) bool {
	switch {
	case o.Deleted == 0:
		return false
	case past && t <= o.Deleted:
		// It is another deletion only if the object surely lived in between.
		return t.Add(snapshot.NodeClocks) >= o.Seen || o.Seen >= o.Deleted
	case o.State == snapshot.Alive:
		// The object exists again. An older firing is a duplicate of the known
		// deletion: Kazoo fires again whenever a deleted document is saved.
		return past && (t < o.Shown || o.Doubts(t))
	}
	// Deleted. Since then an event may have shown it alive, without a look-up yet.
	return o.Shown == 0 || t <= o.Shown.Add(snapshot.Reorder)
}
