//go:build real

package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// TestTwoDisksAreRestored: two disks are restored from an earlier time and take requests
// before the third node returns. When it is back, all say that the log is cut, and take
// nothing more, also when it is away again or they have begun again. The log can't hold
// what both sides acknowledged, so the journal gets a new name, and each journal that
// isn't the new one's beginning is kept.
func TestTwoDisksAreRestored(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		more    int  // requests that the two take
		longer  bool // their log gets longer than what the third has
		purged  bool // the log no longer holds what the third has applied
		founder int  // whose journal is more advanced then
	}{
		"the log is shorter":            {50, false, false, 2},
		"the log overtakes":             {600, true, false, 0},
		"the log overtakes, after days": {50, true, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTeam(t)
			c.restoreTwo(test.more, test.longer)
			if longer := c.all[0].j.Cluster().Position > c.position(2); longer != test.longer {
				t.Fatalf("the log's end is %d, the third node has applied %d", c.all[0].j.Cluster().Position, c.position(2))
			}
			if test.purged {
				eventually(t, "purge", func() error { return c.all[0].n.stream.Load().purge(t.Context(), c.position(2)+1) })
			}
			name := c.all[0].j.Name()
			lost := func(which ...*runner) {
				for _, r := range which {
					cutSaid(t, r.o.Node, r.wait(StateLost).Problem)
				}
			}
			c.all[2].begin()
			cutSaid(t, "n3", c.all[2].opening(StateLost, "").Problem)
			for _, r := range c.all[:2] {
				lost(r)
				if _, err := r.j.Append(t.Context(), deletion(5000)); err == nil {
					t.Errorf("%s takes a request", r.o.Node)
				}
			}
			c.all[2].stop()
			for range 2 { // the third node is away, and longer than it counts as connected
				for _, r := range c.all[:2] {
					r.n.lookAtEnd(t.Context(), r.j)
					lost(r)
					if _, err := r.j.Append(t.Context(), deletion(5000)); err == nil {
						t.Errorf("%s takes a request while the third is away", r.o.Node)
					}
				}
				eventually(t, "absence of the third node", func() error {
					for _, r := range c.all[:2] {
						if r.n.connected() != 2 {
							return errors.New("it counts as connected")
						}
					}
					return nil
				})
			}
			for _, r := range c.all[:2] {
				r.stop()
			}
			for _, r := range c.all[:2] {
				r.begin()
				r.opening(StateWaiting, "")
			}
			lost(c.all[:2]...)
			c.all[2].begin()
			c.all[2].opening(StateLost, "")
			c.rebuild(c.all[2])
			c.start(0, 1, 2)
			c.leader()
			c.same()
			if c.all[0].j.Name() == name {
				t.Error("the journal has its old name")
			}
			from, to := 100, 400
			if test.founder == 0 {
				from, to = 1000, 1000+test.more
			}
			if missing := c.all[0].missing(from, to); missing > 0 {
				t.Errorf("%d events of the most advanced journal are missing", missing)
			}
			for i, r := range c.all { // what only the others had is still there
				want := 1
				if test.founder == 0 && i < 2 || test.founder == i {
					want = 0
				}
				if aside, err := filepath.Glob(filepath.Join(r.o.Dir, "replaced-*")); err != nil || len(aside) != want {
					t.Errorf("moved aside on %s: %v, %v, not %d", r.o.Node, aside, err, want)
				}
			}
		})
	}
}

var (
	endsEarly  = regexp.MustCompile(`ends at (\d+), although (?:(?:node n[123]|this node) has applied|a node has had) it up to (\d+): run kazoohook cluster rebuild`)
	hasAnother = regexp.MustCompile(`^the cluster's log has (another entry at \d+|other entries) than (node n[123] has applied|a node has had): run kazoohook cluster rebuild`)
)

// cutSaid checks why a node says that the log is cut. The servers may agree on the log of
// either side, and each node may see its end or an entry first: with the log of the two,
// the third has had more, or another entry. With the third one's, the two have.
func cutSaid(t *testing.T, node, problem string) {
	t.Helper()
	if hasAnother.MatchString(problem) {
		return
	}
	numbers := endsEarly.FindStringSubmatch(problem)
	if numbers == nil {
		t.Errorf("%s says %q", node, problem)
		return
	}
	end, err := strconv.Atoi(numbers[1])
	had, herr := strconv.Atoi(numbers[2])
	if err != nil || herr != nil || end >= had {
		t.Errorf("%s says %q", node, problem)
	}
}

// restoreTwo restores the disks of two nodes from an earlier time, while the third is
// down. The two take more requests, until the log is longer than what the third has, or
// so few that the ticks of minutes don't make it longer.
func (c *team) restoreTwo(more int, longer bool) {
	t := c.t
	t.Helper()
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(0, 40)
	c.same()
	for _, r := range c.all {
		r.stop()
	}
	earlier := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	for i, dir := range earlier {
		copyAll(t, c.all[i].o.Dir, dir)
	}
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(100, 400)
	if !longer {
		c.all[0].fill(400)
	}
	c.still()
	for _, r := range c.all {
		r.stop()
	}
	for i, dir := range earlier {
		copyAll(t, dir, c.all[i].o.Dir)
	}
	c.start(0, 1)
	c.leader()
	c.all[0].take(1000, 1000+more)
	for longer && c.all[0].j.Cluster().Position <= c.position(2) {
		c.all[0].fill(50)
	}
}

// position reads which position a stopped node has applied.
func (c *team) position(which int) uint64 {
	c.t.Helper()
	v, err := peek(c.t.Context(), c.all[which].o.Dir)
	if err != nil {
		c.t.Fatal(err)
	}
	return v.Position
}

// copyAll makes a directory a copy of another.
func copyAll(t *testing.T, from, to string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from))); err != nil {
		t.Fatal(err)
	}
}
