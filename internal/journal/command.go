package journal

import (
	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// command is a change of the journal. It is complete: applying it depends only
// on the database and on the command.
type command interface {
	head() *header
	// lazy reports whether the command needs no sync of its own.
	lazy() bool
	// apply carries the command out. Its error is one of the rules; t.failed has the
	// storage's.
	apply(t *tx) (result, error)
}

// header is what the writer adds to a command, or in a cluster the node that gives it.
type header struct {
	at   snapshot.At
	id   ulid.ULID // for the event that the command may append
	term uint64    // in a cluster, the only term in which it counts; 0: any
}

func (h *header) head() *header { return h }
func (h *header) lazy() bool    { return false }

// unsynced is the header of the commands that are lazy.
type unsynced struct{ header }

func (*unsynced) lazy() bool { return true }

// result is what a command led to.
type result struct {
	appended event.Appended
	listing  Listing
	count    int64 // of deliveries that changed
	kept     string
}

// request is an event from Kazoo: received, or read back from its record of
// attempts.
type request struct {
	header
	Rec     event.Record `cbor:"1,keyasint,omitzero"`
	Command uint64       `cbor:"2,keyasint,omitzero"` // its outcome refers to it by this name
}

// owned is an event of the receiver's own.
type owned struct {
	header
	Rec event.Record `cbor:"1,keyasint,omitzero"`
}

// outcome says whether the answer to a request was written.
type outcome struct {
	unsynced
	Key     event.Key `cbor:"1,keyasint,omitzero"`
	Command uint64    `cbor:"2,keyasint,omitzero"` // of the request
	Written bool      `cbor:"3,keyasint,omitzero"` // Kazoo was sent the 200
	// RequestID is the X-Request-Id of the proxy that got the answer; "": none.
	RequestID string `cbor:"4,keyasint,omitzero"`
}

// listed is a part of a listing, of at most MaxPage objects.
type listed struct {
	header
	Page snapshot.Page `cbor:"1,keyasint,omitzero"`
	IDs  []ulid.ULID   `cbor:"2,keyasint,omitzero"` // for the events that may be appended, one for each object
}

// looked is the answer of a look-up.
type looked struct {
	header
	Look snapshot.Look `cbor:"1,keyasint,omitzero"`
}

// missing is an object that, according to Kazoo itself, is deleted.
type missing struct {
	header
	Missing snapshot.Missing `cbor:"1,keyasint,omitzero"`
}

// moved sets a consumer's cursor.
type moved struct {
	unsynced
	Consumer string `cbor:"1,keyasint,omitzero"`
	From     int64  `cbor:"2,keyasint,omitzero"`
	To       int64  `cbor:"3,keyasint,omitzero"`
}

// setting stores a small value.
type setting struct {
	header
	Key   string `cbor:"1,keyasint,omitzero"`
	Value string `cbor:"2,keyasint,omitzero"`
}

// removed deletes events, both ends included. Those that destinations still need are
// moved to the backlog.
type removed struct {
	unsynced
	First   int64 `cbor:"1,keyasint"`
	Through int64 `cbor:"2,keyasint"`
}

// swept forgets objects that were deleted long ago. The last command of a sweep also
// forgets old firings and tries.
type swept struct {
	unsynced
	After  []byte         `cbor:"1,keyasint"` // only keys after this one
	End    []byte         `cbor:"2,keyasint"` // and up to this one, included; nil: all, this is the last command
	Before snapshot.Clock `cbor:"3,keyasint"` // only what happened before this
}

// opened begins a process. On a single node, the outcome of requests that are
// unanswered now will never be known.
type opened struct{ unsynced }

// probe changes nothing; it shows whether the storage works.
type probe struct {
	header
	run func() // called on the writer's goroutine; nil: nothing
}

func (p *probe) apply(*tx) (res result, _ error) {
	if p.run != nil {
		p.run()
	}
	return res, nil
}
