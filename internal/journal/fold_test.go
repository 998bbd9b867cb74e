package journal

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kazoohook/internal/dedupe"
	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// fold is the journal in memory: the same rules, over maps.
type fold struct {
	events  []event.Record
	objects map[event.Key]snapshot.Object
	waiting map[event.Key][]unanswered
	firings map[[2]string]int64
	cursors map[string]int64
	state   map[string]string
	boot    int64
	onward
}

// unanswered is a row of the table unanswered.
type unanswered struct {
	seq     int64
	number  int64  // of the command that last tried it
	command uint64 // that command's name in its outcome
	at      snapshot.Clock
	failed  bool
}

func newFold() *fold {
	return &fold{
		objects: map[event.Key]snapshot.Object{}, waiting: map[event.Key][]unanswered{}, firings: map[[2]string]int64{},
		cursors: map[string]int64{}, state: map[string]string{}, onward: newOnward(),
	}
}

func (f *fold) Object(key event.Key) (snapshot.Object, bool) {
	o, ok := f.objects[key]
	return o, ok
}

func (f *fold) Content(of *event.Record) (int64, bool) {
	for _, r := range f.events {
		if r.Dedupe == (event.Dedupe{Rule: event.RuleContent, Key: of.Dedupe.Key}) {
			return r.Seq, true
		}
	}
	return 0, false
}

func (f *fold) Unanswered(r *event.Record) (list []dedupe.Unanswered) {
	for _, u := range f.waiting[r.Dedupe.Key] {
		list = append(list, dedupe.Unanswered{Seq: u.seq, At: u.at, Received: f.events[u.seq-1].ReceivedAt, Failed: u.failed, BeforeCrash: !u.failed && u.number < f.boot})
	}
	return list
}

func (f *fold) Firing(hookID, id string) (int64, bool) {
	seq, ok := f.firings[[2]string{hookID, id}]
	return seq, ok
}

// Tried finds nothing: no request of these tests comes from a proxy.
func (f *fold) Tried(event.Key, string) (int64, bool) { return 0, false }

func (f *fold) append(r event.Record, id string) int64 {
	r.Seq, r.ID = int64(len(f.events))+1, id
	f.events = append(f.events, r)
	return r.Seq
}

// apply applies one command.
func (f *fold) apply(t testing.TB, cmd command) {
	t.Helper()
	at := cmd.head().at
	switch cmd := cmd.(type) {
	case *opened:
		f.boot = at.Number
	case *request:
		f.request(t, cmd, at)
	case *owned:
		r := cmd.Rec
		r.ReceivedAt = at.Wall
		if _, held := f.Content(&r); !held || r.Dedupe.Rule != event.RuleContent {
			f.append(tables.Normal(r), cmd.id.String())
		}
	case *outcome:
		f.outcome(cmd, at)
	case *listed:
		for i := range cmd.Page.Objects {
			key := snapshot.Key(cmd.Page.Type, cmd.Page.Account, cmd.Page.Objects[i].ID)
			o := f.objects[key]
			if got := o.Listed(&cmd.Page, &cmd.Page.Objects[i], at); got == snapshot.Noted || got == snapshot.Appeared {
				if got == snapshot.Appeared && cmd.Page.Report {
					o.Created, o.CreatedSeq = at.Clock, f.append(tables.Normal(o.Record(event.Created, at.Wall)), cmd.IDs[i].String())
				}
				f.objects[key] = o
			}
		}
	case *looked:
		key := snapshot.Key(cmd.Look.Type, cmd.Look.Account, cmd.Look.ID)
		o := f.objects[key]
		if got := o.Looked(&cmd.Look, at); got == snapshot.Noted || got == snapshot.Appeared {
			if got == snapshot.Appeared && cmd.Look.Report {
				o.Created, o.CreatedSeq = at.Clock, f.append(tables.Normal(o.Record(event.Created, at.Wall)), cmd.id.String())
			}
			f.objects[key] = o
		}
	case *missing:
		key := snapshot.Key(cmd.Missing.Type, cmd.Missing.Account, cmd.Missing.ID)
		if o := f.objects[key]; o.Misses(&cmd.Missing) {
			r, seq := tables.Normal(o.Record(event.Deleted, at.Wall)), int64(0)
			if cmd.Missing.Report {
				seq = f.append(r, cmd.id.String())
			}
			o.Happened(&r, seq, at)
			f.objects[key] = o
		}
	case *moved:
		if f.cursors[cmd.Consumer] == cmd.From {
			f.cursors[cmd.Consumer] = cmd.To
		}
	case *setting:
		if f.state[cmd.Key] = cmd.Value; cmd.Value == "" {
			delete(f.state, cmd.Key)
		}
	case *probe:
	default:
		if !f.deliver(cmd, at) {
			t.Fatalf("%T", cmd)
		}
		for _, r := range f.reports {
			f.append(tables.Normal(r.rec), r.id)
		}
		f.reports = nil
	}
}

func (f *fold) request(t testing.TB, cmd *request, at snapshot.At) {
	t.Helper()
	r := cmd.Rec
	d := dedupe.Decide(f, &r, at)
	seq := d.Of
	key := r.Dedupe.Key
	switch {
	case d.Claims:
		for i, u := range f.waiting[key] {
			if u.seq != d.Of {
				continue
			}
			if r.Source == event.SourceRecovered {
				f.waiting[key] = slices.Delete(f.waiting[key], i, i+1)
			} else {
				f.waiting[key][i] = unanswered{seq: u.seq, number: at.Number, command: cmd.Command, at: at.Clock}
			}
			break
		}
	case d.Look:
		k := snapshot.Key(r.ObjectType, r.AccountID, r.ObjectID)
		o := f.objects[k]
		o.Doubted(at)
		f.objects[k] = o
	case d.Duplicate:
	default:
		if seq = 0; !r.Hidden {
			seq = f.append(r, cmd.id.String())
			if r.Source == event.SourceWebhook && r.Dedupe.Rule == event.RuleUnacknowledged {
				f.waiting[key] = append(f.waiting[key], unanswered{seq: seq, number: at.Number, command: cmd.Command, at: at.Clock})
			}
		}
		if isObjectEvent(&r) {
			k := snapshot.Key(r.ObjectType, r.AccountID, r.ObjectID)
			o := f.objects[k]
			if o.Happened(&r, seq, at) {
				f.objects[k] = o
			}
		}
	}
	if _, ok := f.firings[[2]string{r.HookID, r.Firing.ID}]; !ok && r.Source == event.SourceRecovered {
		f.firings[[2]string{r.HookID, r.Firing.ID}] = seq
	}
}

func (f *fold) outcome(cmd *outcome, at snapshot.At) {
	list := f.waiting[cmd.Key]
	for i := range list {
		if list[i].command != cmd.Command {
			continue
		}
		if cmd.Written {
			f.waiting[cmd.Key] = slices.Delete(list, i, i+1)
		} else {
			list[i].at, list[i].failed = at.Clock, true
		}
		return
	}
	for i := range list {
		d := dedupe.Unanswered{At: list[i].at, Failed: list[i].failed}
		if !cmd.Written && list[i].failed && d.Awaits(at.Clock) {
			list[i].at = at.Clock
		}
	}
}

// String returns the whole state as text, sorted.
func (f *fold) String() string {
	var lines []string
	for _, r := range f.events {
		lines = append(lines, fmt.Sprintf("event %+v", r))
	}
	for k, o := range f.objects {
		lines = append(lines, fmt.Sprintf("object %x %+v", k, o))
	}
	for k, list := range f.waiting {
		for _, u := range list {
			lines = append(lines, fmt.Sprintf("waiting %x %d %d %d %v", k, u.seq, u.number, u.at, u.failed))
		}
	}
	for k, seq := range f.firings {
		lines = append(lines, fmt.Sprintf("firing %v %d", k, seq))
	}
	for k, at := range f.cursors {
		lines = append(lines, fmt.Sprintf("cursor %s %d", k, at))
	}
	for k, v := range f.state {
		lines = append(lines, fmt.Sprintf("state %s %s", k, v))
	}
	lines = append(lines, f.onward.lines()...)
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// readFold reads the state that a journal holds.
func readFold(t testing.TB, j *Journal) *fold {
	t.Helper()
	f := newFold()
	recs, err := j.Read(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	f.events = recs
	err = j.pool.Use(t.Context(), func(c *conn) error {
		key := func(v driver.Value) (k event.Key) {
			b, _ := v.([]byte)
			copy(k[:], b)
			return k
		}
		n := func(v driver.Value) int64 { x, _ := v.(int64); return x }
		s := func(v driver.Value) string { x, _ := v.(string); return x }
		for sql, each := range map[string]func(v []driver.Value){
			"SELECT key, seq, number, at, failed FROM unanswered ORDER BY seq": func(v []driver.Value) {
				k := key(v[0])
				f.waiting[k] = append(f.waiting[k], unanswered{seq: n(v[1]), number: n(v[2]), at: snapshot.Clock(n(v[3])), failed: n(v[4]) != 0})
			},
			"SELECT hook_id, firing, seq FROM firings": func(v []driver.Value) { f.firings[[2]string{s(v[0]), s(v[1])}] = n(v[2]) },
			"SELECT name, cursor FROM consumers":       func(v []driver.Value) { f.cursors[s(v[0])] = n(v[1]) },
			"SELECT key, value FROM state":             func(v []driver.Value) { f.state[s(v[0])] = s(v[1]) },
			"SELECT " + tables.ObjectColumns + " FROM objects": func(v []driver.Value) {
				o, err := tables.ScanObject(v)
				if err != nil {
					t.Error(err)
				}
				f.objects[o.Key] = o.Object
			},
		} {
			if err := c.Rows(t.Context(), sql, nil, func(v database.Row) error { each(v); return nil }); err != nil {
				return err
			}
		}
		return f.onward.read(t, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}
