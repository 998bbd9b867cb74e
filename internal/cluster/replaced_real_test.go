//go:build real

package cluster

import (
	"errors"
	"fmt"
	"testing"
)

// TestReplacementIsLost loses a replacement that has a vote before it is a member. The other
// nodes are started again, so that they don't know its name. The next replacement becomes a
// member, and its disk counts.
func TestReplacementIsLost(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(0, 20)
	c.same()
	third := c.all[2]
	lost := peerID(third.n.id.server())
	third.kill()
	third.empty()
	third.begin() // only its server
	replacement := peerID(third.n.id.server())
	eventually(t, "vote of the replacement", func() error {
		if err := c.all[0].n.evictWithin(t.Context(), lost); err != nil {
			return err
		}
		votes, err := c.all[0].n.stream.Load().votes(t.Context())
		if err == nil && !votes[replacement].current {
			err = errors.New("it has none")
		}
		return err
	})
	third.kill()
	for i := range 2 {
		c.all[i].stop()
	}
	c.start(0, 1)
	c.leader()
	third.empty()
	c.start(2)
	c.counts(c.all[2])
	c.same()
	eventually(t, "end of the votes of lost servers", func() error {
		for _, r := range c.running() {
			if group := r.n.embedded.group(); group[lost] != "" || group[replacement] != "" {
				return errors.New("a lost server still has one")
			}
		}
		return nil
	})
}

// TestStrayServer starts a node that has no place, and loses it. Once all nodes are connected,
// it has no vote left.
func TestStrayServer(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(0, 10)
	c.same()
	o := c.all[2].o
	o.Node, o.Dir, o.Listen = "n4", t.TempDir(), testAddrs(t, 1)[0]
	stray := &runner{t: t, o: o}
	stray.begin()
	server := peerID(stray.n.id.server())
	votes := func(want bool) {
		t.Helper()
		eventually(t, "end of the wait for its vote", func() error {
			for _, r := range c.running() {
				if group := r.n.embedded.group(); want != (group[server] != "") {
					return fmt.Errorf("%s has the votes of %v", r.o.Node, group)
				}
			}
			return nil
		})
	}
	votes(true)
	stray.kill()
	votes(false)
	c.all[0].take(10, 20)
	c.same()
}
