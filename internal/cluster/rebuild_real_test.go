//go:build real

package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rebuild asks a node for a rebuild. All nodes end, and are stopped.
func (c *team) rebuild(on *runner) {
	c.t.Helper()
	eventually(c.t, "rebuild", func() error { return on.n.Rebuild(c.t.Context()) })
	for _, r := range c.all {
		if err := r.ends(); !errors.Is(err, ErrRestart) {
			c.t.Errorf("%s ends with %v", r.o.Node, err)
		}
		r.done <- nil
		r.stop()
	}
}

// missing counts the events of take(from, to) that the journal of a node lacks.
func (r *runner) missing(from, to int) int {
	r.t.Helper()
	lacking := map[string]bool{}
	for i := from; i < to; i++ {
		lacking[deletion(i).ObjectID] = true
	}
	for after := int64(0); ; {
		recs, err := r.j.Read(r.t.Context(), after, 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(recs) == 0 {
			return len(lacking)
		}
		for _, rec := range recs {
			delete(lacking, rec.ObjectID)
			after = rec.Seq
		}
	}
}

// TestRebuildOfUnequalNodes: a node that was away returns when the log has vanished. The
// log is made from a node that has everything, also after its disk was tried while the
// log could not be read.
func TestRebuildOfUnequalNodes(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(0, 40)
	c.same()
	name := c.all[0].j.Name()
	c.all[0].stop()
	c.leader()
	c.all[1].take(1000, 1050)
	up := c.still() // a tick that only the log has would be lost
	deleteLog(t, c.all[1].n)
	for _, r := range up {
		r.run()
	}
	for _, r := range c.all[1:] {
		r.wait(StateLost)
		if _, err := r.j.Synced(t.Context()); err != nil {
			t.Error(err)
		}
		if r.j.Applied() < 90 {
			t.Errorf("%s has applied command %d", r.o.Node, r.j.Applied())
		}
	}
	c.all[0].begin()
	c.all[0].opening(StateLost, "")
	c.rebuild(c.all[1])
	c.start(0, 1, 2)
	c.leader()
	c.same()
	if missing := c.all[0].missing(1000, 1050); missing > 0 || c.all[0].j.Name() != name {
		t.Errorf("%d acknowledged events are missing in %s, which was %s", missing, c.all[0].j.Name(), name)
	}
}

// TestTwoDisksAreRestored: two disks are restored from an earlier time and take requests
// before the third node returns. When it is back, all say that the log is cut, and take
// nothing more, also when it is away again or they have begun again. The log can't hold
// what both sides acknowledged, so the journal gets a new name, and each journal that
// isn't the new one's beginning is kept.
func TestTwoDisksAreRestored(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		more    int    // requests that the two take
		longer  bool   // their log gets longer than what the third has
		purged  bool   // the log no longer holds what the third has applied
		founder int    // whose journal is more advanced then
		problem string // what all say
	}{
		"the log is shorter":            {50, false, false, 2, "although node n3 has applied it up to"},
		"the log overtakes":             {600, true, false, 0, "than node n3 has applied"},
		"the log overtakes, after days": {50, true, true, 0, "than node n3 has applied"},
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
			// The servers may also agree on the third one's log. Then it is too short again.
			says := func(r *runner, status Status) {
				if !strings.Contains(status.Problem, test.problem) && !strings.Contains(status.Problem, " it up to ") {
					t.Errorf("%s says %q", r.o.Node, status.Problem)
				}
			}
			lost := func(which ...*runner) {
				for _, r := range which {
					says(r, r.wait(StateLost))
				}
			}
			c.all[2].begin()
			says(c.all[2], c.all[2].opening(StateLost, ""))
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

// TestRebuildOfAWholeLog asks a node that just started, and has no journal open, for a
// rebuild. The others use the log, so it is left alone. The node drops an order that was
// never carried out.
func TestRebuildOfAWholeLog(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(0, 50)
	c.same()
	c.all[2].stop()
	left := order{Epoch: "another", Founder: "n1", All: true, Go: true}
	if err := left.write(c.all[2].o.dir()); err != nil {
		t.Fatal(err)
	}
	c.all[2].begin()
	eventually(t, "refusal", func() error {
		err := c.all[2].n.Rebuild(t.Context())
		switch {
		case err == nil:
			t.Fatal("the log is made anew")
		case strings.Contains(err.Error(), "nothing to rebuild"):
			return nil
		}
		return err
	})
	c.all[2].open()
	for _, r := range c.all {
		if o, err := readOrder(r.o.dir()); err != nil || o.Epoch != "" {
			t.Errorf("%s has the order %+v, %v", r.o.Node, o, err)
		}
	}
	c.same()
}

// TestRebuildFails: a node has begun again to make the log anew when another refuses. It
// gives the order up, although its server has a new name, and makes no log by itself.
func TestRebuildFails(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(0, 20)
	c.still()
	for _, r := range c.all {
		r.stop()
		if err := os.RemoveAll(filepath.Join(r.o.dir(), natsName)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range c.all {
		r.begin()
		r.opening(StateWaiting, "")
	}
	for _, r := range c.all {
		r.wait(StateLost)
	}
	by, all := c.all[2].n, []view{}
	for _, r := range c.all {
		all = append(all, r.n.refresh(t.Context()))
	}
	o, err := planRebuild(len(all), all, logState{})
	o.Founder = "n1"
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "order on all nodes", func() error { return by.askAll(t.Context(), all, rebuildRequest{Order: o}) })
	all[1].Server = "nobody" // the second node doesn't get the order
	if err := by.carryOut(t.Context(), all, o); err == nil || !strings.Contains(err.Error(), "node n2") {
		t.Fatalf("it ends with %v", err)
	}
	first := c.all[0]
	if err := first.ends(); !errors.Is(err, ErrRestart) {
		t.Fatalf("the first node ends with %v", err)
	}
	first.done <- nil
	first.stop()
	first.begin()
	first.opening(StateLost, "is gone")
	if o, err := readOrder(first.o.dir()); err != nil || o.Epoch != "" {
		t.Errorf("it has the order %+v, %v", o, err)
	}
	c.rebuild(c.all[2])
	c.start(0, 1, 2)
	c.leader()
	if events := c.same(); events != 20 {
		t.Errorf("%d events, not 20", events)
	}
}
