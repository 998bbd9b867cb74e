//go:build real

package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kazoohook/internal/journal"
)

// TestNodeIsReplaced replaces a lost node by an empty one of its name, which needs
// nothing else. Then it replaces it by one of another name, which needs its removal.
// Each fetches a copy, and each new disk counts for the quorum.
func TestNodeIsReplaced(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(0, 50)
	c.same()

	c.all[2].kill()
	c.all[0].take(50, 60)
	c.all[2].empty()
	c.start(2)
	c.counts(c.all[2])
	if events := c.same(); events < 60 {
		t.Errorf("%d events, not 60", events)
	}

	lost := c.all[2].o
	c.all[2].kill()
	remove := func(node string) error {
		ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
		defer cancel()
		return c.all[0].n.Remove(ctx, node)
	}
	err := remove("n7")
	if err == nil || !strings.Contains(err.Error(), `no node "n7"`) {
		t.Errorf("remove an unknown node: %v", err)
	}
	if err = remove("n2"); err == nil || !strings.Contains(err.Error(), "is connected") {
		t.Errorf("remove a connected node: %v", err)
	}
	other := c.all[2].o
	other.Node, other.Dir = "n4", t.TempDir()
	c.all[2].o = other
	c.all[2].begin()
	if s := c.all[2].opening(StateWaiting, "has its 3 nodes already (n1, n2, n3)"); s.State != StateWaiting {
		t.Errorf("the fourth node is %s", s.State)
	}
	eventually(t, "removal", func() error { return remove("n3") })
	c.all[2].open()
	c.counts(c.all[2])
	c.all[2].take(80, 90)
	c.same()

	// The lost node comes back: it has no place any longer.
	c.all[2].stop()
	back := &runner{t: t, o: lost}
	back.begin()
	back.opens()
	if err = back.ends(); !errors.Is(err, ErrRemoved) {
		t.Errorf("the removed node: %v", err)
	}
	back.stop()
}

// TestVoteOfALostNode replaces a node that was lost before it became a member by one of
// another name: nothing names the lost node, but it has a vote.
func TestVoteOfALostNode(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(0, 10)
	c.same()
	c.all[2].kill()
	eventually(t, "absence of the lost node", func() error { // else it may become a member again
		for _, r := range c.running() {
			if r.n.connected() != 2 {
				return errors.New("it counts as connected")
			}
		}
		return nil
	})
	eventually(t, "removal", func() error { return c.all[0].j.RemoveMember(t.Context(), "n3") })
	c.all[2].o.Node, c.all[2].o.Dir = "n4", t.TempDir()
	c.start(2)
	c.counts(c.all[2])
	c.same()
}

// counts proves that the disk of a new member counts: it and one more node are a
// quorum.
func (c *team) counts(member *runner) {
	c.t.Helper()
	node, server := member.o.Node, member.n.id.server()
	for _, r := range c.all {
		if r == member {
			continue
		}
		eventually(c.t, "place for node "+node, func() error {
			if members(r.j.Cluster())[node] != server {
				return errors.New("it is no member")
			}
			return nil
		})
	}
	for i, r := range c.all {
		if r == member {
			continue
		}
		r.stop()
		member.take(1000+i, 1001+i)
		c.start(i)
	}
}

// opening opens the journal beside the test and waits for a state with a reason. A node
// that must begin again does so.
func (r *runner) opening(s State, reason string) (status Status) {
	r.t.Helper()
	r.opens()
	eventually(r.t, "state "+string(s), func() error {
		r.again()
		status = r.n.Status(r.t.Context())
		if status.State != s || !strings.Contains(status.Problem, reason) {
			return errors.New(string(status.State) + ": " + status.Problem)
		}
		return nil
	})
	return status
}

// anew waits until a node ends because it must begin again, and stops it.
func (r *runner) anew() {
	r.t.Helper()
	if err := r.ends(); !errors.Is(err, ErrRestart) {
		r.t.Errorf("%s ends with %v", r.o.Node, err)
	}
	r.stop()
}

// TestLostLog removes the servers' files of all nodes. That is noticed, nothing
// continues silently, and a rebuild continues the same journal.
func TestLostLog(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[1].take(0, 40)
	c.still() // a tick that only the log has would be lost
	name := c.all[0].j.Name()
	for _, r := range c.all {
		r.stop()
		if err := os.RemoveAll(filepath.Join(r.o.dir(), natsName)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range c.all {
		r.begin()
	}
	var wg sync.WaitGroup
	for _, r := range c.all {
		wg.Go(func() { r.opening(StateLost, "run kazoohook cluster rebuild") })
	}
	wg.Wait()
	c.rebuild(c.all[2])
	c.start(0, 1, 2)
	c.leader()
	c.all[2].take(40, 50)
	if events := c.same(); events != 50 {
		t.Errorf("%d events, not 50", events)
	}
	if now := c.all[2].j.Name(); now != name {
		t.Errorf("the journal was %s and is %s", name, now)
	}
	if err := c.all[0].n.Rebuild(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing to rebuild") {
		t.Errorf("rebuild of what is whole: %v", err)
	}
}

// TestFromOneToThreeAndBack makes a cluster from a single node's journal, goes back to
// a single node, and to three again.
func TestFromOneToThreeAndBack(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	alone := func(from, to int) string {
		j, err := journal.Open(t.Context(), journal.Options{Dir: c.all[1].o.Dir})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		}()
		(&runner{t: t, j: j}).take(from, to)
		return j.Name()
	}
	name := alone(0, 20)
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(20, 30)
	if events := c.same(); events != 30 || c.all[2].j.Name() != name {
		t.Errorf("%d events in %s, not 30 in %s", events, c.all[2].j.Name(), name)
	}
	for _, r := range c.all {
		r.stop()
	}
	if now := alone(30, 40); now != name {
		t.Errorf("the single node's journal is %s, not %s", now, name)
	}
	// The others still have the log, so a person must say which is right.
	c.start(0, 2)
	c.all[1].begin()
	c.all[1].opening(StateRefused, "went on outside the cluster")
	c.all[1].n.fail(journal.ErrClosed)
	if err := c.all[1].ends(); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("the refused node ends with %v", err)
	}
	for _, r := range c.all {
		r.stop()
	}
	c.all[0].empty()
	c.all[2].empty()
	c.start(0, 1, 2)
	c.leader()
	c.all[2].take(40, 50)
	if events := c.same(); events != 50 || c.all[0].j.Name() != name {
		t.Errorf("%d events in %s, not 50 in %s", events, c.all[0].j.Name(), name)
	}
}

// TestTwoDisksAreLost leaves one journal of three. The two empty nodes make no log of
// their own; a rebuild continues from the journal that is left. It does so, too, when the
// nodes have found the old log again: without a quorum it can take nothing.
func TestTwoDisksAreLost(t *testing.T) {
	t.Parallel()
	for name, later := range map[string]bool{"rebuilt at once": false, "rebuilt when the log is found again": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTeam(t)
			c.start(0, 1, 2)
			c.leader()
			c.all[0].take(0, 40)
			c.still() // a tick that only the log has would be lost
			name := c.all[2].j.Name()
			for _, r := range c.all {
				r.stop()
			}
			c.all[0].empty()
			c.all[1].empty()
			for _, r := range c.all {
				r.begin()
				r.opening(StateWaiting, "")
			}
			if later {
				eventually(t, "journals that are open", c.allOpen)
				eventually(t, "word of the lost disks on each node", func() error {
					for _, r := range c.all {
						r.again()
						if status := r.n.Status(t.Context()); status.State != StateLost || !strings.Contains(status.Problem, "run kazoohook cluster rebuild") {
							return errors.New(r.o.Node + ": " + status.Problem)
						}
					}
					return nil
				})
			}
			c.rebuild(c.all[0])
			c.start(0, 1, 2)
			c.leader()
			c.all[0].take(40, 50)
			if events := c.same(); events != 50 || c.all[0].j.Name() != name {
				t.Errorf("%d events in %s, not 50 in %s", events, c.all[0].j.Name(), name)
			}
		})
	}
}

// TestServerStopsWriting switches a node's server off, as a full disk does. The others
// go on. The node starts again and has everything.
func TestServerStopsWriting(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	r := c.all[1]
	if err := r.n.embedded.server.DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	c.all[0].take(0, 20)
	r.anew()
	c.start(1)
	r.take(20, 30)
	if events := c.same(); events != 30 {
		t.Errorf("%d events, not 30", events)
	}
}

// TestLogVanishes deletes the log of a running cluster. Nothing is taken and every node
// says so. A rebuild on any node brings the log back.
func TestLogVanishes(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[1].take(0, 20)
	c.same()
	deleteLog(t, c.all[0].n)
	for _, r := range c.all {
		r.wait(StateLost)
	}
	if _, err := c.all[2].j.Append(t.Context(), deletion(99)); !errors.Is(err, journal.ErrUnavailable) {
		t.Errorf("a request without a log: %v", err)
	}
	c.rebuild(c.all[0])
	c.start(0, 1, 2)
	c.leader()
	c.all[2].take(20, 30)
	if events := c.same(); events != 30 {
		t.Errorf("%d events, not 30", events)
	}
}
