//go:build real

package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rebuild asks a node for a rebuild until all nodes carry it out: all end, and are
// stopped. Nodes that have ended for one that failed begin again.
func (c *team) rebuild(on *runner) {
	c.t.Helper()
	eventually(c.t, "rebuild", func() error {
		err := on.n.Rebuild(c.t.Context())
		for _, r := range c.all {
			if err != nil {
				r.again()
			}
		}
		return err
	})
	for _, r := range c.all {
		r.anew()
	}
}

// allOpen returns an error while a node doesn't have its journal open.
func (c *team) allOpen() error {
	for _, r := range c.all {
		if r.again(); !r.isOpen() {
			return errors.New(r.o.Node + ": " + r.n.Status(c.t.Context()).Problem)
		}
	}
	return nil
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
	c.all[2].opens()
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
	eventually(t, "refusal of the second node", func() error {
		err := by.carryOut(t.Context(), all, o)
		if err == nil {
			t.Fatal("all carry it out")
		} else if !strings.Contains(err.Error(), "node n2") {
			return err
		}
		return nil
	})
	first := c.all[0] // it begins again although nobody asked it to
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
