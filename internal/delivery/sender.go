package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

// Message is an event to be sent to a destination in one attempt.
type Message struct {
	EventID string // also the idempotency key
	Seq     int64
	Event   string // the event's name
	Account string
	Object  string         // the object's id
	Key     string         // the ordering key; "": none
	Fields  map[string]any // the event's JSON, if a template needs it
	Route   string         // the AMQP routing key or the NATS subject

	Body        []byte // in the destination's format; the same in each attempt
	ContentType string

	Destination string    // its name
	Attempt     int       // number of the attempt, from 1
	Redelivered bool      // a person asked for it again
	At          time.Time // when the attempt began
	Received    time.Time // when the event was received
	Traceparent string    // W3C trace context; "": none
}

// Result is the result of an attempt.
type Result struct {
	// Err is nil if the destination took the event. Otherwise it says in one sentence,
	// without a secret, what failed.
	Err error
	// Answered: the other side answered, but refused: an HTTP status except 502, 503
	// and 504, a broker's refusal, an exit status. It distinguishes a bad event from an
	// outage.
	Answered bool
	// Status is the answer in a few words, like "503 Service Unavailable".
	Status string
	// Excerpt is the beginning of the answer, at most 1 KiB of valid UTF-8.
	Excerpt string
	// RetryAfter is how long the other side asks us to wait, at most 24 h.
	RetryAfter time.Duration
	// Pause: the other side wants no more events (HTTP 410).
	Pause bool
}

// Sender makes attempts at one destination. Its methods are safe for
// concurrent use.
type Sender interface {
	// Send makes one attempt. It returns soon after ctx ends, with an error that says
	// so.
	Send(ctx context.Context, m *Message) Result
	// Check reports whether the destination can be reached, without sending an event.
	// It tests the address, TLS and login.
	Check(ctx context.Context) error
	// Close ends idle connections. No attempt may run or begin.
	Close() error
}

// SenderOptions are what senders of every type get.
type SenderOptions struct {
	Log     zerolog.Logger
	Version string // of the program, for User-Agent and similar; "" leaves it out
}

// NewSender makes the sender of a destination. It makes no connection.
func NewSender(d *Destination, o SenderOptions) (Sender, error) {
	switch d.Type {
	case TypeHTTP:
		return newHTTPSender(d, o)
	case TypeExec:
		return newExecSender(d, o), nil
	case TypeAMQP:
		return newAMQPSender(d, o)
	case TypeNATS:
		return newNATSSender(d)
	case TypePostgres:
		return newPostgresSender(d)
	}
	return nil, fmt.Errorf("destinations of type %s can't be used", d.Type)
}
