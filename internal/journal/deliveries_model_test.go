package journal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// onward is the state of onward delivery in memory.
type onward struct {
	destinations map[string]*DestinationState
	deliveries   map[deliveryKey]*Delivery
	attempts     map[deliveryKey][]Attempt
	places       map[string]string
	reports      []report // that the last command appends
}

type report struct {
	rec event.Record
	id  string
}

type deliveryKey struct {
	seq         int64
	destination string
}

func newOnward() onward {
	return onward{map[string]*DestinationState{}, map[deliveryKey]*Delivery{}, map[deliveryKey][]Attempt{}, map[string]string{}, nil}
}

// deliver applies a command of onward delivery; it returns false for other commands.
func (f *onward) deliver(cmd command, at snapshot.At) bool {
	wall := tables.Time(tables.Nanos(at.Wall))
	switch cmd := cmd.(type) {
	case *configured:
		f.configure(cmd, wall)
	case *judged:
		d := f.destinations[cmd.Destination]
		if d == nil || d.Cursor != cmd.From {
			break
		}
		d.Cursor = cmd.To
		for _, r := range cmd.Rows {
			k := deliveryKey{r.Seq, cmd.Destination}
			if f.deliveries[k] != nil {
				continue
			}
			n := &Delivery{Destination: cmd.Destination, Seq: r.Seq, EventID: r.ID.String(), Event: r.Event, Key: r.Key, State: r.State, Due: r.Due, LastError: r.Error}
			if r.State == Dead {
				n.At, n.NoBody = wall, true
			}
			f.deliveries[k] = n
		}
	case *decided:
		for _, seq := range cmd.Match {
			if d := f.deliveries[deliveryKey{seq, cmd.Destination}]; d != nil && d.State == Undecided {
				d.State, d.Due = Waiting, time.Time{}
			}
		}
		for _, seq := range cmd.Drop {
			if d := f.deliveries[deliveryKey{seq, cmd.Destination}]; d != nil && d.State == Undecided {
				delete(f.deliveries, deliveryKey{seq, cmd.Destination})
			}
		}
	case *attempted:
		if cmd.Judged != nil {
			f.deliver(cmd.Judged, at)
		}
		f.attempted(cmd, wall)
	case *paused:
		f.pause(cmd.Destination, cmd.Pause, wall)
	case *redelivered:
		for _, r := range cmd.Rows {
			k := deliveryKey{r.Seq, cmd.Destination}
			d := f.destinations[cmd.Destination]
			if d == nil || r.Seq > d.Cursor || f.deliveries[k] != nil && f.deliveries[k].NoBody {
				continue
			}
			if f.deliveries[k] == nil {
				f.deliveries[k] = &Delivery{Destination: cmd.Destination, Seq: r.Seq, EventID: r.ID.String(), Event: r.Event, Key: r.Key}
			}
			n := f.deliveries[k]
			n.State, n.Redelivered, n.Attempts, n.Base, n.Due, n.Wait = Waiting, true, 0, 0, time.Time{}, 0
		}
	case *discarded:
		for _, seq := range cmd.Seqs {
			if d := f.deliveries[deliveryKey{seq, cmd.Destination}]; d != nil && d.State == Dead {
				delete(f.deliveries, deliveryKey{seq, cmd.Destination})
			}
		}
	case *dropped:
		for _, d := range f.deliveries {
			if d.Seq > cmd.Through || d.NoBody {
				continue
			}
			if d.State != Dead {
				d.At, d.LastError = wall, cmd.Reason
			}
			d.State, d.NoBody, d.Due, d.Wait = Dead, true, time.Time{}, 0
		}
	case *placed:
		for _, p := range cmd.Accounts {
			f.places[p.Account] = strings.Join(p.Ancestors, "/")
		}
	default:
		return false
	}
	return true
}

func (f *onward) configure(cmd *configured, wall time.Time) {
	for _, name := range cmd.Forget {
		if d := f.destinations[name]; d != nil && d.Removed.IsZero() {
			continue
		}
		delete(f.destinations, name)
		for k := range f.deliveries {
			if k.destination == name {
				delete(f.deliveries, k)
			}
		}
		for k := range f.attempts {
			if k.destination == name {
				delete(f.attempts, k)
			}
		}
	}
	for _, n := range cmd.Add {
		if d := f.destinations[n.Name]; d != nil {
			d.Removed = time.Time{}
		} else {
			f.destinations[n.Name] = &DestinationState{Name: n.Name, Cursor: n.Cursor, Since: wall, Seen: wall}
		}
	}
	for _, name := range cmd.Remove {
		if d := f.destinations[name]; d != nil && d.Removed.IsZero() {
			d.Removed = wall
		}
	}
}

func (f *onward) attempted(cmd *attempted, wall time.Time) {
	d := f.destinations[cmd.Destination]
	if d == nil {
		return
	}
	var last *Outcome
	for i := range cmd.Outcomes {
		o := &cmd.Outcomes[i]
		k := deliveryKey{o.Seq, cmd.Destination}
		if !o.Skipped {
			last = o
		}
		kept := slices.ContainsFunc(f.attempts[k], func(a Attempt) bool { return o.First && o.Delivered || a.At.Equal(o.At) })
		if !o.Skipped && (!o.Uncounted || o.Delivered) && !kept {
			f.attempts[k] = append(f.attempts[k], Attempt{N: len(f.attempts[k]) + 1, At: o.At, Took: o.Took, Status: o.Status, Error: o.Error})
		}
		n := f.deliveries[k]
		switch {
		case o.Delivered:
			if n != nil || o.First && cmd.Judged != nil && o.Seq > cmd.Judged.From {
				d.Accepted++
			}
			delete(f.deliveries, k)
		case n == nil || n.State == Dead || !o.Dead && n.State == Undecided:
		case o.Dead:
			n.State, n.Base, n.Due, n.Wait, n.At, n.NoBody, n.LastError = Dead, o.Base, time.Time{}, 0, o.At, o.NoBody, o.Error
			n.Attempts = o.Attempts
			if o.Report != nil {
				r := *o.Report
				r.ReceivedAt = wall
				f.reports = append(f.reports, report{r, cmd.IDs[i].String()})
			}
		default:
			n.Base, n.Due, n.Wait, n.At, n.LastError = o.Base, o.Due, o.Wait, o.At, o.Error
			n.Attempts = o.Attempts
		}
	}
	if last != nil {
		d.LastAt, d.LastStatus, d.LastExcerpt, d.LastError = last.At, last.Status, last.Excerpt, last.Error
	}
	if cmd.Pause != nil {
		f.pause(cmd.Destination, *cmd.Pause, wall)
	}
}

func (f *onward) pause(destination string, p Pause, wall time.Time) {
	if d := f.destinations[destination]; d != nil && d.Paused != p {
		d.Paused, d.Since = p, wall
	}
}

// lines returns the whole state as text.
func (f *onward) lines() (lines []string) {
	for _, d := range f.destinations {
		lines = append(lines, fmt.Sprintf("destination %+v", *d))
	}
	for _, d := range f.deliveries {
		lines = append(lines, fmt.Sprintf("delivery %+v", *d))
	}
	for k, list := range f.attempts {
		lines = append(lines, fmt.Sprintf("attempts %v %+v", k, list))
	}
	for account, above := range f.places {
		lines = append(lines, fmt.Sprintf("account %s %s", account, above))
	}
	return lines
}

// read reads what a journal holds, without counts, which follow from the rest.
func (f *onward) read(t testing.TB, c *conn) error {
	t.Helper()
	j := &Journal{pool: database.NewPool(func() (*conn, error) { return c, nil })}
	ctx := t.Context()
	list, err := j.Destinations(ctx)
	if err != nil {
		return err
	}
	for _, d := range list {
		d.Waiting, d.Dead, d.Oldest = 0, 0, 0
		f.destinations[d.Name] = &d
	}
	deliveries, err := j.deliveries(ctx, "SELECT "+deliveryColumns+" FROM deliveries")
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		f.deliveries[deliveryKey{d.Seq, d.Destination}] = &d
	}
	places, err := j.AccountPlaces(ctx)
	if err != nil {
		return err
	}
	for _, p := range places {
		f.places[p.Account] = strings.Join(p.Ancestors, "/")
	}
	return c.Rows(ctx, "SELECT seq, destination, n, at, took, status, error FROM attempts ORDER BY n", nil, func(r database.Row) error {
		k := deliveryKey{r.Int(0), r.Text(1)}
		f.attempts[k] = append(f.attempts[k], Attempt{N: int(r.Int(2)), At: tables.Time(r.Int(3)), Took: time.Duration(r.Int(4)), Status: r.Text(5), Error: r.Text(6)})
		return nil
	})
}

// deliver gives a random command about a destination.
func (h *history) deliver(draw func(int, string) int) {
	ctx := h.tb.Context()
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(h.t, "destination")
	seq := int64(draw(6, "seq")) + 1
	id := ulid.ULID{15: byte(seq)}
	row := Judged{Seq: seq, ID: id, Event: "user.edited", Key: "k", State: DeliveryState(draw(3, "state"))}
	switch draw(9, "delivery") {
	case 0:
		h.did(h.j.Configure(ctx, []NewDestination{{name, int64(draw(3, "cursor"))}}, nil, nil), true)
	case 1:
		h.did(h.j.Configure(ctx, nil, []string{name}, rapid.SampledFrom([][]string{nil, {"a"}, {"b"}}).Draw(h.t, "forget")), true)
	case 2, 3:
		list, err := h.j.Destinations(ctx)
		if err != nil {
			h.tb.Fatal(err)
		}
		i := slices.IndexFunc(list, func(d DestinationState) bool { return d.Name == name })
		if i < 0 {
			return
		}
		row.Seq = list[i].Cursor + 1
		if row.State == Undecided {
			row.Due = tables.Time(tables.Nanos(h.c.now().Add(time.Minute)))
		}
		if row.State != Waiting || draw(2, "at once") == 0 {
			h.did(h.j.Judge(ctx, name, list[i].Cursor, list[i].Cursor+2, []Judged{row}), false)
			return
		}
		at := tables.Time(tables.Nanos(h.c.now()))
		outcomes := []Outcome{{Seq: row.Seq, At: at, Error: "it failed", Due: at.Add(time.Minute), Wait: time.Minute}, {Seq: row.Seq + 1, At: at, Delivered: true, First: true}}
		h.did(h.j.Advance(ctx, name, list[i].Cursor, list[i].Cursor+2, []Judged{row}, outcomes[draw(2, "from"):], nil), false)
	case 4:
		h.did(h.j.Decide(ctx, name, []int64{seq}, []int64{seq + 1}), false)
	case 5:
		h.attempts(name, seq, draw)
	case 6:
		h.did(h.j.SetPause(ctx, name, Pause(draw(4, "pause"))), true)
	case 7:
		_, err := h.j.Redeliver(ctx, name, []Judged{row})
		h.did(err, true)
		if draw(3, "discard") == 0 {
			_, err := h.j.Discard(ctx, name, []int64{seq, seq + 1})
			h.did(err, true)
		}
	case 8:
		h.did(h.j.PlaceAccounts(ctx, []AccountPlace{{name, []string{"m", "r"}[:draw(3, "depth")]}}), false)
		if draw(3, "give up") == 0 {
			_, err := h.j.GiveUp(ctx, seq, "too many")
			h.did(err, true)
		}
	}
}

func (h *history) attempts(name string, seq int64, draw func(int, string) int) {
	at := tables.Time(tables.Nanos(h.c.now()))
	failed := Outcome{Seq: seq, Attempts: draw(9, "attempts"), At: at, Took: time.Second, Due: at.Add(time.Minute), Wait: time.Minute, Base: int64(draw(3, "base")), Status: "500", Error: "it failed"}
	switch draw(5, "outcome") {
	case 0:
		failed.Uncounted = true
	case 1:
		failed.Dead = true
		r := event.Own{Payload: &event.DeadLetter{}}.Record()
		failed.Report = &r
	case 2:
		failed.Dead, failed.Skipped, failed.NoBody = true, true, true
	case 3:
		failed.Delivered, failed.Error = true, ""
	}
	next := Outcome{Seq: seq + 1, At: at, Delivered: true, First: draw(2, "first") == 0}
	var p *Pause
	if draw(3, "pauses") == 0 {
		to := Pause(draw(4, "to"))
		p = &to
	}
	h.did(h.j.Attempted(h.tb.Context(), name, []Outcome{failed, next}, p), false)
}
