package cluster

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// team is a cluster of runners.
type team struct {
	t   *testing.T
	all []*runner
}

func newTeam(t *testing.T) *team {
	t.Helper()
	c := &team{t: t}
	for _, o := range testOptions(t) {
		c.all = append(c.all, &runner{t: t, o: o})
	}
	t.Cleanup(func() {
		var wg sync.WaitGroup
		for _, r := range c.all {
			wg.Go(r.stop)
		}
		wg.Wait()
	})
	return c
}

// start starts nodes and waits until they give the log commands.
func (c *team) start(which ...int) {
	c.t.Helper()
	var wg sync.WaitGroup
	for _, i := range which {
		c.all[i].begin()
		c.all[i].opens()
		wg.Go(c.all[i].open)
	}
	wg.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// running returns the nodes that are up.
func (c *team) running() (up []*runner) {
	for _, r := range c.all {
		if r.isOpen() {
			up = append(up, r)
		}
	}
	return up
}

// leader waits until exactly one node leads.
func (c *team) leader() *runner {
	c.t.Helper()
	var leader *runner
	eventually(c.t, "leader", func() error {
		var leading []*runner
		for _, r := range c.running() {
			if r.n.Leads() && r.leading.Load() {
				leading = append(leading, r)
			}
		}
		if len(leading) != 1 {
			return fmt.Errorf("%d nodes lead", len(leading))
		}
		leader = leading[0]
		return nil
	})
	return leader
}

func (c *team) others(than *runner) (list []*runner) {
	for _, r := range c.running() {
		if r != than {
			list = append(list, r)
		}
	}
	return list
}

// still ends Run on the nodes, waits until all have applied the same, and compares all
// that they hold.
func (c *team) still() (up []*runner) {
	c.t.Helper()
	up = c.running()
	for _, r := range up {
		r.rest()
	}
	for _, r := range up { // no earlier command of this node, such as a tick, comes later
		eventually(c.t, "last command of "+r.o.Node, func() error { return r.j.Keep(c.t.Context(), "still", r.o.Node) })
	}
	eventually(c.t, "common position", func() error {
		digests := map[[32]byte]bool{}
		var positions []uint64
		for _, r := range up {
			positions = append(positions, r.n.acked.Load(), r.j.Cluster().Position)
			d, err := r.j.Digest(c.t.Context())
			if err != nil {
				c.t.Fatal(err)
			}
			digests[d] = true
		}
		for _, r := range up { // a tick may have arrived in between
			positions = append(positions, r.n.acked.Load(), r.j.Cluster().Position)
		}
		if slices.Min(positions) != slices.Max(positions) {
			return fmt.Errorf("positions are %v", positions)
		}
		if len(digests) != 1 {
			c.t.Fatalf("journals differ at position %d", positions[0])
		}
		return nil
	})
	return up
}

// same compares as still does, and goes on. It returns the number of events.
func (c *team) same() (events int64) {
	c.t.Helper()
	up := c.still()
	last, err := up[0].j.Last(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range up {
		r.run()
	}
	return last
}

// TestClusterLife takes events on three new nodes, loses the leader, then stops every
// node in turn as a rolling restart does. All journals must be equal.
func TestClusterLife(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	for i, r := range c.all {
		r.take(i*100, i*100+100)
	}
	if events := c.same(); events != 300 {
		t.Errorf("%d events, not 300", events)
	}
	leader := c.leader()
	rest := c.others(leader)
	start := time.Now()
	leader.kill()
	c.leader()
	t.Logf("taken over %v after the leader's death", time.Since(start).Round(time.Millisecond))
	rest[0].take(300, 400)
	for i, r := range c.all {
		if r == leader {
			c.start(i)
		}
	}
	for i, r := range c.all {
		start := time.Now()
		was := r == c.leader()
		r.stop()
		c.leader()
		t.Logf("leader stopped: %v, another after %v", was, time.Since(start).Round(time.Millisecond))
		c.running()[0].take(400+i*10, 410+i*10)
		c.start(i)
	}
	if events := c.same(); events != 430 {
		t.Errorf("%d events, not 430", events)
	}
	eventually(t, "status of a whole cluster on all nodes", func() error {
		leader := c.all[0].n.Status(t.Context()).Leader // it may change at any time on a busy machine
		for _, r := range c.all {
			s := r.n.Status(t.Context())
			ok := s.Quorum && len(s.Nodes) == 3 && s.State == StateReady && s.Leader == leader && s.Leads == (r.o.Node == leader)
			for _, n := range s.Nodes {
				ok = ok && n.Alive && n.Member && n.Version == "1.0.0" && n.Leader == (n.Name == leader)
			}
			if !ok {
				return fmt.Errorf("%s has %+v", r.o.Node, s)
			}
		}
		return nil
	})
}
