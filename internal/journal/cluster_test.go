package journal

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/snapshot"
)

// The numbers of a boot may come in any order. Each one is new only once.
func TestBootTakesEachNumberOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b, came := &boot{}, map[uint64]bool{}
		for range rapid.IntRange(1, 60).Draw(rt, "numbers") {
			n := rapid.Uint64Range(1, 40).Draw(rt, "number")
			if b.take(n) == came[n] {
				rt.Fatalf("%d came before: %v; %+v", n, came[n], b)
			}
			came[n] = true
			again := &boot{highest: b.highest}
			if err := again.read(b.bytes()); err != nil || !slices.Equal(again.holes, b.holes) {
				rt.Fatalf("%+v is read as %+v, %v", b, again, err)
			}
			b = again
		}
	})
	if err := (&boot{}).read([]byte{0x80}); !database.IsDamage(err) {
		t.Errorf("truncated holes: %v", err)
	}
}

func TestWithoutACluster(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	ctx := t.Context()
	_, kept := j.KeepFirst(ctx, "k", "v")
	_, synced := j.Synced(ctx)
	for what, err := range map[string]error{
		"lead": j.Lead(ctx, 1), "tick": j.Tick(ctx, 1, 0), "keep": j.Keep(ctx, "k", "v"), "keep first": kept, "synced": synced,
		"raise": j.RaiseFold(ctx, 1), "add": j.AddMember(ctx, "n", "i"), "remove": j.RemoveMember(ctx, "n"), "rename": j.agree(ctx, &renamed{}),
		"wait": j.WaitApplied(ctx, 1),
	} {
		if !errors.Is(err, errNoCluster) {
			t.Errorf("%s: %v", what, err)
		}
	}
	j.Settle(ctx)
	if number, _ := j.Chain(); number != 0 || j.Cluster().Epoch != "" {
		t.Errorf("%d, %+v", number, j.Cluster())
	}
	if _, ok, err := j.ChainAt(ctx, 1000); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// A journal follows the log it was made for, until it is opened without a cluster.
func TestEpoch(t *testing.T) {
	t.Parallel()
	o := Options{Dir: memoryDir(t)}
	j := openTest(t, o)
	mustAppend(t, j, content(1))
	must(t, errors.Join(j.SetState(t.Context(), "cluster/secret/hook", "of an earlier log"), j.SetState(t.Context(), "own", "kept")))
	name := j.Name()
	must(t, j.Close())
	in := func(epoch string) Options {
		with := o
		with.Cluster = &Cluster{Node: "n0", Replica: newReplica(), Epoch: epoch}
		return with
	}
	for _, epoch := range []string{"", "e1"} {
		if _, err := Open(t.Context(), in(epoch)); !errors.Is(err, ErrEpoch) {
			t.Fatalf("epoch %q: %v", epoch, err)
		}
	}
	s, err := Begin(t.Context(), o, "e1", "n0", false)
	if err != nil || s.Journal != name || s.Epoch != "e1" || s.Base == 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := Open(t.Context(), in("e2")); !errors.Is(err, ErrEpoch) {
		t.Errorf("another epoch: %v", err)
	}
	j = openTest(t, in("e1"))
	if got, err := j.States(t.Context(), ""); err != nil || len(got) != 2 || got["own"] != "kept" || got[FounderKey] != "n0" {
		t.Errorf("state %v, %v", got, err)
	}
	must(t, j.Lead(t.Context(), 1))
	if a := mustAppend(t, j, content(2)); a.Seq != 2 {
		t.Errorf("%+v", a)
	}
	if got := j.Cluster(); got.Base != s.Base || j.Applied() != s.Base+3 { // opened, led and the request
		t.Errorf("%+v at %d", got, j.Applied())
	}
	must(t, j.Close())
	read, err := OpenReadOnly(t.Context(), o)
	must(t, err)
	if got := read.Cluster(); got.Epoch != "e1" || got.Position == 0 || got.Journal != name || got.Leader != "n0" {
		t.Errorf("read offline: %+v", got)
	}
	must(t, read.Close())
	// Back on a single node, the numbers go on under the same name.
	j = openTest(t, o)
	if a := mustAppend(t, j, content(3)); a.Seq != 3 || j.Name() != name || j.Damage().Lost > 0 {
		t.Errorf("%+v, %q was %q", a, j.Name(), name)
	}
	must(t, j.Close())
	if _, err := Open(t.Context(), in("e1")); !errors.Is(err, ErrEpoch) {
		t.Errorf("follows a log again that it left: %v", err)
	}
}

func TestTerms(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	ctx := t.Context()
	page := snapshot.Page{Type: "user", Account: "a", Objects: []snapshot.Listed{{ID: "u"}}}
	if _, err := c.nodes[1].Listed(ctx, page); !errors.Is(err, ErrTerm) {
		t.Errorf("a listing of a node that doesn't lead: %v", err)
	}
	if _, err := c.nodes[0].Listed(ctx, page); err != nil {
		t.Error(err)
	}
	if err := c.nodes[1].Lead(ctx, 1); !errors.Is(err, ErrTerm) {
		t.Errorf("elected in a term that has a leader: %v", err)
	}
	// The old leader has not read the election yet: its commands are ignored.
	held := holdBack(t, c.nodes[0])
	c.lead(1)
	done := make(chan error)
	go func() { done <- c.nodes[0].SetState(ctx, "k", "of the old leader") }()
	go func() { done <- c.nodes[0].Tick(ctx, 1, time.Second) }()
	waitFor(t, "the old leader's commands", func() bool { return c.log.last() >= 8 })
	close(held)
	for range 2 {
		if err := <-done; !errors.Is(err, ErrTerm) {
			t.Errorf("the old leader's command: %v", err)
		}
	}
	if value, err := c.nodes[2].State(ctx, "k"); err != nil || value != "" {
		t.Errorf("it was kept: %q, %v", value, err)
	}
	c.tick(1, time.Second)
	c.alike()
	c.restart(1) // the new process was not elected
	if err := c.nodes[1].SetState(ctx, "k", "v"); !errors.Is(err, ErrTerm) {
		t.Errorf("after a restart: %v", err)
	}
}

// holdBack keeps a node from applying until the channel is closed.
func holdBack(t *testing.T, n *node) chan<- struct{} {
	t.Helper()
	held, in := make(chan struct{}), make(chan struct{})
	go func() { _, _ = n.queued(ctxOf(t), &probe{run: func() { close(in); <-held }}) }()
	<-in
	return held
}

// The cluster's clock follows the leader's ticks, whatever the nodes' clocks say.
func TestClusterClock(t *testing.T) {
	t.Parallel()
	clocks := [3]*clock{newClock(), newClock(), newClock()}
	c := newCluster(t, 3, func(i int, o *Options) { o.Now = clocks[i].now })
	begin := clockOf(t, c)
	if want := snapshot.Clock(newClock().now().UnixNano()); begin != want {
		t.Errorf("the clock began at %d, not at %d", begin, want)
	}
	all := func(by time.Duration) {
		for _, c := range clocks {
			c.add(by)
		}
	}
	level := func() { // all clocks are set right, and a command carries that time
		for i := range 2 {
			clocks[i].add(clocks[2].now().Sub(clocks[i].now()))
		}
		mustAppend(t, c.nodes[1].Journal, content(99))
	}
	for i, step := range []struct {
		what string
		do   func()
		want time.Duration // of the clock, since its begin
	}{
		{"a tick", func() { c.tick(0, time.Second) }, time.Second},
		{"two seconds", func() { clocks[1].add(2 * time.Second) }, 3 * time.Second},
		{"a clock that jumps ahead", func() { clocks[1].add(time.Hour) }, 4 * time.Second},
		{"a clock that jumps back", func() { clocks[1].add(-2 * time.Hour) }, 4 * time.Second},
		{"another tick", func() { c.tick(0, 5*time.Second) }, 6 * time.Second},
		{"an election after a silence", func() { clocks[2].add(time.Minute); c.lead(2) }, 66 * time.Second},
		{"a tick of that leader", func() { c.tick(2, time.Second) }, 67 * time.Second},
		{"a tick that goes back", func() { c.tick(2, -time.Hour) }, 67 * time.Second},
		{"a tick of a leader that slept", func() { c.tick(2, 72*time.Hour) }, 67*time.Second + maxAway},
		{"clocks that are put right", level, 70*time.Second + maxAway},
		{"a restart of one whose clock is ahead", func() {
			clocks[0].add(time.Hour)
			c.restart(0)
			clocks[0].add(-time.Hour)
			c.tick(2, 0)
		}, 70*time.Second + maxAway},
		{"a stop of all", func() { all(2 * time.Hour); c.restartAll(); c.lead(0) }, 70*time.Second + maxAway + 2*time.Hour},
		{"a stop with a clock that is set back", func() { all(-9 * time.Hour); c.restartAll(); c.lead(1) }, 70*time.Second + maxAway + 2*time.Hour},
		{"a stop of a week", func() { all(168 * time.Hour); c.restartAll(); c.lead(1) }, 70*time.Second + 2*maxAway + 2*time.Hour},
	} {
		step.do()
		c.settle()
		if _, err := c.nodes[1].Append(t.Context(), content(int64(i))); err != nil {
			t.Fatal(err)
		}
		if got := clockOf(t, c).Sub(begin); got != step.want {
			t.Errorf("after %s: %v, want %v", step.what, got, step.want)
		}
	}
	c.alike()
}

// clockOf is the cluster's clock at the last command.
func clockOf(t *testing.T, c *cluster) snapshot.Clock {
	t.Helper()
	c.settle()
	var at int64
	must(t, c.nodes[0].readLog(t.Context(), func(conn *conn) error {
		_, err := conn.Ints(t.Context(), "SELECT clock FROM journal", nil, &at)
		return err
	}))
	return snapshot.Clock(at)
}

// The time in events' ids doesn't go back, although the nodes' clocks differ.
func TestClusterIDs(t *testing.T) {
	t.Parallel()
	clocks := [3]*clock{newClock(), newClock(), newClock()}
	clocks[1].add(-time.Hour)
	clocks[2].add(time.Hour)
	c := newCluster(t, 3, func(i int, o *Options) { o.Now = clocks[i].now })
	var last uint64
	seen := map[string]bool{}
	for i := range int64(12) {
		a := mustAppend(t, c.nodes[(i*2)%3].Journal, content(i))
		ms := ulid.MustParse(a.ID).Time()
		if ms < last || seen[a.ID] || a.Seq != i+1 {
			t.Errorf("event %d: %+v after %d", i, a, last)
		}
		last, seen[a.ID] = ms, true
	}
	c.restartAll()
	c.lead(1)
	if a := mustAppend(t, c.nodes[1].Journal, content(99)); ulid.MustParse(a.ID).Time() < last {
		t.Errorf("after a restart: %+v after %d", a, last)
	}
	c.alike()
}

// Outcomes of answers reach the log together, also when the journal closes.
func TestClusterOutcomes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	waiting := func() int { return len(readFold(t, c.nodes[0].Journal).waiting) }
	var taken []answer
	for i := range int64(300) {
		r := sample(i, event.Edited)
		taken = append(taken, answer{r, mustAppend(t, c.nodes[1].Journal, r)})
	}
	c.settle()
	if n := waiting(); n != 300 {
		t.Errorf("%d requests wait", n)
	}
	before := c.log.last()
	c.log.mu.Lock() // one command at most is under way before all have come
	for _, a := range taken[:299] {
		c.nodes[1].Acknowledged(a.rec, a.a, true)
	}
	c.log.mu.Unlock()
	waitFor(t, "the outcomes", func() bool { return waiting() == 1 })
	if n := c.log.last() - before; n > 3 {
		t.Errorf("the outcomes took %d commands", n)
	}
	c.nodes[1].Acknowledged(taken[299].rec, taken[299].a, true)
	c.restart(1)
	waitFor(t, "the last outcome", func() bool { return waiting() == 0 })
	c.alike()
}

// A changed rule takes effect at a command of the log. A program that doesn't know the
// rule stops there. A newer program goes on.
func TestClusterRules(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(i int, o *Options) {
		if o.rule = shouting; i < 2 {
			o.fold = 2
		}
	})
	ctx := t.Context()
	must(t, c.nodes[0].Keep(ctx, "a", "before"))
	if err := c.nodes[2].RaiseFold(ctx, 2); !errors.Is(err, ErrNewer) {
		t.Errorf("a version that this program doesn't know: %v", err)
	}
	must(t, c.nodes[0].RaiseFold(ctx, 2))
	must(t, c.nodes[0].RaiseFold(ctx, 1)) // changes nothing
	must(t, c.nodes[1].Keep(ctx, "b", "after"))
	waitFor(t, "the old program to stop", func() bool { return errors.Is(c.nodes[2].Health(), ErrNewer) })
	if got, err := c.nodes[2].States(ctx, ""); err != nil || got["b"] != "" {
		t.Errorf("the old program went on: %v, %v", got, err)
	}
	_ = c.nodes[2].Close() // returns why the node could not go on
	c.nodes[2].opt.fold = 2
	c.open(2)
	c.tick(0, 0)
	c.alike()
	if got, err := c.nodes[2].States(ctx, ""); err != nil || got["a"] != "before" || got["b"] != "AFTER" || c.nodes[2].Cluster().Fold != 2 {
		t.Errorf("%v, %v", got, err)
	}
	must(t, c.nodes[2].Close())
	c.nodes[2].opt.fold = 1
	if _, err := Open(ctx, c.nodes[2].opt); !errors.Is(err, ErrNewer) {
		t.Errorf("opened by the old program: %v", err)
	}
}
