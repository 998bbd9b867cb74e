package event

import "time"

// Source is the origin of an event in the journal.
type Source string

// The sources of events.
const (
	SourceWebhook   Source = "webhook"   // Kazoo delivered it
	SourceRecovered Source = "recovered" // read back from Kazoo's record of failed attempts
	SourceResync    Source = "resync"    // inferred by comparing Kazoo's objects with our snapshot
	SourceReceiver  Source = "receiver"  // the receiver itself: an event of the family kazoohook
)

// Sources lists all sources.
func Sources() []Source {
	return []Source{SourceWebhook, SourceRecovered, SourceResync, SourceReceiver}
}

// Request is one HTTP request from Kazoo, or the equivalent of one: read back from
// Kazoo's attempts, inferred by a resync, or an event of the receiver's own. The
// cbor numbers are the wire format between the nodes of a cluster: a number is
// never reused for something else.
type Request struct {
	Source        Source    `cbor:"1,keyasint,omitzero"`
	ReceivedAt    time.Time `cbor:"2,keyasint,omitzero"`  // UTC; for a recovered request the time of Kazoo's last attempt
	Hook          string    `cbor:"3,keyasint,omitzero"`  // last path segment of our hook URI: "object", "channel_create", ...
	HookID        string    `cbor:"4,keyasint,omitzero"`  // X-Hook-ID
	HookAccountID string    `cbor:"5,keyasint,omitzero"`  // X-Account-ID: the hook's account, not always the event's
	Method        string    `cbor:"6,keyasint,omitzero"`  // GET, POST or PUT
	ContentType   string    `cbor:"7,keyasint,omitzero"`  // as sent; for a GET application/x-www-form-urlencoded
	RemoteAddr    string    `cbor:"8,keyasint,omitzero"`  // peer (or trusted forwarded) address, empty unless SourceWebhook
	RequestID     string    `cbor:"12,keyasint,omitzero"` // X-Request-Id of a trusted proxy, the same at each of its tries; not kept
	Body          []byte    `cbor:"9,keyasint,omitzero"`  // raw body; for a GET the raw query
	Firing        Firing    `cbor:"10,keyasint,omitzero"` // set for SourceRecovered only
	Signature     Signature `cbor:"11,keyasint,omitzero"` // of a version 2 request
}

// Signature is the result of verifying a request from Kazoo 5.
type Signature uint8

// The results.
const (
	Unsigned    Signature = iota // no key is set for the hook, or the request has no signature that can be verified
	SignedRight                  // the signature belongs to the key and the body
	SignedWrong                  // a key is set and the signature is missing or wrong
)

// Firing identifies one firing of a hook in Kazoo's record of attempts.
//
// Firings of a hook are appended in the order of their first tries. Each is one
// event: two firings are two events, even if they are identical. Times are by the
// clocks of Kazoo's nodes, which may be an hour off: they order firings, but not
// firings among requests. A firing may match one stored request of the same key and
// hook whose 200 is not known to have been written. Once a firing has ended, no
// later request is one of its tries.
type Firing struct {
	ID    string    `cbor:"1,keyasint,omitzero"` // Kazoo's event_id: the same for all tries of one firing
	First time.Time `cbor:"2,keyasint,omitzero"` // when its first and last recorded try happened, by Kazoo's clock brought to ours
	Last  time.Time `cbor:"5,keyasint,omitzero"`
	End   FiringEnd `cbor:"3,keyasint,omitzero"`
	Tries int       `cbor:"4,keyasint,omitzero"` // failed tries on record, at least 1
}

// FiringEnd is the end of a firing in Kazoo's record.
type FiringEnd uint8

// The ends. Only failures are recorded: an open firing was answered 200 at a later
// try, or Kazoo died before that.
const (
	FiringOpen       FiringEnd = iota // the last try is not recorded
	FiringAnswered                    // the last try was answered, but not with 200
	FiringUnanswered                  // the last try got no answer
)

// Record is one event in the journal: the request and the few fields that routing
// derives from it. The journal sets Seq and ID.
type Record struct {
	Request
	Seq        int64  `cbor:"-"`                    // dense, increasing, from 1
	ID         string `cbor:"-"`                    // ULID
	Event      string `cbor:"20,keyasint,omitzero"` // contract name: "user.deleted", "channel.create", ..., "unknown"
	AccountID  string `cbor:"21,keyasint,omitzero"` // the account the event happened in
	ObjectType string `cbor:"22,keyasint,omitzero"` // object events: "user", "device", ...
	ObjectID   string `cbor:"23,keyasint,omitzero"` // object events: the object's id; call events: the call id
	Action     Action `cbor:"24,keyasint,omitzero"` // object events
	Dedupe     Dedupe `cbor:"25,keyasint,omitzero"`
	Problem    string `cbor:"26,keyasint,omitzero"` // why Event is "unknown"; empty otherwise
	// Hidden says that the event only changes the snapshot: HOOKS doesn't name it,
	// but the deletion of its object is watched. It has no number and no id. This
	// is decided when the request is received.
	Hidden bool `cbor:"27,keyasint,omitzero"`
	// Known is what the snapshot knew of the object when the event was applied,
	// because Kazoo sends little more than an id. The journal sets it.
	Known Known `cbor:"-"`
}

// Known identifies an object to people.
type Known struct {
	Name   string            // "Ann Lee"; may be empty
	Fields map[string]string // username, email, ...: what else identifies it
}

// Unknown is the name of an event whose request was not understood.
const Unknown = "unknown"

// Action is what happened to an object.
type Action string

// The actions of object events.
const (
	Created Action = "doc_created"
	Edited  Action = "doc_edited"
	Deleted Action = "doc_deleted"
)

// Rule is a way to recognise a duplicate: a request for an event already in the
// journal.
type Rule uint8

const (
	// RuleUnacknowledged suppresses an identical request of the same hook only
	// if the earlier one ended without our 200 having been written and only
	// within Kazoo's retry window: two real edits of one object have identical
	// bytes, so equality alone proves nothing.
	RuleUnacknowledged Rule = iota
	// RuleContent suppresses every later request with the same key: the key is
	// made of content that is unique to the event (call id, name and timestamp;
	// a notification's msg_id; a version 2 timestamp and data).
	RuleContent
	// RuleLifecycle suppresses a doc_created or doc_deleted that does not change
	// what is known of the object: Kazoo fires doc_deleted again whenever a deleted
	// document is saved, and account documents exist twice.
	RuleLifecycle
)

// Key is the identity of an event under its Rule.
type Key [16]byte

// Dedupe says how duplicates of an event are recognised.
type Dedupe struct {
	Rule Rule `cbor:"1,keyasint,omitzero"`
	Key  Key  `cbor:"2,keyasint,omitzero"`
}

// Appended is the result of an append to the journal.
type Appended struct {
	Seq       int64  // of the new event, or of the one it duplicates (0 if that was pruned)
	ID        string // its id, "" if that was pruned
	Duplicate bool   // nothing was appended: the event is in the journal already
	Command   uint64 // identifies the append when the outcome of its answer is reported; also set if it failed
}
