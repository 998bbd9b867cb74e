//go:build real

package cluster

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
)

// TestTamperedNode changes a row in a stopped node's journal. The node then stops
// leading, applying and answering, and still takes requests.
func TestTamperedNode(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	bad := c.leader()
	bad.take(0, 30)
	c.same()
	bad.stop()
	tamper(t, bad)
	for i, r := range c.all {
		if r == bad {
			c.start(i)
		}
	}
	bad.take(0, 2100) // the first ones again, so that the changed rows are read
	status := bad.wait(StateDiverged)
	if !status.Diverged || !strings.Contains(status.Problem, "differs from that of nodes") || bad.n.Diverged() == nil {
		t.Errorf("status is %+v", status)
	}
	if leader := c.leader(); leader == bad {
		t.Error("the tampered node leads")
	}
	if _, _, err := bad.j.Query(t.Context(), event.Query{}); err == nil {
		t.Error("the tampered node answers a query")
	}
	if _, err := bad.j.Synced(t.Context()); err != nil { // what it was applying is applied
		t.Error(err)
	}
	at := bad.j.Cluster().Position
	bad.take(3000, 3020)
	if now := bad.j.Cluster().Position; now != at {
		t.Errorf("it has applied entries up to %d, after %d", now, at)
	}
	for _, r := range c.others(bad) {
		eventually(t, "events that the tampered node took", func() error {
			c.supervise()
			last, err := r.j.Last(t.Context())
			if err == nil && last != 2120 {
				err = errors.New("not yet")
			}
			return err
		})
	}
}

// supervise starts nodes again that begin anew, as the whole one of two that differ
// does if the third is seconds behind.
func (c *team) supervise() {
	for i, r := range c.all {
		if r.n != nil && errors.Is(r.n.ending(), ErrRestart) {
			r.stop()
			c.start(i)
		}
	}
}

// dispute changes the journal of one of the last two nodes, and gives them requests until
// their journals are compared.
func (c *team) dispute() (bad, good, away *runner) {
	c.t.Helper()
	c.start(0, 1, 2)
	c.leader().take(0, 30)
	c.same()
	bad, good, away = c.all[0], c.all[1], c.all[2]
	away.stop()
	bad.stop()
	tamper(c.t, bad)
	c.start(0)
	c.leader()
	good.take(0, 1100)
	return bad, good, away
}

// TestTwoDiffer changes the journal of one of the last two nodes. Nobody can tell which
// is right: both stop leading, applying and answering, and still take requests. The
// third node decides when it is back.
func TestTwoDiffer(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	bad, good, away := c.dispute()
	for _, r := range []*runner{bad, good} {
		status := r.wait(StateDiverged)
		if !status.Diverged || !strings.Contains(status.Problem, "no majority says which is right") || r.n.Leads() {
			t.Errorf("status of %s is %+v", r.o.Node, status)
		}
		if _, _, err := r.j.Query(t.Context(), event.Query{}); err == nil {
			t.Errorf("node %s answers a query", r.o.Node)
		}
	}
	bad.take(3000, 3020)
	c.start(2)
	eventually(t, "the good node to begin anew", func() error {
		if err := good.n.ending(); !errors.Is(err, ErrRestart) {
			return fmt.Errorf("it ends with %v", err) //nolint:errorlint // it may be nil
		}
		return nil
	})
	good.stop()
	c.start(1)
	if status := bad.wait(StateDiverged); !status.Diverged || c.leader() == bad {
		t.Errorf("status of the other is %+v", status)
	}
	for _, r := range []*runner{good, away} {
		eventually(t, "all events", func() error {
			c.supervise()
			if last, err := r.j.Last(t.Context()); err != nil || last != 1120 {
				return fmt.Errorf("%d events, %v", last, err) //nolint:errorlint // it may be nil
			}
			return nil
		})
	}
}

// tamper changes what a stopped node knows about objects.
func tamper(t *testing.T, r *runner) {
	t.Helper()
	db, err := database.Open(filepath.Join(r.o.Dir, journal.FileName), "")
	if err == nil {
		err = errors.Join(db.Exec("UPDATE objects SET deleted_seq = deleted_seq + 1"), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSettingsDiffer starts a node with other settings: it takes requests and does not
// lead. Once a quorum has the new settings, they become the cluster's.
func TestSettingsDiffer(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	for i, r := range c.all {
		r.stop()
		r.o.Settings = map[string]string{"HOOKS": "user,account"}
		c.start(i)
		if leader := c.leader(); i < 1 {
			status := r.wait(StateSettings)
			if leader == r || !strings.Contains(status.Problem, "HOOKS") || len(status.Settings) != 1 {
				t.Errorf("leader is %s, status %+v", leader.o.Node, status)
			}
			r.take(0, 10)
		}
	}
	for _, r := range c.all {
		r.wait(StateReady)
	}
	leader := c.leader()
	leader.kill() // the next leader has the new settings, too
	c.leader()
	if events := c.same(); events != 10 {
		t.Errorf("%d events, not 10", events)
	}
}

// TestTwoDifferAndTheThirdIsLost follows the documented way out: one of the two is emptied,
// an empty third is started, and the log is made anew from the one that is left. What only
// the old log had is lost, so the journal gets a new name.
func TestTwoDifferAndTheThirdIsLost(t *testing.T) {
	t.Parallel()
	for name, lacks := range map[string]bool{"the log has all": false, "the log lacks entries": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTeam(t)
			bad, good, lost := c.dispute()
			for _, r := range []*runner{bad, good} {
				r.wait(StateDiverged)
			}
			good.take(3000, 3020) // neither applies it now
			name := good.j.Name()
			bad.stop()
			for _, r := range []*runner{bad, lost} {
				r.empty()
				r.begin()
				r.opening(StateWaiting, "")
			}
			epoch := good.n.known().Epoch
			good.anew()
			if lacks {
				h := readHad(good.o.dir(), epoch)
				h.Position += 100
				if err := writeFile(good.o.dir(), ackedName, h); err != nil {
					t.Fatal(err)
				}
			}
			good.begin()
			good.opens()
			// Two of the servers are new. If the good node's own hadn't yet what those had
			// acknowledged, the log lacks it, and the node says so. That happens by itself, too,
			// but seldom.
			eventually(t, "end of the dispute", func() error {
				if err := c.allOpen(); err != nil && good.n.Status(t.Context()).State != StateLost {
					return err
				}
				return nil
			})
			c.rebuild(good)
			c.start(0, 1, 2)
			c.leader()
			c.same()
			if good.j.Name() == name {
				t.Error("the journal has its old name")
			}
			if missing := bad.missing(0, 1100); missing > 0 {
				t.Errorf("%d events of the journal that was left are missing", missing)
			}
		})
	}
}
