package tables

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/snapshot"
)

// Columns are the columns of the table events. The columns event, account and origin
// hold ids of the table names. Stored selects their texts instead, or the id if there
// is no text; the name of the table must follow it.
const (
	Columns = "seq,number,clock,id,received,late,source,event,account,object_type,object_id,action," +
		"origin,remote,firing,rule,key,problem,signature,sum,known,body"
	named  = "ifnull((SELECT name FROM names WHERE id = "
	Stored = "SELECT seq,number,clock,id,received,late,source," + named + "event), event)," + named + "account), account),object_type,object_id,action," +
		named + "origin), origin),remote,firing,rule,key,problem,signature,sum,known,body FROM "
)

// Row is an event as the events table has it.
type Row struct {
	event.Record
	ULID   ulid.ULID      // the event's ID
	Number int64          // of the command that appended it
	Clock  snapshot.Clock // when it was appended, on the journal's clock
}

// Sources lists all sources. They are stored by their index: add only to the end.
func Sources() []event.Source {
	return []event.Source{event.SourceWebhook, event.SourceRecovered, event.SourceResync, event.SourceReceiver}
}

// SourceCode is how a source is stored.
func SourceCode(s event.Source) int64 {
	for i, known := range Sources() {
		if s == known {
			return int64(i)
		}
	}
	return int64(len(Sources())) // unknown: only in records made by tests
}

// values appends the values of one insert to v, in the order of Columns. names
// are the ids of the event's name, its account and its origin.
func (r *Row) values(v []any, names [3]int64) []any {
	var body any
	if len(r.Body) > 0 {
		body = r.Body
	}
	return append(v,
		r.Seq, r.Number, int64(r.Clock), r.ULID[:], Nanos(r.ReceivedAt), r.late(), SourceCode(r.Source),
		names[0], names[1], Text(r.ObjectType), PackID(r.ObjectID), Text(string(r.Action)),
		names[2], Text(r.RemoteAddr), Text(formatFiring(r.Firing)), int64(r.Dedupe.Rule), r.Dedupe.Key[:], Text(r.Problem),
		int64(r.Signature), int64(r.sum()), Text(formatKnown(r.Known)), body)
}

// Scan reads one row that was selected by Stored. It returns database.Damaged if the
// row isn't what was written. If a name can't be read, the ledger notes it.
func Scan(v database.Row, l *integrity.Ledger) (r Row, err error) {
	r = Row{
		Record: event.Record{
			Request: event.Request{ReceivedAt: Time(v.Int(4)), RemoteAddr: v.Text(13), Signature: event.Signature(v.Int(18)), Body: v.Blob(21)},
			Seq:     v.Int(0), Event: v.Text(7), AccountID: v.Text(8), ObjectType: v.Text(9), ObjectID: unPackID(v[10]), Action: event.Action(v.Text(11)),
			Dedupe: event.Dedupe{Rule: event.Rule(v.Int(15))}, Problem: v.Text(17),
		},
		Number: v.Int(1), Clock: snapshot.Clock(v.Int(2)),
	}
	if code := v.Int(6); code >= 0 && code < int64(len(Sources())) {
		r.Source = Sources()[code]
	}
	setOrigin(&r.Request, v.Text(12))
	okay := copy(r.ULID[:], v.Blob(3)) == len(r.ULID) && copy(r.Dedupe.Key[:], v.Blob(16)) == len(r.Dedupe.Key)
	r.ID = r.ULID.String()
	if known := v.Text(20); known != "" && json.Unmarshal([]byte(known), &r.Known) != nil {
		okay = false
	}
	if r.Firing, err = parseFiring(v.Text(14)); err != nil || !okay || int64(r.sum()) != v.Int(19) {
		return r, database.Damaged(fmt.Sprintf("event %d isn't as it was written", r.Seq))
	}
	if v.Int(7) != 0 || v.Int(8) != 0 || v.Int(12) != 0 { // a name is missing: find it in the body
		l.Lookup(database.Damaged("a name is missing"))
		found := event.Route(r.Request)
		r.Event, r.AccountID = found.Event, found.AccountID
	}
	return r, nil
}

// Read reads one event from a table: events, or another one with its columns.
func Read(ctx context.Context, c *database.Conn, l *integrity.Ledger, table string, seq int64) (r Row, ok bool, err error) {
	for _, sql := range []string{Stored, "SELECT " + Columns + " FROM "} { // the second if names can't be read
		err = c.Rows(ctx, sql+table+" WHERE seq = ?", []any{seq}, func(v database.Row) error {
			ok = true
			if r, err = Scan(v, l); err != nil {
				return err
			}
			return database.ErrStop
		})
		if !database.IsDamage(err) {
			break
		}
	}
	return r, ok, err
}

// LateAfter is how far the received time may be before the append without an entry
// in the index events_late. It is much longer than an append waits.
const LateAfter = time.Minute

// How an event's received time differs from the time of its append.
const (
	ReceivedThen   = iota // not at all
	ReceivedBefore        // it is earlier: the event was recovered
	ReceivedAhead         // it is later: our clock was set back
)

func (r *Row) late() int64 {
	at := time.UnixMilli(int64(r.ULID.Time()))
	switch {
	case r.ReceivedAt.Before(at.Add(-LateAfter)):
		return ReceivedBefore
	case !r.ReceivedAt.Before(at.Add(time.Millisecond)):
		return ReceivedAhead
	}
	return ReceivedThen
}

// sum is a checksum of the event's id, time, key and body: SQLite notices
// damage to the structure of a page, not to what is in it.
func (r *Row) sum() uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	s := crc32.Update(0, table, r.ULID[:])
	s = crc32.Update(s, table, r.Dedupe.Key[:])
	s = crc32.Update(s, table, strconv.AppendInt(nil, Nanos(r.ReceivedAt), 10))
	return crc32.Update(s, table, r.Body)
}

// originOf returns what requests of one hook have in common, as one text.
func originOf(r *event.Request) string {
	return strings.TrimRight(strings.Join([]string{r.Hook, r.HookID, r.HookAccountID, r.Method, r.ContentType}, "\x1f"), "\x1f")
}

// setOrigin is the inverse of originOf. The last part may hold anything.
func setOrigin(r *event.Request, origin string) {
	for _, p := range []*string{&r.Hook, &r.HookID, &r.HookAccountID, &r.Method} {
		*p, origin, _ = strings.Cut(origin, "\x1f")
	}
	r.ContentType = origin
}

// PackID stores ids of 32 hexadecimal digits in half the space: they fill the
// largest index.
func PackID(id string) any {
	if id == "" {
		return nil
	}
	if b, err := hex.DecodeString(id); err == nil && len(id) == 32 && id == strings.ToLower(id) {
		return b
	}
	return id
}

func unPackID(v any) string {
	if b, ok := v.([]byte); ok {
		return hex.EncodeToString(b)
	}
	id, _ := v.(string)
	return id
}

// formatFiring returns a firing as text: its first and last try, and its id.
func formatFiring(f event.Firing) string {
	if f == (event.Firing{}) {
		return ""
	}
	return fmt.Sprintf("%d %d %s", Nanos(f.First), Nanos(f.Last), f.ID)
}

func parseFiring(s string) (f event.Firing, err error) {
	if s == "" {
		return f, nil
	}
	first, rest, _ := strings.Cut(s, " ")
	last, id, ok := strings.Cut(rest, " ")
	a, err1 := strconv.ParseInt(first, 10, 64)
	b, err2 := strconv.ParseInt(last, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return f, fmt.Errorf("malformed firing %q", s)
	}
	return event.Firing{ID: id, First: Time(a), Last: Time(b)}, nil
}

// formatKnown returns what was known of an object as JSON, "" for nothing.
func formatKnown(k event.Known) string {
	if k.Name == "" && len(k.Fields) == 0 {
		return ""
	}
	b, _ := json.Marshal(k) // strings can always be marshalled
	return string(b)
}

// Text returns an empty string as NULL, which is cheaper to bind and to store.
func Text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Nanos is a time as stored: Unix nanoseconds, 0 for the zero time.
func Nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Time is the inverse of Nanos, in UTC.
func Time(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// Flag is a boolean as stored.
func Flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Normal gives a record the form in which it will be read back from disk.
func Normal(r event.Record) event.Record {
	r.ReceivedAt = Time(Nanos(r.ReceivedAt))
	r.Firing.First, r.Firing.Last = Time(Nanos(r.Firing.First)), Time(Nanos(r.Firing.Last))
	if len(r.Body) == 0 {
		r.Body = nil
	}
	return r
}
