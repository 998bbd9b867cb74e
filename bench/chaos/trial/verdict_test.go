package trial

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/fakekazoo"
)

// TestVerdict proves that the verdict finds lost, doubled and invented events.
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
	ended := func(seconds int, action string, o fakekazoo.Outcome) firing {
		return firing{Firing: fakekazoo.Firing{ObjectType: "user", ObjectID: "u", Action: action, Outcome: o, Tries: 1}, ended: at(seconds)}
	}
	elsewhere := ended(4, "doc_deleted", fakekazoo.OutcomeDelivered)
	elsewhere.elsewhere = true
	atWrongTime := ended(9, "doc_deleted", fakekazoo.OutcomeExhausted)
	atWrongTime.clock = true
	edited := func(received int) Event {
		return Event{Event: "user.edited", ObjectID: "u", ReceivedAt: at(received), Source: "webhook", content: "u"}
	}
	astray := ended(4, "doc_deleted", fakekazoo.OutcomeExhausted)
	astray.astray, astray.HookID = true, "a"
	version2 := func(seconds int, hook string, revision int, o fakekazoo.Outcome) firing {
		f := ended(seconds, "doc_edited", o)
		f.HookID, f.Body = hook, fmt.Appendf(nil, `{"action":"event","name":"doc_edited","data":{"id":"u","rev":"%d-u"},"timestamp":%d}`, revision, seconds)
		return f
	}
	const created, deleted, edit = "doc_created", "doc_deleted", "doc_edited"
	delivered, exhausted := fakekazoo.OutcomeDelivered, fakekazoo.OutcomeExhausted
	for name, test := range map[string]struct {
		user     user
		events   []Event
		firings  []firing
		resyncs  []time.Time
		shown    []time.Time // in listings
		looked   []time.Time // in look-ups
		restored []restoration
		nameless []string
		want     string // part of the only violation; "" none
		beyond   int
		doubles  int
	}{
		"living":                       {},
		"living with an event":         {events: []Event{deletion("u", 5)}, want: "was deleted 0 times and has 1"},
		"deleted":                      {user: user{deleted: times(4)}, events: []Event{deletion("u", 5)}},
		"deleted, was listed":          {user: user{deleted: times(4)}, shown: times(1), resyncs: times(2), want: "has no user.deleted"},
		"deleted before it was listed": {user: user{deleted: times(1)}, resyncs: times(2), beyond: 1},
		"listed by a listing that did not complete": {user: user{deleted: times(4)}, shown: times(1), resyncs: times(5), beyond: 1},
		"deleted and known twice":                   {user: user{deleted: times(4)}, events: []Event{deletion("u", 5), deletion("u", 6)}, want: "has 2 user.deleted"},
		"undeleted":                                 {user: user{deleted: times(4), revived: times(9)}, events: []Event{deletion("u", 5)}},
		"came and went unseen":                      {user: user{created: at(3), deleted: times(9)}, resyncs: times(5, 6), beyond: 1},
		"came, which arrived, and went": {user: user{created: at(3), deleted: times(9)},
			firings: []firing{ended(3, created, delivered)}, events: []Event{{Event: "user.created", ObjectID: "u"}}, want: "has no user.deleted"},
		"came, which failed, and went":        {user: user{created: at(3), deleted: times(9)}, firings: []firing{ended(4, created, exhausted)}, want: "has no user.deleted"},
		"came, which arrived late, and went":  {user: user{created: at(3), deleted: times(9)}, firings: []firing{ended(10, created, exhausted)}, beyond: 1},
		"went, which failed":                  {user: user{created: at(3), deleted: times(9)}, firings: []firing{ended(11, deleted, exhausted)}, want: "has no user.deleted"},
		"went, which went elsewhere":          {user: user{created: at(3), deleted: times(4)}, firings: []firing{elsewhere}, beyond: 1},
		"on record under a wrong time":        {user: user{created: at(3), deleted: times(9)}, firings: []firing{atWrongTime}, beyond: 1},
		"restored, and the listing forgotten": {user: user{deleted: times(20)}, shown: times(4), resyncs: times(5), restored: []restoration{{copied: at(3), at: at(10)}}, beyond: 1},
		"restored, and the listing known":     {user: user{deleted: times(20)}, shown: times(1), resyncs: times(2), restored: []restoration{{copied: at(3), at: at(10)}}, want: "has no user.deleted"},
		"deleted again":                       {user: user{deleted: times(4, 200), revived: times(70)}, events: []Event{deletion("u", 5), deletion("u", 201)}},
		"deleted again, which could be seen": {user: user{deleted: times(4, 200), revived: times(70)}, events: []Event{deletion("u", 5)},
			shown: times(85), looked: times(86), resyncs: times(80, 90), want: "deleted again"},
		"deleted again, too soon to tell": {user: user{deleted: times(4, 200), revived: times(20)}, events: []Event{deletion("u", 5)},
			shown: times(35), looked: times(36), resyncs: times(30, 40, 70)},
		"answered 200": {user: user{created: at(3), deleted: times(4)}, events: []Event{deletion("u", 5)},
			firings: []firing{{Firing: fakekazoo.Firing{ObjectType: "user", ObjectID: "v", Action: deleted, Outcome: delivered}}}, want: "v was answered 200"},
		"astray, and the hook has lost its name": {user: user{deleted: times(4)}, firings: []firing{astray}, restored: []restoration{{at: at(10)}}, beyond: 1},
		"astray, and the hook has its name": {user: user{deleted: times(4)}, firings: []firing{astray},
			restored: []restoration{{at: at(10), named: map[string]bool{"a": true}}}, want: "has no user.deleted"},
		"astray, and the hook lost its name later": {user: user{deleted: times(4)}, firings: []firing{astray}, nameless: []string{"a"},
			restored: []restoration{{at: at(10), named: map[string]bool{"a": true}}}, beyond: 1},
		"astray, and the journal knows the hook": {user: user{deleted: times(4)}, firings: []firing{astray}, want: "has no user.deleted"},
		"edited twice":                           {firings: []firing{ended(3, edit, delivered), ended(4, edit, exhausted)}, events: []Event{edited(3), edited(4)}},
		"an edit is lost":                        {firings: []firing{ended(3, edit, delivered), ended(4, edit, exhausted)}, events: []Event{edited(3)}, want: "was edited 2 times"},
		"an edit through two hooks, distinguished": {firings: []firing{version2(3, "a", 2, exhausted), version2(3, "b", 2, exhausted), version2(4, "a", 3, exhausted)},
			events: []Event{edited(3), edited(4)}},
		"an edit through two hooks, in both events": {firings: []firing{version2(3, "a", 2, delivered), version2(4, "b", 2, exhausted)}, events: []Event{edited(3), edited(4)}, doubles: 1},
		"one of two distinguished edits is lost":    {firings: []firing{version2(3, "a", 2, exhausted), version2(3, "a", 3, exhausted)}, events: []Event{edited(3)}, want: "was edited 2 times"},
		"an edit twice":                             {firings: []firing{ended(3, edit, exhausted)}, events: []Event{edited(3), edited(4)}, doubles: 1},
		"an edit more often than sent":              {firings: []firing{ended(3, edit, delivered)}, events: []Event{edited(3), edited(4)}, want: "1 requests at most", doubles: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.user.id = "u"
			e := &evidence{
				hooks: "object:user,object:account:doc_deleted", users: []*user{&test.user}, firings: test.firings, resyncs: test.resyncs,
				shown: map[string][]time.Time{"u": test.shown}, looked: map[string][]time.Time{"u": test.looked}, restored: test.restored, nameless: test.nameless, logged: map[string]Event{},
			}
			for i, ev := range test.events {
				ev.Seq, ev.ID = int64(i+1), strconv.Itoa(i)
				e.journal = append(e.journal, ev)
				e.logged[ev.ID] = ev
			}
			got, beyond, doubles := e.verdict()
			if unknown := e.unknown(); (len(unknown) > 0) != (strings.Contains(test.want, "has no") || strings.Contains(test.want, "edited 2 times")) {
				t.Errorf("unknown: %q", unknown)
			}
			switch {
			case test.want == "" && len(got) > 0, test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)):
				t.Errorf("got %q, want %q", got, test.want)
			case beyond != test.beyond || doubles != test.doubles:
				t.Errorf("%d can't be known, %d doubles; want %d, %d", beyond, doubles, test.beyond, test.doubles)
			}
		})
	}
}

// TestHidden proves that an event which HOOKS doesn't name is noticed.
func TestHidden(t *testing.T) {
	t.Parallel()
	for hooks, want := range map[string]int{"object:user:doc_deleted": 1, "object:user": 0} {
		e := &evidence{hooks: hooks, logged: map[string]Event{"1": {Event: "user.created"}, "2": {Event: userDeleted}}}
		if got := e.hidden(); len(got) != want {
			t.Errorf("%s: %q", hooks, got)
		}
	}
}

// TestRenamed proves that a journal which changes its name is noticed, unless it was
// replaced.
func TestRenamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		journals []string
		restored []restoration
		want     int
	}{
		"one name":  {[]string{"a", "a"}, nil, 0},
		"two names": {[]string{"a", "b"}, nil, 1},
		"replaced":  {[]string{"a", "b"}, make([]restoration, 1), 0},
	} {
		e := &evidence{logged: map[string]Event{}, restored: test.restored}
		for i, journal := range test.journals {
			e.logged[strconv.Itoa(i)] = Event{Journal: journal}
		}
		if got := e.renamed(); len(got) != test.want {
			t.Errorf("%s: %q", name, got)
		}
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

// TestLines proves that the log can be read in pieces, with lines cut short by a kill
// and repeated after it.
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
	if got := l.Conflicts(); len(got) > 0 || len(l.Logged()) != 1 || l.Logged()["e1"].ObjectID != "u" {
		t.Fatalf("%q, %v", got, l.Logged())
	}
	next := &splitter{line: l.Take}
	_, _ = next.Write([]byte(changed + "\n")) // never fails
	if got := l.Conflicts(); len(got) != 1 || !strings.Contains(got[0], "two contents") {
		t.Errorf("got %q", got)
	}
}

// TestNamed proves that a hook of the receiver is recognised by its name.
func TestNamed(t *testing.T) {
	t.Parallel()
	w, err := newWorld(t.Context(), Options{Users: 10}.withDefaults(), func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.close() })
	for name, want := range map[string]bool{"kazoohook object user all": true, "renamed by somebody": false} {
		id, err := w.CreateHook(w.accounts[0], map[string]any{"name": name, "uri": "http://127.0.0.1:1/", "hook": "object", "custom_data": map[string]any{"type": "user", "action": "doc_deleted"}})
		if got := w.named()[id]; err != nil || got != want {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}
