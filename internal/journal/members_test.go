package journal

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"kazoohook/internal/event"
)

func TestKeep(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	ctx := t.Context()
	must(t, c.nodes[1].Keep(ctx, "secret.a", "one"))
	for i, want := range []string{"one", "one"} {
		if kept, err := c.nodes[i].KeepFirst(ctx, "secret.a", fmt.Sprint(i)); err != nil || kept != want {
			t.Errorf("%q, %v", kept, err)
		}
	}
	if kept, err := c.nodes[2].KeepFirst(ctx, "secret.b", "two"); err != nil || kept != "two" {
		t.Errorf("%q, %v", kept, err)
	}
	must(t, c.nodes[0].SetState(ctx, "other", "three"))
	must(t, c.nodes[2].Keep(ctx, "secret.a", ""))
	c.settle()
	if got, err := c.nodes[1].States(ctx, "secret."); err != nil || len(got) != 1 || got["secret.b"] != "two" {
		t.Errorf("%v, %v", got, err)
	}
	c.alike()
}

func TestMembers(t *testing.T) {
	t.Parallel()
	var changes atomic.Int32
	c := newCluster(t, 3, nil)
	must(t, c.nodes[1].Close())
	c.nodes[1].opt.Cluster.OnMembers = func() { changes.Add(1) }
	c.open(1)
	c.tick(0, 0)
	ctx := t.Context()
	for i := range 3 {
		must(t, c.nodes[i].AddMember(ctx, fmt.Sprint("n", i), fmt.Sprint("id", i)))
	}
	must(t, c.nodes[0].RemoveMember(ctx, "n2"))
	must(t, c.nodes[0].AddMember(ctx, "n1", "id9"))
	c.settle()
	want := []Member{{"n0", "id0", false}, {"n1", "id9", false}, {"n2", "id2", true}}
	for i := range c.nodes {
		if got := c.nodes[i].Cluster().Members; !slices.Equal(got, want) {
			t.Errorf("node %d: %+v", i, got)
		}
	}
	waitFor(t, "reports of all changes", func() bool { return changes.Load() >= 5 }) // each comes after its change
	c.restart(2)
	if got := c.nodes[2].Cluster().Members; !slices.Equal(got, want) {
		t.Errorf("after a restart: %+v", got)
	}
	must(t, c.nodes[1].Close())
	if changes.Load() != 5 {
		t.Errorf("%d changes were reported", changes.Load())
	}
}

// A journal that may lack acknowledged events gets a new name on each node. It goes
// on with numbers that were never given, and readers continue after the gap.
func TestRename(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	ctx := t.Context()
	for i := range int64(3) {
		mustAppend(t, c.nodes[0].Journal, content(i))
	}
	was := c.nodes[1].Name()
	must(t, c.nodes[2].agree(ctx, &renamed{Name: "newname1"}))
	a := mustAppend(t, c.nodes[1].Journal, content(4))
	if a.Seq <= 100_003 {
		t.Errorf("%+v", a)
	}
	c.alike()
	for round := range 2 {
		for i, n := range c.nodes {
			if n.Name() == was || n.Name() != c.nodes[0].Name() || n.Cluster().Journal != n.Name() {
				t.Errorf("node %d is called %q, was %q; %+v", i, n.Name(), was, n.Cluster())
			}
			recs, err := n.Read(ctx, 0, 10)
			if err != nil || len(recs) != 4 || recs[3].Seq != a.Seq {
				t.Errorf("node %d, round %d, reads %d events, %v", i, round, len(recs), err)
			}
			if d := n.Damage(); d.Err() != nil {
				t.Error(d)
			}
		}
		c.restartAll()
		c.lead(1)
	}
	if next := mustAppend(t, c.nodes[2].Journal, content(5)); next.Seq != a.Seq+1 {
		t.Errorf("%+v after %+v", next, a)
	}
}

// A journal that a log is made from, and that may lack acknowledged events, has its new
// name and the gap as soon as it has the epoch.
func TestBeginsWithANewName(t *testing.T) {
	t.Parallel()
	o := Options{Dir: memoryDir(t)}
	j := openTest(t, o)
	mustAppend(t, j, content(1))
	was := j.Name()
	must(t, j.Close())
	s, err := Begin(t.Context(), o, "e1", "n0", true)
	must(t, err)
	for range 2 {
		with := o
		with.Cluster = &Cluster{Node: "n0", Replica: newReplica(), Epoch: "e1"}
		j, err := Open(t.Context(), with)
		must(t, err)
		if j.Name() == was || j.Name() != s.Journal || j.Cluster().Journal != s.Journal || j.Damage().Err() != nil {
			t.Errorf("it was %s and is %s: %+v, %v", was, j.Name(), s, j.Damage().Err())
		}
		if last, err := j.Last(t.Context()); err != nil || last < 100_001 {
			t.Errorf("the last number is %d, %v", last, err)
		}
		must(t, j.Close())
	}
}

// A node whose journal differs applies and reads nothing more, but takes requests.
func TestHalt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(i int, o *Options) {
		if i == 2 { // once halted, this node applies no request
			o.grace = 0
		}
	})
	ctx := t.Context()
	mustAppend(t, c.nodes[2].Journal, content(1))
	c.settle()
	reason := errors.New("its journal differs from the others'")
	c.nodes[2].Halt(reason)
	c.nodes[2].Halt(errors.New("another"))
	position := c.nodes[2].Cluster().Position
	if a, err := c.nodes[2].Append(ctx, content(2)); err != nil || a.Command == 0 {
		t.Errorf("%+v, %v", a, err)
	}
	_, read := c.nodes[2].Read(ctx, 0, 10)
	_, state := c.nodes[2].State(ctx, "k")
	_, _, query := c.nodes[2].Query(ctx, event.Query{})
	for what, err := range map[string]error{
		"read": read, "state": state, "query": query, "wait": c.nodes[2].Wait(ctx, 100), "health": c.nodes[2].Health(),
	} {
		if !errors.Is(err, reason) {
			t.Errorf("%s: %v", what, err)
		}
	}
	waitFor(t, "the others", func() bool { last, _ := c.nodes[0].Last(ctx); return last == 2 })
	if got := c.nodes[2].Cluster().Position; got != position {
		t.Errorf("the halted node went on from %d to %d", position, got)
	}
	must(t, c.nodes[2].Close())
	c.open(2)
	c.tick(0, 0)
	c.alike()
}
