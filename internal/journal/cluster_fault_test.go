package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/snapshot"
)

// Every node ignores a command that can't be read or breaks a rule, and keeps a request.
func TestClusterPassesWhatItCantHandle(t *testing.T) {
	t.Parallel()
	breaks := func(_ int, cmd command) command {
		switch cmd := cmd.(type) {
		case *request:
			if cmd.Rec.Problem == "break" {
				panic("a broken rule")
			}
		case *kept:
			if cmd.Key == "break" {
				panic("a broken rule")
			}
		}
		return cmd
	}
	c := newCluster(t, 3, func(_ int, o *Options) { o.rule = breaks })
	ctx := t.Context()
	for _, garbage := range []string{"", "garbage", "\xa0"} {
		_, err := c.log.Publish(ctx, "x", []byte(garbage))
		must(t, err)
	}
	if err := c.nodes[1].Keep(ctx, "break", "v"); err == nil || !strings.Contains(err.Error(), "ignored: panic: a broken rule") {
		t.Errorf("%v", err)
	}
	r := sample(1, event.Edited)
	r.Problem = "break"
	a := mustAppend(t, c.nodes[2].Journal, r)
	c.alike()
	for i, n := range c.nodes {
		if got := get(t, n.Journal, a.Seq); got.Event != event.Unknown || !bytes.Equal(got.Body, r.Body) {
			t.Errorf("node %d keeps %+v", i, got)
		}
		if st, err := n.Stats(ctx); err != nil || st.Broken != 5 {
			t.Errorf("node %d: %d broken commands, %v", i, st.Broken, err)
		}
	}
}

// Whichever statement fails once, the node tries again. It skips nothing and applies
// nothing twice.
func TestClusterStatementsFail(t *testing.T) {
	t.Parallel()
	var f faults
	c := newCluster(t, 2, func(i int, o *Options) {
		if o.Retention = time.Hour; i == 1 {
			o.open = failing(f.fault)
		}
	})
	ctx := t.Context()
	rounds := int64(24)
	if slow {
		rounds = 6
	}
	for n := range rounds {
		f.left.Store(n*5%23 + 1)
		must(t, c.nodes[0].Keep(ctx, "k", fmt.Sprint(n)))
		mustAppend(t, c.nodes[0].Journal, sample(n%3, []event.Action{event.Created, event.Edited, event.Deleted}[n%3]))
		mustAppend(t, c.nodes[0].Journal, content(n))
		must(t, c.nodes[0].AddMember(ctx, fmt.Sprint("n", n), "id"))
		switch n % 8 {
		case 3:
			must(t, c.nodes[0].RemoveMember(ctx, fmt.Sprint("n", n-1)))
		case 5:
			_, err := c.nodes[0].do(ctx, &removed{First: 1, Through: n})
			must(t, err)
		case 7:
			must(t, c.nodes[0].agree(ctx, &renamed{Name: "newname1"}))
		}
		c.tick(0, time.Second)
	}
	c.alike()
	f.left.Store(0)
	c.restart(1)
	c.alike()
	c.nodes[1].opt.open = failing(func(string) error { return errInjected })
	must(t, c.nodes[1].Close())
	if _, err := Open(ctx, c.nodes[1].opt); !errors.Is(err, errInjected) {
		t.Errorf("opened: %v", err)
	}
}

// Only the leader decides what is removed, and all nodes remove it.
func TestClusterRetention(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(_ int, o *Options) { o.Retention = time.Hour })
	for i := range int64(600) {
		mustAppend(t, c.nodes[i%3].Journal, content(i))
	}
	deleted := sample(1, event.Deleted)
	mustAppend(t, c.nodes[1].Journal, deleted)
	c.tick(0, 2*time.Hour)
	c.settle()
	before := c.log.last()
	for _, i := range []int{1, 2} {
		clean(t, c.nodes[i])
	}
	if c.log.last() != before {
		t.Errorf("nodes that don't lead gave %d commands", c.log.last()-before)
	}
	mustAppend(t, c.nodes[2].Journal, content(1000))
	clean(t, c.nodes[0])
	c.alike()
	for i, n := range c.nodes {
		if first, err := n.First(t.Context()); err != nil || first != 602 {
			t.Errorf("node %d: first is %d, %v", i, first, err)
		}
		if st, err := n.Stats(t.Context()); err != nil || st.Pruned != 601 {
			t.Errorf("node %d: %d removed, %v", i, st.Pruned, err)
		}
	}
	for range 401 {
		c.tick(0, maxAway)
	}
	clean(t, c.nodes[0])
	c.alike()
	if _, ok, err := c.nodes[2].Object(t.Context(), "user", deleted.AccountID, deleted.ObjectID); ok || err != nil {
		t.Errorf("an object that was deleted long ago is still known: %v", err)
	}
}

// clean runs retention to its end.
func clean(t *testing.T, n *node) {
	t.Helper()
	local := func(f func()) {
		if _, err := n.queued(ctxOf(t), &probe{run: f}); err != nil {
			t.Fatal(err)
		}
	}
	local(func() { n.w.pruner.busy = true })
	waitFor(t, "retention", func() (done bool) {
		local(func() { p := &n.w.pruner; done = !p.busy && !p.given.Load() && !p.again.Load() })
		return done
	})
}

// The result of Append depends on the log, not on the node's own journal.
func TestClusterAnswers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(_ int, o *Options) { o.grace, o.QueueSize = 0, 3 })
	n := c.nodes[0]
	ctx := t.Context()
	held := holdBack(t, n)
	for i := range int64(2) {
		if a, err := n.Append(ctx, content(i+1)); err != nil || a.Seq != 0 || a.Command == 0 {
			t.Errorf("not applied yet: %+v, %v", a, err)
		}
	}
	gone, leave := context.WithCancel(ctx)
	leave()
	if _, err := n.proposer.await(gone, &work{cmd: &request{Rec: content(1)}}); err != nil {
		t.Errorf("the caller gave up after the log had it: %v", err)
	}
	// abandoned gives up once the log has a command.
	abandoned := func(give func(context.Context) error) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		before, given := c.log.last(), make(chan error, 1)
		go func() { given <- give(ctx) }()
		waitFor(t, "the log", func() bool { return c.log.last() > before })
		cancel()
		return <-given
	}
	found := content(3)
	found.Source = event.SourceRecovered
	if err := abandoned(func(ctx context.Context) error { _, err := n.Append(ctx, found); return err }); !errors.Is(err, context.Canceled) {
		t.Errorf("a recovered event, whose result is awaited: %v", err)
	}
	if err := abandoned(func(ctx context.Context) error { return n.Keep(ctx, "k", "v") }); !errors.Is(err, context.Canceled) {
		t.Errorf("a command whose result is awaited: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := n.WaitApplied(short, c.log.last()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waited: %v", err)
	}
	close(held)
	for settled := false; !settled; {
		begun := time.Now()
		n.Settle(ctx)
		settled = time.Since(begun) < settleWait // else it gave up
	}
	if last, err := n.Last(ctx); err != nil || last != 3 {
		t.Errorf("settled at %d, %v", last, err)
	}
	if position, err := n.Synced(ctx); err != nil || position < 4 || n.Applied() < int64(position) {
		t.Errorf("synced up to %d, applied %d, %v", position, n.Applied(), err)
	}
	for name, test := range map[string]struct{ log, want error }{
		"no quorum":  {ErrNoQuorum, ErrUnavailable},
		"too large":  {ErrTooLarge, ErrTooLarge},
		"an unknown": {errLost, ErrUnavailable},
	} {
		c.log.setFault(func(string, []byte) (int, error) { return 0, test.log })
		if _, err := n.Append(ctx, content(5)); !errors.Is(err, test.want) || !errors.Is(err, test.log) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Once the log takes entries again, Append succeeds.
	var position atomic.Uint64
	c.log.setFault(func(string, []byte) (int, error) { position.Store(uint64(len(c.log.entries)) + 1); return 1, nil })
	mustAppend(t, n.Journal, content(6))
	c.log.setFault(nil)
	blocked, cancelled := context.WithCancel(ctx)
	cancelled()
	if _, err := n.Append(blocked, content(7)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	must(t, n.Close())
	if _, err := n.Append(ctx, content(8)); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := n.WaitApplied(ctx, 1000); !errors.Is(err, ErrClosed) {
		t.Errorf("waiting, closed: %v", err)
	}
}

// stuck is a log that takes entries and never answers.
type stuck struct{ *replica }

func (s stuck) Publish(ctx context.Context, _ string, _ []byte) (uint64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// Only as many requests wait for the log as Options allow. Close ends their wait.
func TestClusterIsOverloaded(t *testing.T) {
	t.Parallel()
	o := Options{Dir: memoryDir(t), QueueSize: 4}
	_, err := Begin(t.Context(), o, "e1", "", false)
	must(t, err)
	o.Cluster = &Cluster{Node: "n0", Replica: stuck{newReplica()}, Epoch: "e1"}
	j := openTest(t, o)
	j.proposer.begun() // as if the process had read a tick
	done := make(chan error)
	for i := range int64(3) { // the fourth that waits is opened
		go func() {
			_, err := j.Append(context.WithoutCancel(t.Context()), content(i))
			done <- err
		}()
	}
	waitFor(t, "all to wait", func() bool {
		j.proposer.mu.Lock()
		defer j.proposer.mu.Unlock()
		return len(j.proposer.waiting) == 4
	})
	if _, err := j.Append(t.Context(), content(9)); !errors.Is(err, ErrOverloaded) {
		t.Errorf("one more: %v", err)
	}
	must(t, j.Close())
	for range 3 {
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

// broken is a log that can't be read for a while, and repeats or leaves out entries.
type broken struct {
	*replica
	tries atomic.Int32
}

func (b *broken) Read(ctx context.Context, from uint64, before [32]byte, f func(uint64, []byte) error) error {
	switch b.tries.Add(1) {
	case 1:
		return errLost
	case 2:
		if err := f(from+1, nil); err == nil {
			return errors.New("an entry was left out")
		}
		return errLost
	}
	return b.replica.Read(ctx, max(1, from-1), before, f) // repeats the entry before
}

func TestClusterReadsAgain(t *testing.T) {
	t.Parallel()
	o := Options{Dir: memoryDir(t), clusterSeams: clusterSeams{grace: time.Minute}}
	_, err := Begin(t.Context(), o, "e1", "", false)
	must(t, err)
	o.Cluster = &Cluster{Node: "n0", Replica: &broken{replica: newReplica()}, Epoch: "e1"}
	j := openTest(t, o)
	waitFor(t, "the failure", func() bool { return errors.Is(j.Health(), errLost) || j.Cluster().Position > 0 })
	must(t, j.Lead(t.Context(), 1))
	waitFor(t, "the log", func() bool { return j.Health() == nil })
	if a := mustAppend(t, j, content(1)); a.Seq != 1 {
		t.Errorf("%+v", a)
	}
}

// A journal of the previous version still has its unanswered requests.
func TestMigrationToALog(t *testing.T) {
	t.Parallel()
	c := newClock()
	o := Options{Dir: memoryDir(t), Now: c.now}
	j := openTest(t, o)
	edit := sample(1, event.Edited)
	a := mustAppend(t, j, edit)
	j.Acknowledged(edit, a, false)
	must(t, j.Close())
	db, err := database.Open(o.Dir+"/"+FileName, "")
	must(t, err)
	must(t, errors.Join(db.Script(t.Context(), "DROP TABLE cluster; DROP TABLE boots; DROP TABLE members; DROP TABLE chain; DROP TABLE tries; "+
		"ALTER TABLE unanswered DROP COLUMN node; PRAGMA user_version = 2;"), db.Close()))
	old, err := OpenReadOnly(t.Context(), o)
	must(t, err)
	if s := old.Cluster(); s.Epoch != "" || old.Name() != j.Name() {
		t.Errorf("%+v", s)
	}
	if _, ok, err := old.ChainAt(t.Context(), 1000); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	must(t, old.Close())
	c.add(5 * time.Second)
	j = openTest(t, o)
	if again := mustAppend(t, j, edit); !again.Duplicate || again.Seq != a.Seq {
		t.Errorf("%+v after %+v", again, a)
	}
	must(t, j.Close())
	s, err := Begin(t.Context(), o, "e1", "", false)
	must(t, err)
	if s.Base < 3 || s.Journal != j.Name() {
		t.Errorf("%+v", s)
	}
	o.Cluster = &Cluster{Node: "n0", Replica: newReplica(), Epoch: "e1"}
	j = openTest(t, o)
	must(t, j.Lead(t.Context(), 1))
	if _, err := j.Looked(t.Context(), snapshot.Look{Type: "user", Account: edit.AccountID, ID: edit.ObjectID, AsOf: j.Applied(), Found: true, Name: "U"}); err != nil {
		t.Error(err)
	}
}
