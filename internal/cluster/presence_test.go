package cluster

import (
	"testing"
	"time"
)

// TestLagIsOfWhatWasKnown: a node isn't behind because an entry came after its last
// report.
func TestLagIsOfWhatWasKnown(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := newRegistry(func() time.Time { return now })
	present := func(server string, position uint64) {
		now = now.Add(100 * time.Millisecond)
		r.saw(view{Node: server, Server: server, Epoch: "e", Position: position})
	}
	level := func(server string) bool {
		p := r.all()[server]
		return p.level()
	}
	present("a", 10)
	present("b", 10)
	present("a", 11)
	if !level("a") || !level("b") {
		t.Error("a node that had all when it reported is behind")
	}
	present("b", 10)
	if level("b") || r.lagging("b", 1) == 0 {
		t.Error("a node that lacks what another had reported before isn't behind")
	}
	present("b", 11)
	if !level("b") {
		t.Error("a node that has caught up is behind")
	}
	if (&peer{}).level() {
		t.Error("a node that was never seen has all")
	}
}

// TestWhoStandsStill: the log is kept for a node for absentAfter from when it last took
// something, also if it goes on saying that it is there, or begins again.
func TestWhoStandsStill(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	open := func(synced uint64) view { return view{Epoch: "e", Synced: synced, Position: synced} }
	undecided := open(5)
	undecided.Undecided = true
	for name, c := range map[string]struct {
		views []view // each an hour after the one before
		still time.Duration
	}{
		"it advances":                    {[]view{open(5), open(6), open(7)}, 0},
		"it has all there is":            {[]view{open(99), open(99), open(99)}, 0},
		"it stands still":                {[]view{open(5), open(5), open(5)}, 2 * time.Hour},
		"it begins again and stays":      {[]view{open(5), {Epoch: "e"}, open(5)}, 2 * time.Hour},
		"it begins again and goes on":    {[]view{open(5), {Epoch: "e"}, open(6)}, 0},
		"it can't open its journal":      {[]view{{Epoch: "e"}, {Epoch: "e"}, {Epoch: "e"}}, 2 * time.Hour},
		"it is refused":                  {[]view{{}, {}, {}}, 2 * time.Hour},
		"nobody says whether it's right": {[]view{undecided, undecided, undecided}, 0},
		"it has another log now":         {[]view{open(5), {Epoch: "f", Synced: 1}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := start
			r := newRegistry(func() time.Time { return now })
			r.saw(view{Node: "n1", Server: "a", Epoch: "e", Position: 99, Synced: 99})
			for i, v := range c.views {
				now = start.Add(time.Duration(i) * time.Hour)
				v.Node, v.Server = "n2", "b"
				r.saw(v)
			}
			synced, at := r.advanced("b")
			if still := now.Sub(at); still != c.still || synced != c.views[len(c.views)-1].Synced {
				t.Errorf("it stands still for %v at %d, not %v", still, synced, c.still)
			}
		})
	}
	if _, at := newRegistry(time.Now).advanced("b"); !at.IsZero() {
		t.Errorf("a server that was never seen advanced at %v", at)
	}
}
