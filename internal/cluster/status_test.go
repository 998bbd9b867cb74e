package cluster

import (
	"slices"
	"testing"
	"time"
)

// TestStatusNamesALeaderThatIsThere: a lost leader is not named as the leader, even
// before another is elected.
func TestStatusNamesALeaderThatIsThere(t *testing.T) {
	t.Parallel()
	now := time.Now()
	n := &Node{o: Options{Node: "n1", Size: 3}, id: identity{"n1", "x"}, peers: newRegistry(func() time.Time { return now }), state: StateReady}
	n.election = newElection("n1", monotonic())
	show := func(nodes ...string) {
		for _, node := range nodes {
			n.peers.saw(view{Node: node, Server: node + ".x", State: StateReady, Open: true})
		}
	}
	status := func() (leader string, leaders, alive []string) {
		s := n.Status(t.Context())
		for _, o := range s.Nodes {
			if o.Leader {
				leaders = append(leaders, o.Name)
			}
			if o.Alive {
				alive = append(alive, o.Name)
			}
		}
		return s.Leader, leaders, alive
	}
	show("n1", "n2", "n3")
	if leader, leaders, _ := status(); leader != "" || leaders != nil {
		t.Errorf("before an election %q leads, %v", leader, leaders)
	}
	n.election.elected(4, "n2", "b")
	if leader, leaders, alive := status(); leader != "n2" || !slices.Equal(leaders, []string{"n2"}) || len(alive) != 3 {
		t.Errorf("%q leads, %v; %v are there", leader, leaders, alive)
	}
	now = now.Add(aliveFor + time.Second)
	show("n1", "n3")
	if leader, leaders, alive := status(); leader != "" || leaders != nil || !slices.Equal(alive, []string{"n1", "n3"}) {
		t.Errorf("%q leads, %v, although it is lost; %v are there", leader, leaders, alive)
	}
	n.election.elected(5, "n3", "b")
	if leader, _, _ := status(); leader != "n3" || n.Status(t.Context()).Term != 5 {
		t.Errorf("%q leads", leader)
	}
}
