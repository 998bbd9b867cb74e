package event

import (
	"time"

	"github.com/rs/zerolog"
)

// Event is the typed form of a record, as logs, API and stream show it.
type Event struct {
	Record
	ClusterID  string // Kazoo's cluster, where the event carries it
	ObjectName string // object events: what a person calls it, where known
	// Payload is the family's Go type: *Object, *Channel, *Parking, *TextMessage,
	// *CDR, *Stream, *Notification or one of the typed notifications. Nil where the
	// event is unknown. It holds secrets in the type Secret.
	Payload any
	// Envelope is set for events in Kazoo 5's version 2.
	Envelope *Envelope
	// Data is everything that is not a log field of its own, nested as Kazoo's form
	// means it. Values: string, bool, json.Number, nil, []any, map[string]any.
	// Fields of the payload's type have typed values whatever the wire format was;
	// secrets are masked. A version 2 envelope's "data" is taken out of it, so that
	// a field is found in the same place in both versions; what else the envelope
	// carries is under "envelope".
	Data map[string]any
	// Problems says in plain words what did not fit; it never quotes a value.
	Problems []string
}

// MarshalZerologObject writes the fields of the event contract in their order:
// event, event_id, seq, source, received_at, account_id, hook, hook_id,
// cluster_id, action, object_type, object_id, object_name, data, decode_error.
// The first five are always there, the others where they have a value.
func (e Event) MarshalZerologObject(z *zerolog.Event) {
	z.Str("event", e.Event)
	z.Str("event_id", e.ID)
	z.Int64("seq", e.Seq)
	z.Str("source", string(e.Source))
	var buf [len(time.RFC3339Nano) + 2]byte
	at := append(buf[:0], '"')
	at = e.ReceivedAt.UTC().AppendFormat(at, time.RFC3339Nano)
	z.RawJSON("received_at", append(at, '"'))
	str(z, "account_id", e.AccountID)
	str(z, "hook", e.Hook)
	str(z, "hook_id", e.HookID)
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
// MarshalZerologObject and nothing else: no level, time or message. It writes
// through zerolog, so it writes nothing if logging is disabled for the whole
// process (zerolog.Disabled as global level).
func (e Event) AppendJSON(dst []byte) []byte {
	w := lineWriter{dst}
	log := zerolog.New(&w)
	log.Log().EmbedObject(e).Send()
	return w.line
}

// lineWriter collects what a logger writes, without the end of the line.
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
