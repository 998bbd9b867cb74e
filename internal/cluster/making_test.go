package cluster

import (
	"errors"
	"testing"
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
