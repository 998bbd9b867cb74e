package snapshot

import (
	"encoding/json"
	"time"

	"kazoohook/internal/event"
)

// Clock is a time on the journal's own clock, in nanoseconds. That clock starts
// at the Unix time of the journal's creation, so zero is never a time. It advances
// by the time that passes, never by a jump of the wall clock.
type Clock int64

// Add returns the time d later.
func (c Clock) Add(d time.Duration) Clock { return c + Clock(d) }

// Sub returns the time from d to c.
func (c Clock) Sub(d Clock) time.Duration { return time.Duration(c - d) }

// At says which command is applied, and when.
type At struct {
	Number int64     // of the command; every applied command has one of its own
	Clock  Clock     // on the journal's clock
	Wall   time.Time // data: no rule compares it with another wall time, except to know the age of what was read back
}

// Of returns when r happened: now, or for an attempt read back from Kazoo's record,
// when it failed.
func (a At) Of(r *event.Record) Clock {
	if r.Source != event.SourceRecovered {
		return a.Clock
	}
	return a.Past(r.ReceivedAt)
}

// Past returns a wall time of the past on the journal's clock. A time of the
// future counts as now.
func (a At) Past(t time.Time) Clock { return a.Clock.Add(-max(0, a.Wall.Sub(t))) }

const (
	// Reorder is how far apart two events of one object may arrive in the wrong
	// order: Kazoo fires each event from a process of its own, and a first try
	// may fail (kazoo 4.3 applications/webhooks/src/webhooks_util.erl).
	Reorder = time.Minute
	// NodeClocks is how far apart the clocks of Kazoo's nodes may be, and so how
	// wrong the time of a recovered event may be.
	NodeClocks = time.Hour
)

// State says whether an object exists.
type State uint8

// The states of an object.
const (
	Unknown State = iota
	Alive
	Deleted
)

// Object is what is known of one object in Kazoo: enough to report its deletion
// once, and to name it afterwards. A time on the journal's clock is 0 where there
// is none; times of the wall clock are for people.
type Object struct {
	Type      string // Kazoo's document type: "user", "device", ...
	ID        string
	AccountID string            // the account it lives in; an account lives in itself
	Name      string            // for a person: "Ann Lee"; may be empty
	Fields    map[string]string // username, email, ...: what else identifies it
	State     State

	FirstSeen, LastSeen time.Time // UTC
	DeletedAt           time.Time // UTC; of the newest deletion known

	// The newest creation and deletion known: when, and the number of the event.
	// The number is 0 for a hidden event, or where a listing or look-up stands for
	// an event that HOOKS doesn't ask for.
	Created, Deleted       Clock
	CreatedSeq, DeletedSeq int64

	// Shown is the first sign of life since the newest deletion. While State is
	// Deleted it waits for a look-up.
	Shown Clock
	Seen  Clock // the newest sign of life: an event or a look-up, not a listing
	// Look is the number of the command that asks for a look-up; 0 if none is
	// needed. A look-up is needed if the name may be missing or outdated, or if a
	// deleted object may exist again, or a restored one may be deleted again. It is
	// also needed for a deleted account, because all its objects are deleted, too.
	Look    int64
	Pass    int64 // number of the newest listing that showed it
	Touched int64 // number of the newest command that may have changed State
}

// Key identifies an object: by type and id where the id is 32 hexadecimal
// digits, else also by account, since media prompts have the same id in every
// account (kazoo 4.3 applications/crossbar/src/modules/cb_media.erl). It is the
// key of the object's creation and deletion under event.RuleLifecycle.
func Key(objectType, account, id string) event.Key {
	return event.LifecycleKey(account, objectType, id)
}

// Key identifies the object.
func (o *Object) Key() event.Key { return Key(o.Type, o.AccountID, o.ID) }

// Unique reports whether an id was drawn at random (32 hexadecimal digits), so that
// no other object ever has it.
func Unique(id string) bool {
	const digits = 32
	if len(id) != digits {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || '9' < c) && (c < 'a' || 'f' < c) {
			return false
		}
	}
	return true
}

// TypeAccount is the type of accounts, which hold all other objects.
const TypeAccount = "account"

// Types are the object types that Crossbar lists: accounts first, because the
// deletion of an account explains the deletion of everything in it, then users.
func Types() []string {
	return []string{TypeAccount, "user", "callflow", "device", "faxbox", "media", "vmbox"}
}

// Kind is the name under which Crossbar lists objects of a type, "" if it
// doesn't (kazoo 4.3 applications/crossbar/src/modules/cb_users.erl and
// others). Accounts are listed as descendants.
func Kind(objectType string) string {
	switch objectType {
	case "user", "device", "callflow", TypeAccount:
		return objectType + "s"
	case "vmbox", "faxbox":
		return objectType + "es"
	case "media":
		return objectType
	}
	return ""
}

// Doubts reports whether the object came back after its deletion and a deletion
// recovered with this time may be older or newer than the return.
func (o *Object) Doubts(t Clock) bool {
	return o.Returned() && o.Shown.Add(-NodeClocks) <= t && t <= o.Shown.Add(NodeClocks)
}

// Returned reports whether the object is alive and was deleted before.
func (o *Object) Returned() bool { return o.State == Alive && o.Deleted != 0 }

// Record returns the event that reports a finding about the object. Its body is
// what Kazoo would have sent, plus what is known of the object.
func (o *Object) Record(action event.Action, at time.Time) event.Record {
	body := map[string]any{}
	for k, v := range o.Fields {
		body[k] = v
	}
	body["id"], body["account_id"], body["action"], body["type"] = o.ID, o.AccountID, action, o.Type
	if o.Name != "" {
		body["object_name"] = o.Name
	}
	raw, err := json.Marshal(body)
	if err != nil { // strings marshal
		panic(err)
	}
	return event.Route(event.Request{
		Source: event.SourceResync, ReceivedAt: at.UTC(), Hook: "object", Method: "POST",
		ContentType: "application/json", Body: raw,
	})
}
