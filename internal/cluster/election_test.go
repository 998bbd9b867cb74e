package cluster

import (
	"testing"
	"time"
)

// hand is a clock that tests move.
type hand struct{ at time.Duration }

func (h *hand) now() time.Duration { return h.at }

// TestElection runs the election by hand. Each step moves the clock and gives the node
// what it reads; then its next action is checked.
func TestElection(t *testing.T) {
	t.Parallel()
	const self = "n1"
	type do = func(e *election)
	type step struct {
		at time.Duration
		do do
	}
	steps := func(list ...step) []step { return list }
	elected := func(term uint64, leader string) do {
		return func(e *election) { e.elected(term, leader, e.boot) }
	}
	earlier := func(term uint64) do { return func(e *election) { e.elected(term, self, "an earlier process") } }
	ticked := func(term uint64) do { return func(e *election) { e.ticked(term) } }
	back := func(term uint64, sent time.Duration) do { return func(e *election) { e.readBack(term, sent) } }
	resigned := func(e *election) { e.resigned() }
	next := func(e *election) { e.next() }
	for name, c := range map[string]struct {
		steps  []step
		at     time.Duration
		action action
		leads  bool
		turn   bool
	}{
		"a fresh node waits":            {at: electAfter - 1},
		"silence makes it want to lead": {at: electAfter, action: action{lead: true, term: 1}},
		"it asks once": {
			steps: steps(step{electAfter, next}), at: electAfter + time.Second,
		},
		"and again when nothing came of it": {
			steps: steps(step{electAfter, next}), at: 2 * electAfter, action: action{lead: true, term: 1},
		},
		"another's tick keeps it quiet": {
			steps: steps(step{time.Second, elected(4, "n2")}, step{3 * time.Second, ticked(4)}), at: 5 * time.Second,
		},
		"a tick of an old term doesn't": {
			steps: steps(step{time.Second, elected(4, "n2")}, step{3 * time.Second, ticked(3)}), at: 4 * time.Second, action: action{lead: true, term: 5},
		},
		"the first of a term wins": {
			steps: steps(step{electAfter, next}, step{electAfter, elected(1, "n2")}, step{electAfter, elected(1, self)}), at: electAfter + 1,
		},
		"elected, it ticks before it leads": {
			steps: steps(step{electAfter, next}, step{electAfter, elected(1, self)}), at: electAfter + 1, action: action{tick: true, term: 1},
		},
		"with its tick read back it leads": {
			steps: steps(step{electAfter, next}, step{electAfter, elected(1, self)}, step{electAfter + 1, back(1, electAfter+1)}), at: electAfter + 2, leads: true, turn: true,
		},
		"it ticks again": {
			steps: steps(step{electAfter, next}, step{electAfter, elected(1, self)}, step{electAfter + 1, back(1, electAfter+1)}), at: electAfter + 1 + tickEvery,
			action: action{tick: true, term: 1}, leads: true, turn: true,
		},
		"a tick counts from when it was sent": {
			steps: steps(step{electAfter, next}, step{electAfter, elected(1, self)}, step{electAfter + fenceAfter, back(1, electAfter)}), at: electAfter + fenceAfter,
			action: action{tick: true, term: 1}, turn: true,
		},
		"a leader that was stopped does nothing when it continues": {
			steps: steps(step{electAfter, next}, step{electAfter, elected(1, self)}, step{electAfter + 1, back(1, electAfter+1)}), at: time.Hour,
			action: action{lead: true, term: 2},
		},
		"its tick comes back from an earlier term": {
			steps: steps(step{electAfter, next}, step{electAfter, elected(1, self)}, step{electAfter + 1, elected(2, "n3")}, step{electAfter + 2, back(1, electAfter+2)}), at: electAfter + 3,
		},
		"what it won in an earlier life doesn't count": {
			steps: steps(step{time.Second, earlier(7)}), at: time.Second, action: action{lead: true, term: 8},
		},
		"nor if it wanted the same term in this one": {
			steps: steps(step{electAfter, next}, step{electAfter, earlier(1)}, step{electAfter + 1, back(1, electAfter+1)}), at: electAfter + 2,
			action: action{lead: true, term: 2},
		},
		"a leader that resigns is followed at once": {
			steps: steps(step{time.Second, elected(7, "n2")}, step{time.Second, resigned}), at: time.Second, action: action{lead: true, term: 8},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hand{}
			e := newElection(self, h.now)
			for _, s := range c.steps {
				h.at = s.at
				s.do(e)
			}
			h.at = c.at
			if got := e.next(); got != c.action {
				t.Errorf("next is %+v, not %+v", got, c.action)
			}
			if got := e.leads(); got != c.leads {
				t.Errorf("leads is %v", got)
			}
			if _, got := e.turn(); got != c.turn {
				t.Errorf("turn is %v", got)
			}
		})
	}
}
