package trial

import (
	"reflect"
	"testing"
	"time"

	"kazoohook/internal/fakekazoo"
)

// TestMoves proves that the schedule of a cluster can be repeated, ends in time, breaks
// the leader first and has all kinds of steps. In a plain trial it must break only
// nodes and links.
func TestMoves(t *testing.T) {
	t.Parallel()
	seen := map[Kind]int{}
	whom := map[int]int{}
	for seed := range uint64(40) {
		o := Options{Seed: seed, Nodes: 3, Users: 200, For: time.Minute, Power: true, Jumps: true}
		steps := Schedule(o)
		if !reflect.DeepEqual(steps, Schedule(o)) {
			t.Fatalf("two schedules of seed %d differ", seed)
		}
		first := true
		for i, s := range steps {
			if i > 0 && s.At < steps[i-1].At || s.At+s.For > o.For || s.At >= o.For {
				t.Fatalf("seed %d: impossible: %s", seed, s)
			}
			if !s.breaksNodes() {
				if s.For > 0 && o.plain() {
					t.Errorf("seed %d: %s, and nothing but nodes is to break", seed, s)
				}
				continue
			}
			seen[s.Kind]++
			whom[s.Node]++
			if s.Kind == Kill && s.Node != AllNodes && first {
				if first = false; s.Node != TheLeader {
					t.Errorf("seed %d: %s comes first", seed, s)
				}
			}
			if s.Node == 0 || s.Node > o.Nodes || s.Kind == Split && (s.Other < 1 || s.Other > o.Nodes) || s.Kind == Jump && s.Offset == 0 {
				t.Errorf("seed %d: of nobody: %s", seed, s)
			}
		}
	}
	for _, k := range []Kind{Kill, Terminate, Freeze, Isolate, Mute, Deafen, Split, Jump, Exchange, Roll, Power, DiskFull} {
		if seen[k] < 10 {
			t.Errorf("%d times %s", seen[k], k)
		}
	}
	for _, n := range []int{TheLeader, AllNodes, 1, 2, 3} {
		if whom[n] < 10 {
			t.Errorf("%d steps of node %d", whom[n], n)
		}
	}
	for _, s := range Schedule(Options{Nodes: 3, Users: 200}) {
		if s.Kind == Jump || s.Kind == Power {
			t.Errorf("nobody asked for %s", s)
		}
	}
}

// TestFailed proves that a failure which Kazoo counts is a violation in a plain trial,
// and only there.
func TestFailed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plain   bool
		outcome fakekazoo.Outcome
		want    int
	}{
		"delivered":              {true, fakekazoo.OutcomeDelivered, 0},
		"refused":                {true, fakekazoo.OutcomeRefused, 1},
		"exhausted":              {true, fakekazoo.OutcomeExhausted, 1},
		"aborted at the end":     {true, fakekazoo.OutcomeAborted, 0},
		"refused, and all break": {false, fakekazoo.OutcomeRefused, 0},
	} {
		e := &evidence{plain: c.plain, firings: []firing{{Firing: fakekazoo.Firing{ObjectType: "user", Outcome: c.outcome}}}}
		if got := e.failed(); len(got) != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestSame proves that any difference between journals is noticed.
func TestSame(t *testing.T) {
	t.Parallel()
	a := applied{epoch: "e", position: 5}
	for name, c := range map[string]struct {
		change func(*applied)
		want   bool
	}{
		"nothing":  {func(*applied) {}, true},
		"position": {func(a *applied) { a.position++ }, false},
		"epoch":    {func(a *applied) { a.epoch = "f" }, false},
		"chain":    {func(a *applied) { a.chain[3] = 1 }, false},
		"digest":   {func(a *applied) { a.digest[31] = 1 }, false},
	} {
		b := a
		c.change(&b)
		if got := same([]applied{a, a, b}, func(a applied) any { return a }); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if same(nil, func(a applied) any { return a }) {
		t.Error("no journals are the same")
	}
}
