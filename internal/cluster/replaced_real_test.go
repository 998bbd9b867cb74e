//go:build real

package cluster

import (
	"errors"
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
