package cluster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestServerEndsFirst: a node that carries out an order takes its server away at once,
// although the service still has to close the journal.
func TestServerEndsFirst(t *testing.T) {
	t.Parallel()
	n := startStream(t, testOptions(t)[0])
	if err := n.rebuild(rebuildRequest{Order: order{Epoch: "e2", Founder: "n1", Anew: true, All: true}, Go: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end", func() error {
		if n.embedded.server.Running() {
			return errors.New("the server is up")
		}
		return nil
	})
	if err := n.ending(); !errors.Is(err, ErrRestart) {
		t.Errorf("it ends with %v", err)
	}
}

// TestNodesEndTogether: a node that has stored an order ends when all have, or when it hears
// no more, but not if the order is withdrawn.
func TestNodesEndTogether(t *testing.T) {
	t.Parallel()
	o := order{Epoch: "e2", Founder: "n1", Anew: true, All: true}
	stored, held, third := rebuildRequest{Order: o}, rebuildRequest{Order: o, Go: true, Hold: true}, rebuildRequest{Order: o, Go: true}
	for name, c := range map[string]struct {
		requests []rebuildRequest
		after    time.Duration // when it ends; 0: never
	}{
		"all have stored it":    {[]rebuildRequest{stored, held, third}, time.Second},
		"nobody says so":        {[]rebuildRequest{stored, held}, 30 * time.Second},
		"not all have it":       {[]rebuildRequest{stored}, 0},
		"it is withdrawn":       {[]rebuildRequest{stored, held, {Order: o, Withdraw: true}}, 0},
		"of an earlier version": {[]rebuildRequest{stored, third}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				n := &Node{o: Options{Dir: dir, Node: "n1", Size: 3}, ended: make(chan struct{})}
				for _, r := range c.requests {
					if err := n.rebuild(r); err != nil {
						t.Fatal(err)
					}
				}
				begin, after := time.Now(), time.Duration(0)
				select {
				case <-n.ended:
					after = time.Since(begin)
				case <-time.After(time.Hour):
				}
				if after != c.after {
					t.Errorf("it ends after %s, not %s", after, c.after)
				}
			})
		})
	}
}

// TestRebuildOnceMore: a rebuild that all nodes carry out has removed the old log, and nobody
// follows the new one yet, so it can be ordered again.
func TestRebuildOnceMore(t *testing.T) {
	t.Parallel()
	late := errors.New("no answer in time")
	for name, c := range map[string]struct {
		making []string
		may    bool
	}{
		"all carry it out":           {[]string{"e2", "e2", "e2"}, true},
		"one has not begun again":    {[]string{"e2", "", "e2"}, false},
		"one carries out another":    {[]string{"e2", "e3", "e2"}, false},
		"nobody carries one out":     {[]string{"", "", ""}, false},
		"one follows the log by now": {[]string{"", "e2", "e2"}, false},
	} {
		var all []view
		for i, making := range c.making {
			name := []string{"n1", "n2", "n3"}[i]
			all = append(all, view{Node: name, Server: name, Journal: "aaaa", Epoch: "e1", Position: 60, Acked: 60, Making: making})
		}
		if err := replaceable(3, all, logState{}, late); (err == nil) != c.may {
			t.Errorf("%s: %v", name, err)
		}
	}
}
