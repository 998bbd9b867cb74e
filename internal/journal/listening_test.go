package journal

import (
	"testing"
	"time"
)

// TestListening: a cluster has listened without a break as long as ticks and elections
// are at most longestSilence apart. Each case begins while node 0 leads, and ends with
// an election or another tick.
func TestListening(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		happens func(*testing.T, *cluster)
		broken  bool
	}{
		"the leader goes on": {happens: func(_ *testing.T, c *cluster) { c.tick(0, time.Second) }},
		"a take-over":        {happens: func(_ *testing.T, c *cluster) { c.c.add(6 * time.Second); c.lead(1) }},
		"a slow take-over":   {happens: func(_ *testing.T, c *cluster) { c.c.add(19 * time.Second); c.lead(1) }},
		"two take-overs": {happens: func(t *testing.T, c *cluster) {
			c.c.add(15 * time.Second)
			c.lead(1)
			c.settle()
			c.c.add(15 * time.Second)
			c.lead(2)
		}},
		"no quorum, then a take-over": {happens: func(_ *testing.T, c *cluster) { c.c.add(21 * time.Second); c.lead(1) }, broken: true},
		"no quorum, the same leader":  {happens: func(_ *testing.T, c *cluster) { c.tick(0, 21*time.Second) }, broken: true},
		"the leader starts again and is elected": {happens: func(t *testing.T, c *cluster) {
			must(t, c.nodes[0].Close())
			c.c.add(2 * time.Second)
			c.open(0)
			c.lead(0)
		}},
		"a node that missed the ticks is elected": {happens: func(t *testing.T, c *cluster) {
			held := holdBack(t, c.nodes[1])
			for range 40 {
				c.tick(0, time.Second)
			}
			close(held)
			c.settle()
			c.c.add(4 * time.Second)
			c.lead(1)
		}},
		"all start again at once": {happens: func(t *testing.T, c *cluster) {
			c.c.add(time.Second)
			c.restartAll()
			c.lead(1)
		}},
		"all were stopped": {happens: func(t *testing.T, c *cluster) {
			for _, n := range c.nodes {
				must(t, n.Close())
			}
			c.c.add(10 * time.Minute)
			for i := range c.nodes {
				c.open(i)
			}
			c.lead(1)
		}, broken: true},
		"all were stopped, and the clocks are back": {happens: func(t *testing.T, c *cluster) {
			for _, n := range c.nodes {
				must(t, n.Close())
			}
			c.c.add(-10 * time.Minute)
			for i := range c.nodes {
				c.open(i)
			}
			c.lead(1)
		}, broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 3, nil)
			c.tick(0, time.Second)
			c.settle()
			before := listening(t, c.nodes[0])
			if before == "" || before != listening(t, c.nodes[2]) {
				t.Fatalf("%q, on another node %q", before, listening(t, c.nodes[2]))
			}
			tc.happens(t, c)
			c.settle()
			after := listening(t, c.nodes[0])
			if (before != after) != tc.broken || after != listening(t, c.nodes[1]) {
				t.Errorf("%q, then %q, on another node %q; broken: %v", before, after, listening(t, c.nodes[1]), tc.broken)
			}
			c.alike()
		})
	}
	single := openTest(t, Options{})
	if got, err := single.Listening(t.Context()); got != "" || err != nil {
		t.Errorf("a single node: %q, %v", got, err)
	}
}

func listening(t *testing.T, n *node) string {
	t.Helper()
	text, err := n.Listening(t.Context())
	must(t, err)
	return text
}
