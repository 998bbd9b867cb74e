package journal

import (
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
)

// The commands of onward delivery. Package delivery evaluates filters, schedules and
// the breaker; a command only holds the result.

// configured changes which destinations there are.
type configured struct {
	header
	Add    []NewDestination `cbor:"1,keyasint,omitzero"` // that are new, or configured again within a week
	Remove []string         `cbor:"2,keyasint,omitzero"` // that are no longer configured
	Forget []string         `cbor:"3,keyasint,omitzero"` // that were removed long ago
}

// judged moves a destination's cursor over events whose filters were evaluated.
type judged struct {
	unsynced
	Destination string   `cbor:"1,keyasint,omitzero"`
	From        int64    `cbor:"2,keyasint,omitzero"`
	To          int64    `cbor:"3,keyasint,omitzero"`
	Rows        []Judged `cbor:"4,keyasint,omitzero"` // of from+1 to to, ascending
}

// decided says which events that waited for the look-up of their account are for the
// destination (Match) and which aren't (Drop).
type decided struct {
	unsynced
	Destination string  `cbor:"1,keyasint,omitzero"`
	Match       []int64 `cbor:"2,keyasint,omitzero"`
	Drop        []int64 `cbor:"3,keyasint,omitzero"`
}

// attempted holds the outcomes of attempts.
type attempted struct {
	unsynced
	Destination string      `cbor:"1,keyasint,omitzero"`
	Outcomes    []Outcome   `cbor:"2,keyasint,omitzero"`
	Pause       *Pause      `cbor:"3,keyasint,omitzero"` // that follows from them; nil: unchanged
	IDs         []ulid.ULID `cbor:"4,keyasint,omitzero"` // for the events that the outcomes report
	// Judged is applied first; nil: there is none. Its rows don't have the events that
	// were delivered at once.
	Judged *judged `cbor:"5,keyasint,omitzero"`
}

// paused pauses or resumes a destination.
type paused struct {
	header
	Destination string `cbor:"1,keyasint,omitzero"`
	Pause       Pause  `cbor:"2,keyasint,omitzero"`
}

// redelivered makes events wait again.
type redelivered struct {
	header
	Destination string   `cbor:"1,keyasint,omitzero"`
	Rows        []Judged `cbor:"2,keyasint,omitzero"`
}

// discarded deletes dead letters.
type discarded struct {
	header
	Destination string  `cbor:"1,keyasint,omitzero"`
	Seqs        []int64 `cbor:"2,keyasint,omitzero"`
}

// dropped turns deliveries of events up to a number into dead letters without a body:
// the events are no longer kept.
type dropped struct {
	header
	Through int64  `cbor:"1,keyasint,omitzero"`
	Reason  string `cbor:"2,keyasint,omitzero"`
}

// placed notes where accounts are in the tree of accounts.
type placed struct {
	unsynced
	Accounts []AccountPlace `cbor:"1,keyasint,omitzero"`
}

// hurried marks commands that an attempt waits for. They don't wait for a request to
// share its transaction: they need no sync.
type hurried interface{ hurried() }

func (*judged) hurried()    {}
func (*decided) hurried()   {}
func (*attempted) hurried() {}

// Pause says whether a destination is paused, and by whom.
type Pause uint8

// The reasons of a pause.
const (
	NotPaused         Pause = iota
	PausedByBreaker         // too many failures in a row; probes go on
	PausedByPerson          // until somebody resumes it
	PausedByRecipient       // it answered that it wants no more (HTTP 410); until somebody resumes it
)

// String is the reason in a word: "", "failures", "operator" or "recipient".
func (p Pause) String() string {
	switch p {
	case PausedByBreaker:
		return "failures"
	case PausedByPerson:
		return "operator"
	case PausedByRecipient:
		return "recipient"
	case NotPaused:
	}
	return ""
}

// NewDestination is a destination to add.
type NewDestination struct {
	Name string `cbor:"1,keyasint,omitzero"`
	// Cursor is the event before its first one. It is ignored if the journal already
	// has a destination of that name.
	Cursor int64 `cbor:"2,keyasint,omitzero"`
}

// Judged is an event that a destination gets, or may get.
type Judged struct {
	Seq   int64     `cbor:"1,keyasint,omitzero"`
	ID    ulid.ULID `cbor:"2,keyasint,omitzero"`
	Event string    `cbor:"3,keyasint,omitzero"` // its name
	Key   string    `cbor:"4,keyasint,omitzero"` // the ordering key
	// State is Waiting, Undecided until the account was looked up, or Dead if the
	// event is not kept.
	State DeliveryState `cbor:"5,keyasint,omitzero"`
	// Due is when an undecided event no longer waits for a look-up.
	Due   time.Time `cbor:"6,keyasint,omitzero"`
	Error string    `cbor:"7,keyasint,omitzero"` // if it is dead
}

// DeliveryState is the state of a delivery.
type DeliveryState uint8

// The states. Only Journal.Deliveries lists deliveries of the last two.
const (
	Waiting   DeliveryState = iota
	Undecided               // a look-up of the event's account decides whether the event is for the destination
	Dead
	Delivered
	Discarded // it was a dead letter
)

// Outcome is the outcome of one attempt.
type Outcome struct {
	Seq       int64 `cbor:"1,keyasint,omitzero"`
	Delivered bool  `cbor:"2,keyasint,omitzero"`
	First     bool  `cbor:"3,keyasint,omitzero"` // no attempt was made before, and it was not redelivered
	// Uncounted attempts, such as probes, don't count in the schedule.
	Uncounted bool `cbor:"4,keyasint,omitzero"`
	// Attempts is how many attempts at the delivery count so far, this one included. It
	// is no difference: an outcome that is applied again must change nothing.
	Attempts int  `cbor:"17,keyasint,omitzero"`
	Dead     bool `cbor:"5,keyasint,omitzero"` // it failed, and was the last attempt
	NoBody   bool `cbor:"6,keyasint,omitzero"` // it is dead because its event is no longer kept
	Skipped  bool `cbor:"7,keyasint,omitzero"` // no attempt was made, for example because the event can't be formatted

	At   time.Time     `cbor:"8,keyasint,omitzero"` // when it began
	Took time.Duration `cbor:"9,keyasint,omitzero"`
	// Due is when the next attempt is due, Wait the time from this one's end to Due.
	Due  time.Time     `cbor:"10,keyasint,omitzero"`
	Wait time.Duration `cbor:"11,keyasint,omitzero"`
	// Base is how many events the destination had accepted when the first attempt
	// at this one began.
	Base    int64  `cbor:"12,keyasint,omitzero"`
	Status  string `cbor:"13,keyasint,omitzero"`
	Error   string `cbor:"14,keyasint,omitzero"`
	Excerpt string `cbor:"15,keyasint,omitzero"`
	// Report is our own event that reports a dead letter; nil: none.
	Report *event.Record `cbor:"16,keyasint,omitzero"`
}

// AccountPlace is where an account is in Kazoo's tree.
type AccountPlace struct {
	Account   string   `cbor:"1,keyasint,omitzero"`
	Ancestors []string `cbor:"2,keyasint,omitzero"` // from the topmost account down
}
