package trial

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

// fakeServer records the calls. As a broker it has accepted one event each second.
type fakeServer struct {
	host   *host
	did    []string
	broken string // what fails
	start  time.Time
}

func (s *fakeServer) do(what string) {
	if what == s.broken {
		s.host.Fatalf("%s: no", what)
	}
	s.did = append(s.did, what)
}

func (s *fakeServer) Freeze()            { s.do("freeze") }
func (s *fakeServer) Thaw()              { s.do("thaw") }
func (s *fakeServer) Stop()              { s.do("stop") }
func (s *fakeServer) Start()             { s.do("start") }
func (s *fakeServer) settings() []string { return []string{"type: nats", "url: nats://127.0.0.1"} }

func (s *fakeServer) refuse(_ context.Context, on bool) error {
	s.do(map[bool]string{true: "refuse", false: "allow"}[on])
	return nil
}

func (s *fakeServer) seen(context.Context) (list []arrival, wrong []string, err error) {
	for i := range 20 {
		list = append(list, arrival{at: s.start.Add(time.Duration(i) * time.Second), ok: true})
	}
	return list, []string{"a spot"}, nil
}

// TestBrokerModes proves which calls of a server each mode of its destination makes.
func TestBrokerModes(t *testing.T) {
	t.Parallel()
	s := &fakeServer{host: &host{ctx: t.Context()}}
	d := &destination{name: "nats", mode: takes, broker: s, process: s, host: s.host}
	for _, m := range []mode{takes, hangs, takes, vanished, takes, fails, takes} {
		if err := d.set(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"freeze", "thaw", "stop", "start", "refuse", "allow"}; !slices.Equal(s.did, want) {
		t.Errorf("did %q, want %q", s.did, want)
	}
	if len(d.troubles) != 3 || slices.ContainsFunc(d.troubles, func(s span) bool { return s.to.After(time.Now()) }) {
		t.Errorf("troubles %v", d.troubles)
	}
	s.broken = "stop"
	if err := d.set(t.Context(), vanished); err == nil || err.Error() != "stop: no" {
		t.Errorf("a server that can't be stopped: %v", err)
	}
}

// TestUnsureAnswers proves for which events the answer may have been lost: those from
// one timeout before a trouble until one timeout after it.
func TestUnsureAnswers(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &fakeServer{start: start}
	d := &destination{broker: s, host: &host{ctx: t.Context()}, troubles: []span{{start.Add(7500 * time.Millisecond), start.Add(9500 * time.Millisecond)}}}
	list, wrong, err := d.seen(t.Context())
	if err != nil || !slices.Equal(wrong, []string{"a spot"}) {
		t.Fatal(wrong, err)
	}
	var late []int
	for i := range list {
		if list[i].late {
			late = append(late, i)
		}
	}
	if want := []int{6, 7, 8, 9, 10, 11}; !slices.Equal(late, want) {
		t.Errorf("late %v, want %v", late, want)
	}
}

// TestHost maps the ends of a function that uses a server to errors.
func TestHost(t *testing.T) {
	t.Parallel()
	h := &host{ctx: t.Context()}
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		f    func() error
		want string
	}{
		"fine":    {func() error { return nil }, ""},
		"error":   {func() error { return boom }, "boom"},
		"Fatal":   {func() error { h.Fatal("no", " server"); return nil }, "no server"},
		"Fatalf":  {func() error { h.Fatalf("port %d: %w", 5, boom); return nil }, "port 5: boom"},
		"cleanup": {func() error { h.Cleanup(func() {}); return nil }, ""},
	} {
		err := h.try(test.f)
		if got := errorText(err); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	var order []int
	for i := range 3 {
		h.Cleanup(func() { order = append(order, i) })
	}
	h.close()
	if !slices.Equal(order, []int{2, 1, 0}) || h.Failed() {
		t.Errorf("cleanup in the order %v", order)
	}
	defer func() {
		if p := recover(); p != "other" {
			t.Errorf("a panic of something else became %v", p)
		}
	}()
	_ = h.try(func() error { panic("other") }) // it panics
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestRowsOnce compares events that came with the rows of a table.
func TestRowsOnce(t *testing.T) {
	t.Parallel()
	list := []arrival{{event: Event{ID: "a", Seq: 1}}, {event: Event{ID: "b", Seq: 2}}, {event: Event{ID: "a", Seq: 1}}}
	for name, test := range map[string]struct {
		count map[string]int
		want  []string
	}{
		"one each":   {map[string]int{"a": 1, "b": 1}, nil},
		"a lost row": {map[string]int{"a": 1}, []string{"event 2 (b) has 0 rows"}},
		"two rows":   {map[string]int{"a": 2, "b": 1}, []string{"event 1 (a) has 2 rows"}},
		"one more":   {map[string]int{"a": 1, "b": 1, "c": 1}, []string{"3 events have rows, and 2 came"}},
	} {
		if got := rowsOnce(list, test.count); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
