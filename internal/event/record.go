// Package event turns what Kazoo sends into typed events: it routes a delivery
// (which event is this, about what, how is a repetition recognised) and decodes
// it. The raw bytes are always kept; everything else is derived from them.
package event

import "time"

// Source says how an event came into the journal.
type Source string

// The sources of events.
const (
	SourceWebhook   Source = "webhook"   // Kazoo delivered it
	SourceRecovered Source = "recovered" // read back from Kazoo's record of failed attempts
	SourceResync    Source = "resync"    // inferred by comparing Kazoo's objects with our snapshot
)

// Delivery is one HTTP request from Kazoo, or the equivalent of one that was
// read back from Kazoo's attempts or inferred by a resync.
type Delivery struct {
	Source        Source
	ReceivedAt    time.Time // UTC; for a recovered delivery the time of Kazoo's last attempt
	Hook          string    // last path segment of our hook URI: "object", "channel_create", ...
	HookID        string    // X-Hook-ID
	HookAccountID string    // X-Account-ID: the hook's account, not always the event's
	Method        string    // GET, POST or PUT
	ContentType   string    // as sent; for a GET application/x-www-form-urlencoded
	RemoteAddr    string    // peer (or trusted forwarded) address, empty unless SourceWebhook
	Body          []byte    // raw body; for a GET the raw query
	Firing        Firing    // set for SourceRecovered only
}

// Firing identifies one firing of a hook in Kazoo's record of attempts.
type Firing struct {
	ID          string    // Kazoo's event_id: the same for all tries of one firing
	First, Last time.Time // our clock: when its first and last recorded try happened
}

// Record is one event as the journal keeps it: the delivery and the few fields
// that routing derives from it. Seq and ID are given by the journal.
type Record struct {
	Delivery
	Seq        int64  // dense, increasing, from 1
	ID         string // ULID
	Event      string // contract name: "user.deleted", "channel.create", ..., "unknown"
	AccountID  string // the account the event happened in
	ObjectType string // object events: "user", "device", ...
	ObjectID   string // object events: the object's id; call events: the call id
	Action     Action // object events
	Dedupe     Dedupe
	Problem    string // why Event is "unknown"; empty otherwise
}

// Unknown is the name of an event whose delivery was not understood.
const Unknown = "unknown"

// Action is what happened to an object.
type Action string

// The actions of object events.
const (
	Created Action = "doc_created"
	Edited  Action = "doc_edited"
	Deleted Action = "doc_deleted"
)

// Rule names a way to recognise a repeated delivery of an event already held.
type Rule uint8

const (
	// RuleUnacknowledged suppresses an identical delivery of the same hook only
	// if the earlier one ended without our 200 having been written and only
	// within Kazoo's retry window: two real edits of one object have identical
	// bytes, so equality alone proves nothing.
	RuleUnacknowledged Rule = iota
	// RuleContent suppresses every later delivery with the same key: the key is
	// made of content that is unique to the event (call id, name and timestamp;
	// a notification's msg_id; a version 2 timestamp and data).
	RuleContent
	// RuleLifecycle suppresses a doc_created or doc_deleted that does not change
	// what is known of the object: Kazoo fires doc_deleted again at any later
	// save of a deleted document, and account documents live twice.
	RuleLifecycle
)

// Key is the identity of an event under its Rule.
type Key [16]byte

// Dedupe is how repetitions of a delivery are recognised.
type Dedupe struct {
	Rule Rule
	Key  Key
}

// Appended is the outcome of an append to the journal.
type Appended struct {
	Seq       int64  // of the new event, or of the one it repeats (0 if that was pruned)
	ID        string // likewise
	Duplicate bool   // nothing was appended: the event is already held
}
