package trial

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar/crossbartest"
)

// TestVerdict proves that the judge finds what a trial is for.
func TestVerdict(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }
	times := func(seconds ...int) (out []time.Time) {
		for _, s := range seconds {
			out = append(out, at(s))
		}
		return out
	}
	deletion := func(id string, received int) Event {
		return Event{Event: userDeleted, ObjectID: id, ReceivedAt: at(received), Source: "webhook", content: id}
	}
	delivered := func(id string, o crossbartest.Outcome) crossbartest.Firing {
		return crossbartest.Firing{ObjectType: "user", ObjectID: id, Action: "doc_deleted", Outcome: o}
	}
	for name, test := range map[string]struct {
		user    user
		events  []Event
		firings []crossbartest.Firing
		resyncs []time.Time
		want    string // part of the only violation; "" none
		beyond  int
	}{
		"living":                       {user: user{}},
		"living with an event":         {user: user{}, events: []Event{deletion("u", 5)}, want: "was deleted 0 times and has 1"},
		"deleted":                      {user: user{deleted: times(4)}, events: []Event{deletion("u", 5)}},
		"deleted and unknown":          {user: user{deleted: times(4)}, want: "has no user.deleted"},
		"deleted and known twice":      {user: user{deleted: times(4)}, events: []Event{deletion("u", 5), deletion("u", 6)}, want: "has 2 user.deleted"},
		"undeleted":                    {user: user{deleted: times(4), revived: times(9)}, events: []Event{deletion("u", 5)}},
		"undeleted before it was seen": {user: user{deleted: times(4), revived: times(9)}},
		"came and went unseen":         {user: user{created: at(3), deleted: times(9)}, resyncs: times(5), beyond: 1},
		"came, was seen and went":      {user: user{created: at(3), deleted: times(9)}, resyncs: times(5, 6), want: "has no user.deleted"},
		"came, went and is on record": {user: user{created: at(3), deleted: times(9)},
			firings: []crossbartest.Firing{delivered("u", crossbartest.OutcomeExhausted)}, want: "has no user.deleted"},
		"on record under a wrong time": {user: user{created: at(3), deleted: times(9), clock: true},
			firings: []crossbartest.Firing{delivered("u", crossbartest.OutcomeExhausted)}, beyond: 1},
		"gone again": {user: user{deleted: times(4, 200), revived: times(70)}, events: []Event{deletion("u", 5), deletion("u", 201)}},
		"gone again, which could be seen": {user: user{deleted: times(4, 200), revived: times(70)}, events: []Event{deletion("u", 5)},
			resyncs: times(80, 90), want: "deleted again"},
		"gone again, too soon to tell": {user: user{deleted: times(4, 200), revived: times(20)}, events: []Event{deletion("u", 5)}, resyncs: times(30, 40, 70)},
		"answered 200": {user: user{created: at(3), deleted: times(4)}, events: []Event{deletion("u", 5)},
			firings: []crossbartest.Firing{delivered("u", crossbartest.OutcomeDelivered), delivered("v", crossbartest.OutcomeDelivered)}, want: "v was answered 200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.user.id = "u"
			e := &evidence{users: []*user{&test.user}, firings: test.firings, resyncs: test.resyncs, logged: map[string]Event{}}
			for i, ev := range test.events {
				ev.Seq, ev.ID = int64(i+1), strconv.Itoa(i)
				e.journal = append(e.journal, ev)
				e.logged[ev.ID] = ev
			}
			got, beyond := e.verdict()
			switch {
			case test.want == "" && len(got) > 0, test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)):
				t.Errorf("got %q, want %q", got, test.want)
			case beyond != test.beyond:
				t.Errorf("%d beyond knowledge, want %d", beyond, test.beyond)
			}
		})
	}
}

// TestCompare proves that a log which differs from the journal is noticed.
func TestCompare(t *testing.T) {
	t.Parallel()
	a, b := Event{ID: "a", Seq: 1, content: "x"}, Event{ID: "b", Seq: 2, content: "y"}
	other := b
	other.content = "z"
	for name, test := range map[string]struct {
		journal []Event
		logged  map[string]Event
		want    string
	}{
		"the same":      {[]Event{a, b}, map[string]Event{"a": a, "b": b}, ""},
		"not logged":    {[]Event{a, b}, map[string]Event{"a": a}, "not in the log"},
		"not kept":      {[]Event{a}, map[string]Event{"a": a, "b": b}, "not in the journal"},
		"a hole":        {[]Event{b}, map[string]Event{"b": b}, "seq 2 after 0"},
		"other content": {[]Event{a, b}, map[string]Event{"a": a, "b": other}, "another in the log"},
	} {
		if got := strings.Join(Compare(test.journal, test.logged), "; "); test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// TestLines proves that the log is read as it is written: in pieces, with lines
// cut short by a kill, and twice the same after it.
func TestLines(t *testing.T) {
	t.Parallel()
	const (
		line    = `{"level":"info","time":"2026-01-02T03:04:05Z","event":"user.deleted","event_id":"e1","seq":1,"object_id":"u","message":"user deleted"}`
		again   = `{"level":"info","time":"2026-01-02T03:04:09Z","event":"user.deleted","event_id":"e1","seq":1,"object_id":"u","object_name":"Ann","data":{"username":"ann"},"message":"Ann deleted"}`
		changed = `{"level":"info","event":"user.deleted","event_id":"e1","seq":1,"object_id":"v","message":"user deleted"}`
	)
	l := newLines()
	w := &splitter{line: l.Take}
	for _, piece := range []string{line[:20], line[20:] + "\n" + again[:9], again[9:] + "\n" + `{"event":"user.del`} {
		if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := l.Conflicts(); len(got) > 0 || len(l.Logged()) != 1 || !l.logged(userDeleted, "u") {
		t.Fatalf("%q, %v", got, l.Logged())
	}
	next := &splitter{line: l.Take}
	_, _ = next.Write([]byte(changed + "\n")) // never fails
	if got := l.Conflicts(); len(got) != 1 || !strings.Contains(got[0], "two contents") {
		t.Errorf("got %q", got)
	}
}
