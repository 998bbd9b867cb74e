package journal

import (
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
)

const columns = "seq,id,received,source,event,account,object_type,object_id,action,hook,hook_id," +
	"hook_account,method,content_type,remote,firing,rule,key,problem,body"

const columnCount = 20

// row is an event as the events table has it.
type row struct {
	event.Record
	id ulid.ULID
}

// args fills the values of one insert, in the order of columns.
func (r *row) args(a []driver.NamedValue) {
	a[0].Value = r.Seq
	a[1].Value = r.id[:]
	a[2].Value = nanos(r.ReceivedAt)
	a[3].Value = text(string(r.Source))
	a[4].Value = text(r.Event)
	a[5].Value = text(r.AccountID)
	a[6].Value = text(r.ObjectType)
	a[7].Value = text(r.ObjectID)
	a[8].Value = text(string(r.Action))
	a[9].Value = text(r.Hook)
	a[10].Value = text(r.HookID)
	a[11].Value = text(r.HookAccountID)
	a[12].Value = text(r.Method)
	a[13].Value = text(r.ContentType)
	a[14].Value = text(r.RemoteAddr)
	a[15].Value = text(formatFiring(r.Firing))
	a[16].Value = int64(r.Dedupe.Rule)
	a[17].Value = r.Dedupe.Key[:]
	a[18].Value = text(r.Problem)
	a[19].Value = nil
	if len(r.Body) > 0 {
		a[19].Value = r.Body
	}
}

// scanRow reads one row that was selected by columns.
func scanRow(v []driver.Value) (row, error) {
	s := func(i int) string {
		x, _ := v[i].(string)
		return x
	}
	n := func(i int) int64 {
		x, _ := v[i].(int64)
		return x
	}
	b := func(i int) []byte {
		x, _ := v[i].([]byte)
		return x
	}
	r := row{Record: event.Record{
		Delivery: event.Delivery{
			Source: event.Source(s(3)), ReceivedAt: fromNanos(n(2)), Hook: s(9), HookID: s(10), HookAccountID: s(11),
			Method: s(12), ContentType: s(13), RemoteAddr: s(14), Body: b(19),
		},
		Seq: n(0), Event: s(4), AccountID: s(5), ObjectType: s(6), ObjectID: s(7), Action: event.Action(s(8)),
		Dedupe: event.Dedupe{Rule: event.Rule(n(16))}, Problem: s(18),
	}}
	if copy(r.id[:], b(1)) != len(r.id) || copy(r.Dedupe.Key[:], b(17)) != len(r.Dedupe.Key) {
		return r, fmt.Errorf("event %d has a malformed id or key", r.Seq)
	}
	r.ID = r.id.String()
	var err error
	if r.Firing, err = parseFiring(s(15)); err != nil {
		return r, fmt.Errorf("event %d: %w", r.Seq, err)
	}
	return r, nil
}

func formatFiring(f event.Firing) string {
	if f == (event.Firing{}) {
		return ""
	}
	return fmt.Sprintf("%d %d %s", nanos(f.First), nanos(f.Last), f.ID)
}

func parseFiring(s string) (event.Firing, error) {
	if s == "" {
		return event.Firing{}, nil
	}
	first, rest, _ := strings.Cut(s, " ")
	last, id, ok := strings.Cut(rest, " ")
	a, err1 := strconv.ParseInt(first, 10, 64)
	b, err2 := strconv.ParseInt(last, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return event.Firing{}, fmt.Errorf("malformed firing %q", s)
	}
	return event.Firing{ID: id, First: fromNanos(a), Last: fromNanos(b)}, nil
}

// nanos is a time as stored: Unix nanoseconds, 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// normal gives a record the form in which it will be read back from disk.
func normal(r event.Record) event.Record {
	r.ReceivedAt = fromNanos(nanos(r.ReceivedAt))
	r.Firing.First = fromNanos(nanos(r.Firing.First))
	r.Firing.Last = fromNanos(nanos(r.Firing.Last))
	if len(r.Body) == 0 {
		r.Body = nil
	}
	return r
}
