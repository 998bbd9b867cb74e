package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"kazoohook/internal/journal"
)

// memoryLog is a log in memory for one journal.
type memoryLog struct {
	mu      sync.Mutex
	entries [][]byte
	changed chan struct{}
	without int // so many more commands find no quorum
	refused int
}

func (l *memoryLog) Publish(_ context.Context, _ string, data []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.without > 0 {
		l.without--
		l.refused++
		return 0, journal.ErrNoQuorum
	}
	l.entries = append(l.entries, data)
	close(l.changed)
	l.changed = make(chan struct{})
	return uint64(len(l.entries)), nil
}

func (l *memoryLog) Read(ctx context.Context, from uint64, _ [32]byte, f func(uint64, []byte) error) error {
	for {
		l.mu.Lock()
		left, changed := l.entries[from-1:], l.changed
		l.mu.Unlock()
		for _, data := range left {
			if err := f(from, data); err != nil {
				return err
			}
			from++
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *memoryLog) set(without int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.without = without
}

func (l *memoryLog) refusals() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// followingNode returns a node without a server whose journal follows a log in memory that
// finds no quorum yet.
func followingNode(t *testing.T) (*Node, *memoryLog) {
	t.Helper()
	o := journal.Options{Dir: t.TempDir()}
	if _, err := journal.Begin(t.Context(), o, "e1", "", false); err != nil {
		t.Fatal(err)
	}
	l := &memoryLog{changed: make(chan struct{}), without: 1 << 30}
	o.Cluster = &journal.Cluster{Node: "n1", Replica: l, Epoch: "e1"}
	j, err := journal.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	n := &Node{o: Options{Node: "n1", Size: 3, Secret: "the secret of this cluster", Log: testLog(t, "n1")},
		id: identity{Node: "n1", ID: "a"}, state: StateReady, ended: make(chan struct{}), peers: newRegistry(time.Now), election: newElection("n1", monotonic())}
	n.peers.saw(view{Node: "n2", Server: "n2.b"})
	n.journal.Store(j)
	return n, l
}

// shown waits until a node shows a state and a part of its reason.
func (n *Node) shown(t *testing.T, s State, reason string) {
	t.Helper()
	eventually(t, "state "+string(s), func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.state != s || !contains(n.reason, reason) {
			return errors.New(string(n.state) + ": " + n.reason)
		}
		return nil
	})
}

// TestSharingWaits: a node that follows its log, but has not applied all of it or has no
// quorum, waits as long as it takes, says so, and isn't torn down.
func TestSharingWaits(t *testing.T) {
	t.Parallel()
	n, l := followingNode(t)
	ctx := t.Context()
	done := make(chan error, 1)
	go func() { done <- n.AwaitShared(ctx, "hook") }()
	n.shown(t, StateWaiting, "")
	eventually(t, "attempt without a quorum", func() error {
		if l.refusals() == 0 {
			return errors.New("none yet")
		}
		return nil
	})
	select {
	case err := <-done:
		t.Fatalf("it doesn't wait: %v", err)
	default:
	}
	l.set(0)
	j := n.journal.Load()
	if err := j.Lead(ctx, 1); err != nil { // the first tick says what time it is
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	n.shown(t, StateReady, "")

	before := l.refusals()
	l.set(3)
	if got, err := n.ShareFirst(ctx, "hook", []byte("value")); err != nil || string(got) != "value" {
		t.Fatalf("shared is %q: %v", got, err)
	}
	if got := l.refusals() - before; got != 3 {
		t.Errorf("%d of 3 attempts found no quorum", got)
	}
	n.shown(t, StateReady, "")

	l.set(1 << 30)
	go func() {
		_, err := n.ShareFirst(ctx, "hook", []byte("another"))
		done <- err
	}()
	n.shown(t, StateWaiting, "")
	n.fail(ErrRestart)
	if err := <-done; !errors.Is(err, ErrRestart) {
		t.Errorf("a node that must end: %v", err)
	}
	if err := n.AwaitShared(ctx, "hook"); !errors.Is(err, ErrRestart) {
		t.Errorf("a node that must end: %v", err)
	}
}

// TestUnready: the reason tells a node that is alone from one that is behind, and from one
// whose log can have no leader.
func TestUnready(t *testing.T) {
	t.Parallel()
	n, l := followingNode(t)
	j := n.journal.Load()
	n.peers.now = func() time.Time { return time.Time{} } // nobody is away for long
	n.peers.saw(view{Node: "n2", Server: "n2.b"})
	if got := n.unready(t.Context(), j); !contains(got, "applied the cluster's log") {
		t.Errorf("behind: %s", got)
	}
	l.set(0)
	if err := j.Lead(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "beginning", func() error {
		if got := n.unready(t.Context(), j); !contains(got, "a quorum acknowledges") {
			return errors.New(got)
		}
		return nil
	})
	n.peers.forget(peerID("n2.b"))
	if got := n.unready(t.Context(), j); got != "waiting for a quorum: 1 of 3 nodes are connected" {
		t.Errorf("alone: %s", got)
	}
	n.self.Server = "n1.a"
	n.peers.saw(view{Node: "n2", Server: "n2.c"})
	n.peers.saw(view{Node: "n3", Server: "n3.c"})
	for _, leader := range []string{"", "n2.b"} {
		n.stream.Store(&stream{js: answerOf(90, leader, "n1.a", "n2.lost", "n3.lost"), size: 3})
		if got := n.unready(t.Context(), j); contains(got, "run kazoohook cluster rebuild") != (leader == "") {
			t.Errorf("without the others' disks, with the leader %q: %s", leader, got)
		}
	}
}
