package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// runner is one node with its journal, as the service runs it.
type runner struct {
	t       *testing.T
	o       Options
	retain  time.Duration
	n       *Node
	j       *journal.Journal
	leading atomic.Bool
	cancel  context.CancelFunc
	done    chan error // of Run
}

// team is a cluster of runners.
type team struct {
	t   *testing.T
	all []*runner
}

func newTeam(t *testing.T) *team {
	t.Helper()
	c := &team{t: t}
	for _, o := range testOptions(t) {
		c.all = append(c.all, &runner{t: t, o: o})
	}
	t.Cleanup(func() {
		var wg sync.WaitGroup
		for _, r := range c.all {
			wg.Go(r.stop)
		}
		wg.Wait()
	})
	return c
}

// start starts nodes and waits until they have their journals.
func (c *team) start(which ...int) {
	c.t.Helper()
	var wg sync.WaitGroup
	for _, i := range which {
		c.all[i].begin()
		wg.Go(c.all[i].open)
	}
	wg.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// begin starts the node's server.
func (r *runner) begin() {
	r.t.Helper()
	n, err := Start(r.t.Context(), r.o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.n = n
}

func (r *runner) open() {
	ctx, cancel := context.WithTimeout(r.t.Context(), waitLimit)
	defer cancel()
	j, err := r.n.Open(ctx, journal.Options{Dir: r.o.Dir, Log: r.o.Log, Retention: r.retain})
	if err != nil {
		r.t.Errorf("open %s: %v; %s", r.o.Node, err, r.n.Status(ctx).Problem)
		return
	}
	r.j = j
	r.run()
}

func (r *runner) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel, r.done = cancel, make(chan error, 1)
	go func() {
		r.done <- r.n.Run(ctx, func(ctx context.Context) error {
			r.leading.Store(true)
			defer r.leading.Store(false)
			<-ctx.Done()
			return nil
		})
	}()
}

// ends waits until the goroutine beside the test has ended: Run, or Open.
func (r *runner) ends() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(2 * waitLimit):
		panic(r.o.Node + " doesn't end: the goroutines below say why")
	}
}

// rest ends Run, unless it was ended; the node still takes and applies commands.
func (r *runner) rest() {
	r.t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	if err := r.ends(); err != nil && !errors.Is(err, journal.ErrClosed) && !errors.Is(err, ErrRestart) {
		r.t.Errorf("%s ends with %v", r.o.Node, err)
	}
}

// stop stops a node as SIGTERM does.
func (r *runner) stop() {
	if r.n == nil {
		return
	}
	r.rest()
	if r.j != nil {
		if err := r.j.Close(); err != nil {
			r.t.Errorf("close the journal of %s: %v", r.o.Node, err)
		}
	}
	_ = r.n.Close()
	r.n, r.j = nil, nil
}

// kill cuts a node off, so that it can no longer say anything, and then ends it.
func (r *runner) kill() {
	r.n.embedded.server.Shutdown()
	r.rest()
	if r.j != nil {
		_ = r.j.Close()
	}
	_ = r.n.Close()
	r.n, r.j = nil, nil
}

// running returns the nodes that are up.
func (c *team) running() (up []*runner) {
	for _, r := range c.all {
		if r.j != nil {
			up = append(up, r)
		}
	}
	return up
}

// leader waits until exactly one node leads.
func (c *team) leader() *runner {
	c.t.Helper()
	var leader *runner
	eventually(c.t, "leader", func() error {
		var leading []*runner
		for _, r := range c.running() {
			if r.n.Leads() && r.leading.Load() {
				leading = append(leading, r)
			}
		}
		if len(leading) != 1 {
			return fmt.Errorf("%d nodes lead", len(leading))
		}
		leader = leading[0]
		return nil
	})
	return leader
}

func (c *team) others(than *runner) (list []*runner) {
	for _, r := range c.running() {
		if r != than {
			list = append(list, r)
		}
	}
	return list
}

// deletion is a request about a deleted user.
func deletion(n int) event.Record {
	const account = "0123456789abcdef0123456789abcdef"
	id := fmt.Sprintf("%032x", n+1)
	body := url.Values{"id": {id}, "account_id": {account}, "action": {"doc_deleted"}, "type": {"user"}}.Encode()
	return event.Record{
		Request: event.Request{Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object", HookID: "5f1e6f0c2a3b4c5d6e7f8091a2b3c4d5",
			HookAccountID: account, Method: "POST", ContentType: "application/x-www-form-urlencoded", RemoteAddr: "192.0.2.7:41234", Body: []byte(body)},
		Event: "user.deleted", AccountID: account, ObjectType: "user", ObjectID: id, Action: event.Deleted,
		Dedupe: event.Dedupe{Rule: event.RuleLifecycle, Key: event.LifecycleKey(account, "user", id)},
	}
}

// take appends deletions on a node, and repeats each until it is taken, as Kazoo does.
func (r *runner) take(from, to int) {
	r.t.Helper()
	taking, ctx := errgroup.WithContext(r.t.Context())
	taking.SetLimit(16)
	for i := from; i < to && ctx.Err() == nil; i++ {
		taking.Go(func() error {
			err := repeated(ctx, func() error {
				_, err := r.j.Append(ctx, deletion(i))
				return err
			})
			if err != nil {
				return fmt.Errorf("event %d was never taken by %s: %w", i, r.o.Node, err)
			}
			return nil
		})
	}
	if err := taking.Wait(); err != nil {
		r.t.Fatal(err)
	}
}

// still ends Run on the nodes, waits until all have applied the same, and compares all
// that they hold.
func (c *team) still() (up []*runner) {
	c.t.Helper()
	up = c.running()
	for _, r := range up {
		r.rest()
	}
	eventually(c.t, "common position", func() error {
		digests := map[[32]byte]bool{}
		var positions []uint64
		for _, r := range up {
			positions = append(positions, r.n.acked.Load(), r.j.Cluster().Position)
			d, err := r.j.Digest(c.t.Context())
			if err != nil {
				c.t.Fatal(err)
			}
			digests[d] = true
		}
		for _, r := range up { // a tick may have arrived in between
			positions = append(positions, r.n.acked.Load(), r.j.Cluster().Position)
		}
		if slices.Min(positions) != slices.Max(positions) {
			return fmt.Errorf("positions are %v", positions)
		}
		if len(digests) != 1 {
			c.t.Fatalf("journals differ at position %d", positions[0])
		}
		return nil
	})
	return up
}

// same compares as still does, and goes on. It returns the number of events.
func (c *team) same() (events int64) {
	c.t.Helper()
	up := c.still()
	last, err := up[0].j.Last(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range up {
		r.run()
	}
	return last
}

// wait waits until a node has a state.
func (r *runner) wait(s State) (status Status) {
	r.t.Helper()
	eventually(r.t, "state "+string(s)+" of "+r.o.Node, func() error {
		if status = r.n.Status(r.t.Context()); status.State != s {
			return errors.New(string(status.State) + ": " + status.Problem)
		}
		return nil
	})
	return status
}

// empty removes a node's whole directory.
func (r *runner) empty() {
	r.t.Helper()
	if err := os.RemoveAll(r.o.Dir); err != nil {
		r.t.Fatal(err)
	}
}

// TestClusterLife takes events on three new nodes, loses the leader, then stops every
// node in turn as a rolling restart does. All journals must be equal.
func TestClusterLife(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	for i, r := range c.all {
		r.take(i*100, i*100+100)
	}
	if events := c.same(); events != 300 {
		t.Errorf("%d events, not 300", events)
	}
	leader := c.leader()
	rest := c.others(leader)
	start := time.Now()
	leader.kill()
	c.leader()
	t.Logf("taken over %v after the leader's death", time.Since(start).Round(time.Millisecond))
	rest[0].take(300, 400)
	for i, r := range c.all {
		if r == leader {
			c.start(i)
		}
	}
	for i, r := range c.all {
		start := time.Now()
		was := r == c.leader()
		r.stop()
		c.leader()
		t.Logf("leader stopped: %v, another after %v", was, time.Since(start).Round(time.Millisecond))
		c.running()[0].take(400+i*10, 410+i*10)
		c.start(i)
	}
	if events := c.same(); events != 430 {
		t.Errorf("%d events, not 430", events)
	}
	eventually(t, "status of a whole cluster on all nodes", func() error {
		leader := c.all[0].n.Status(t.Context()).Leader // it may change at any time on a busy machine
		for _, r := range c.all {
			s := r.n.Status(t.Context())
			ok := s.Quorum && len(s.Nodes) == 3 && s.State == StateReady && s.Leader == leader && s.Leads == (r.o.Node == leader)
			for _, n := range s.Nodes {
				ok = ok && n.Alive && n.Member && n.Version == "1.0.0" && n.Leader == (n.Name == leader)
			}
			if !ok {
				return fmt.Errorf("%s has %+v", r.o.Node, s)
			}
		}
		return nil
	})
}
