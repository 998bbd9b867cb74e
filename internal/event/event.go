package event

import (
	"time"

	"github.com/rs/zerolog"
)

// Event is the typed form of a record, for log lines, API and stream.
type Event struct {
	Record
	Journal    string // the journal that Seq refers to; empty if unknown
	ClusterID  string // Kazoo's cluster, if the event carries it
	ObjectName string // object events: the display name, if known
	// Payload is the family's struct: *Object, *Channel, *NewUser, ... Nil if the
	// family has none. It holds secrets in the type Secret. A field is nil if
	// nothing was sent, or if the value doesn't fit and is only in Data.
	Payload any
	// Envelope is set for events in Kazoo 5's version 2.
	Envelope *Envelope
	// Data is everything that is not a log field: the payload's fields, and values
	// without a field, nested as in Kazoo's form. Values are string, bool,
	// json.Number, nil, []any, map[string]any. A field has the same type in every
	// format; secrets are masked. Data holds the content of a version 2 envelope's
	// "data", so a field is in the same place in both versions. The rest of the
	// envelope is under "envelope".
	Data map[string]any
	// Problems describes what did not fit, without quoting values.
	Problems  []string
	Truncated bool // Shorten cut something: the journal has the rest
}

// MarshalZerologObject writes the fields of an event in their order: event,
// event_id, seq, journal, source, received_at, account_id, hook, hook_id, verified,
// cluster_id, action, object_type, object_id, object_name, data, truncated,
// decode_error. The first three, source and received_at are always there, the
// others if they have a value.
func (e Event) MarshalZerologObject(z *zerolog.Event) {
	z.Str("event", e.Event)
	z.Str("event_id", e.ID)
	z.Int64("seq", e.Seq)
	str(z, "journal", e.Journal)
	z.Str("source", string(e.Source))
	var buf [len(time.RFC3339Nano) + 2]byte
	at := append(buf[:0], '"')
	at = e.ReceivedAt.UTC().AppendFormat(at, time.RFC3339Nano)
	z.RawJSON("received_at", append(at, '"'))
	str(z, "account_id", e.AccountID)
	str(z, "hook", e.Hook)
	str(z, "hook_id", e.HookID)
	if e.Signature != Unsigned {
		z.Bool("verified", e.Signature == SignedRight)
	}
	str(z, "cluster_id", e.ClusterID)
	if e.Action != "" {
		str(z, "action", string(e.Action))
		str(z, "object_type", e.ObjectType)
		str(z, "object_id", e.ObjectID)
		str(z, "object_name", e.ObjectName)
	}
	if len(e.Data) > 0 {
		z.RawJSON("data", appendObject(make([]byte, 0, len(e.Body)+256), e.Data))
	}
	if e.Truncated {
		z.Bool("truncated", true)
	}
	if len(e.Problems) > 0 {
		str(z, "decode_error", joinProblems(e.Problems))
	}
}

func str(z *zerolog.Event, key, value string) {
	if value != "" {
		z.Str(key, value)
	}
}

// AppendJSON appends the event as one JSON object with the fields of
// MarshalZerologObject, without level, time and message. It uses zerolog, so it
// appends nothing while zerolog's global level is Disabled.
func (e Event) AppendJSON(dst []byte) []byte {
	w := lineWriter{dst}
	log := zerolog.New(&w)
	log.Log().EmbedObject(e).Send()
	return w.line
}

// lineWriter collects a logger's output, without the end of the line.
type lineWriter struct {
	line []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	if n > 0 && p[n-1] == '\n' {
		p = p[:n-1]
	}
	w.line = append(w.line, p...)
	return n, nil
}
