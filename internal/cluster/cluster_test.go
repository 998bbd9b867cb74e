package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"kazoohook/internal/journal"
)

// waitLimit bounds every wait of a test: a busy machine needs much longer than the
// seconds of an idle one.
const waitLimit = 3 * time.Minute

// testAddrs returns addresses for nodes. Each test has its own network on this machine,
// so that no other test takes a port that it left free. As long as the test runs, a
// listener shows other tests, also of other processes, that the network is in use.
func testAddrs(t *testing.T, n int) (addrs []string) {
	t.Helper()
	var claim net.Listener
	for claim == nil {
		network := fmt.Sprintf("127.%d.%d.", 20+rand.N(200), rand.N(256)) //nolint:gosec // a name, no secret
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", network+"250:6222")
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			continue
		case err != nil:
			t.Fatal(err)
		}
		claim = l
		for i := range n {
			addrs = append(addrs, fmt.Sprintf("%s%d:6222", network, i+1))
		}
	}
	t.Cleanup(func() { _ = claim.Close() })
	return addrs
}

// testOptions returns the options of the nodes of a cluster on this machine.
func testOptions(t *testing.T) (all []Options) {
	t.Helper()
	const size = 3
	addrs := testAddrs(t, size)
	for i := range size {
		name := fmt.Sprintf("n%d", i+1)
		all = append(all, Options{
			Dir: t.TempDir(), Node: name, Listen: addrs[i], Peers: addrs, Size: size, Secret: "the secret of this cluster",
			Version: "1.0.0", Settings: map[string]string{"HOOKS": "user"}, Log: testLog(t, name),
		})
	}
	return all
}

// testLog writes to the test's log until the test ends.
func testLog(t *testing.T, name string) zerolog.Logger {
	t.Helper()
	w := &testWriter{t: t}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.t = nil
	})
	return zerolog.New(w).Level(zerolog.InfoLevel).With().Timestamp().Str("node", name).Logger()
}

type testWriter struct {
	mu sync.Mutex
	t  *testing.T
}

func (w *testWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Log(string(bytes.TrimSpace(p)))
	}
	return len(p), nil
}

// startStreams starts the nodes' servers, without journals, and makes the stream.
func startStreams(t *testing.T, all []Options) (nodes []*Node) {
	t.Helper()
	for _, o := range all {
		nodes = append(nodes, startStream(t, o))
	}
	l := logState{epoch: "testepoch", journal: "testname"}
	eventually(t, "a stream", func() error { return nodes[0].stream.Load().create(t.Context(), l) })
	return nodes
}

func startStream(t *testing.T, o Options) *Node {
	t.Helper()
	n, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	n.stream.Store(&stream{app: n.embedded.app, js: n.embedded.js, size: o.Size, log: logState{epoch: "testepoch"}})
	return n
}

// eventually repeats f until it succeeds.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	if err := repeated(t.Context(), f); err != nil {
		t.Fatalf("no %s after %v: %v", what, waitLimit, err)
	}
}

// repeated repeats f until it succeeds, and returns its error if it never does.
func repeated(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(waitLimit)
	for {
		err := f()
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// deleteLog deletes the stream of a cluster.
func deleteLog(t *testing.T, n *Node) {
	t.Helper()
	eventually(t, "deletion of the log", func() error {
		err := n.embedded.js.DeleteStream(t.Context(), streamName)
		if errors.Is(err, jetstream.ErrStreamNotFound) { // a try without an answer did it
			return nil
		}
		return err
	})
}

var errEnough = errors.New("enough was read")

// readUntil reads entries from a position on until there are enough.
func readUntil(t *testing.T, n *Node, from uint64, enough func(entries []string) bool) (entries []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*waitLimit) // they may be published meanwhile
	defer cancel()
	for !enough(entries) {
		err := n.Read(ctx, from, [32]byte{}, func(position uint64, data []byte) error {
			if position != from {
				t.Errorf("position %d comes where %d was due", position, from)
			}
			from++
			entries = append(entries, string(data))
			if enough(entries) {
				return errEnough
			}
			return nil
		})
		if ctx.Err() != nil {
			t.Errorf("only %d entries were read: %v", len(entries), err)
			return entries
		}
	}
	return entries
}

// distinct reports whether entries hold count different ones. An entry that was
// published again after some seconds may come twice.
func distinct(count int) func([]string) bool {
	return func(entries []string) bool {
		return len(entries) >= count && len(slices.Compact(slices.Sorted(slices.Values(entries)))) == count
	}
}

// TestLogOfThreeNodes publishes on all nodes at the same time. All read the same: from
// the beginning, from the middle, and as entries come. Two of three nodes go on, one
// alone doesn't. Afterwards everything acknowledged is there.
func TestLogOfThreeNodes(t *testing.T) {
	t.Parallel()
	all := testOptions(t)
	nodes := startStreams(t, all)
	const each, writers = 25, 8
	total := len(nodes) * each * writers
	publish := func(n *Node, data string) func() error {
		return func() error {
			_, err := n.Publish(t.Context(), newEpoch(), []byte(data))
			return err
		}
	}
	var live [3][]string
	var reading sync.WaitGroup
	for i, n := range nodes {
		reading.Go(func() { live[i] = readUntil(t, n, 1, distinct(total)) })
	}
	var publishing sync.WaitGroup
	for i, n := range nodes {
		for w := range writers {
			publishing.Go(func() {
				for k := range each {
					id := fmt.Sprintf("%d-%d-%d", i, w, k)
					if err := repeated(t.Context(), publish(n, id)); err != nil {
						t.Errorf("publish: %v", err)
					}
				}
			})
		}
	}
	publishing.Wait()
	reading.Wait()
	for i, n := range nodes {
		if fmt.Sprint(live[i]) != fmt.Sprint(live[0]) {
			t.Errorf("node %d reads another order", i)
		}
		middle := live[0][total/2-1:]
		if got := readUntil(t, n, uint64(total/2), func(e []string) bool { return len(e) == len(middle) }); !slices.Equal(got, middle) {
			t.Errorf("node %d reads other entries from the middle on", i)
		}
	}
	if got, want := peerID(nodes[0].id.server()), nodes[0].embedded.server.Node(); got != want {
		t.Errorf("the servers call node 0 %s, not %s", want, got)
	}
	_ = nodes[0].Close()
	eventually(t, "acknowledgement by two of three", publish(nodes[1], "two of three"))
	_ = nodes[1].Close()
	if err := publish(nodes[2], "one of three")(); !errors.Is(err, journal.ErrNoQuorum) || !errors.Is(err, journal.ErrUnavailable) {
		t.Errorf("one of three: %v", err)
	}
	if _, err := nodes[2].Publish(t.Context(), "large", make([]byte, MaxCommand+1)); !errors.Is(err, journal.ErrTooLarge) {
		t.Errorf("a large command: %v", err)
	}
	back := startStream(t, all[0])
	eventually(t, "acknowledgement after the return", publish(back, "back"))
	for _, n := range []*Node{back, nodes[2]} { // neither lost what two nodes had acknowledged
		readUntil(t, n, 1, func(e []string) bool { return slices.Contains(e, "two of three") })
	}
	for range 2 { // the caller tries again, and the earlier entry is known
		eventually(t, "acknowledgement of the same again", func() error {
			_, err := back.Publish(t.Context(), "again", []byte("again"))
			return err
		})
	}
	back.note(uint64(10 * total)) // as if the log had ended there before
	eventually(t, "refusal in the place of an earlier entry", func() error {
		if err := publish(back, "too early")(); !errors.Is(err, errCut) || !errors.Is(err, journal.ErrUnavailable) {
			return fmt.Errorf("it is %w", err)
		}
		return nil
	})
}

// TestReplacedEntry continues a log from an earlier time, as restored disks do. Whoever
// read it before notices, although the new log is longer: one that reads all the time, and
// one that begins again.
func TestReplacedEntry(t *testing.T) {
	t.Parallel()
	nodes := startStreams(t, testOptions(t))
	fill := func(what string, from, to int) {
		for i := from; i < to; i++ {
			data := fmt.Sprintf("%s %d", what, i)
			eventually(t, "acknowledgement", func() error {
				_, err := nodes[0].stream.Load().publish(t.Context(), data, []byte(data), 0)
				return err
			})
		}
	}
	fill("earlier", 0, 3)
	first := sha256.Sum256([]byte("earlier 0"))
	reading, ended := make(chan struct{}), make(chan error, 1)
	read := sync.OnceFunc(func() { close(reading) })
	go func() {
		ended <- repeated(t.Context(), func() error {
			err := nodes[1].Read(t.Context(), 2, first, func(position uint64, data []byte) error {
				if string(data) == "earlier 2" {
					read()
				}
				if !strings.HasPrefix(string(data), "earlier ") { // those may come twice
					t.Errorf("entry %d is %s", position, data)
				}
				return nil
			})
			if errors.Is(err, errReplaced) {
				return nil
			}
			return err
		})
	}()
	<-reading
	deleteLog(t, nodes[0])
	eventually(t, "another log", func() error {
		return nodes[0].stream.Load().create(t.Context(), logState{epoch: "testepoch", journal: "testname"})
	})
	fill("later", 0, 5)
	for later, reads := 5, true; reads; later++ { // there may have been more than 5, because some came twice
		fill("later", later, later+1)
		select {
		case err := <-ended:
			if reads = false; err != nil {
				t.Errorf("reading ends with %v", err)
			}
		case <-time.After(100 * time.Millisecond):
		}
	}
	again := func(before [32]byte) error {
		return nodes[2].Read(t.Context(), 2, before, func(uint64, []byte) error { return errEnough })
	}
	eventually(t, "refusal of another entry", func() error {
		if err := again(first); !errors.Is(err, errReplaced) {
			return fmt.Errorf("it is %w", err)
		}
		return nil
	})
	eventually(t, "reading behind the same entry", func() error {
		if err := again(sha256.Sum256([]byte("later 0"))); !errors.Is(err, errEnough) {
			return fmt.Errorf("it is %w", err)
		}
		return nil
	})
	for _, n := range nodes[1:] {
		if !strings.Contains(n.known().Replaced, "another entry at") || !n.cut.Load() {
			t.Errorf("%s knows %+v", n.o.Node, n.known())
		}
	}
}
