package cluster

import (
	"context"
	"errors"
	"slices"
	"testing"

	"kazoohook/internal/journal"
)

// TestNewAddresses checks that two nodes find each other after one has learned the
// other's new address, as when a name resolves to new addresses.
func TestNewAddresses(t *testing.T) {
	t.Parallel()
	addrs := testAddrs(t, 4)
	nodes := make([]*Node, 2)
	for i, listen := range addrs[:2] {
		n, err := Start(t.Context(), Options{
			Dir: t.TempDir(), Node: listen, Listen: listen, Peers: []string{listen, addrs[2], addrs[3]}, Size: 3,
			Secret: "the secret of this cluster", Log: testLog(t, listen),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		nodes[i] = n
	}
	if got := nodes[0].connected(); got != 1 {
		t.Errorf("%d nodes are connected before they know each other", got)
	}
	if err := nodes[0].embedded.reroute([]string{addrs[0], addrs[1], addrs[3]}); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		eventually(t, "connection", func() error {
			if n.connected() != 2 || !n.Status(t.Context()).Quorum {
				return errors.New("nobody else is there")
			}
			return nil
		})
	}
	// Without a third node, and without a journal, everything fails with a reason.
	if err := nodes[0].Run(t.Context(), nil); !errors.Is(err, ErrNotOpen) {
		t.Errorf("run: %v", err)
	}
	if _, err := nodes[0].Publish(t.Context(), "id", nil); !errors.Is(err, journal.ErrNoQuorum) {
		t.Errorf("publish: %v", err)
	}
	if err := nodes[0].Read(t.Context(), 1, [32]byte{}, nil); !errors.Is(err, ErrNotOpen) {
		t.Errorf("read: %v", err)
	}
	if err := nodes[0].Remove(t.Context(), "n"); !errors.Is(err, ErrNotOpen) {
		t.Errorf("remove: %v", err)
	}
	if err := nodes[0].Rebuild(t.Context()); err == nil || !contains(err.Error(), "needs all 3 nodes") {
		t.Errorf("rebuild: %v", err)
	}
	if _, err := nodes[0].AskLeader(t.Context(), "echo", nil, nil); !errors.Is(err, ErrNoLeader) {
		t.Errorf("ask: %v", err)
	}
	if err := nodes[0].Share(t.Context(), "name", nil); !errors.Is(err, ErrNotOpen) {
		t.Errorf("share: %v", err)
	}
	if _, err := nodes[0].ShareFirst(t.Context(), "name", nil); !errors.Is(err, ErrNotOpen) {
		t.Errorf("share first: %v", err)
	}
	if _, _, err := nodes[0].Shared(t.Context(), "name"); !errors.Is(err, ErrNotOpen) {
		t.Errorf("shared: %v", err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	several := []string{"a:1", "b:2", "c:3"}
	if got, err := resolve(t.Context(), &Options{Peers: several}); err != nil || !slices.Equal(got, several) {
		t.Errorf("several peers are %v, %v", got, err)
	}
	got, err := lookUp(t.Context(), "localhost:6222")
	if err != nil || !slices.Contains(got, "127.0.0.1:6222") && !slices.Contains(got, "[::1]:6222") {
		t.Errorf("localhost is %v, %v", got, err)
	}
	if _, err := lookUp(t.Context(), "localhost"); err == nil || !contains(err.Error(), `CLUSTER_PEERS: "localhost" is not an address`) {
		t.Errorf("without a port: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := resolve(ctx, &Options{Dir: t.TempDir(), Peers: []string{"localhost:6222"}, Size: 5}); !errors.Is(err, context.Canceled) {
		t.Errorf("a name that resolves to too few: %v", err)
	}
}

// TestWrongAddresses starts nodes with bad addresses: each error names the setting.
func TestWrongAddresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"listen without a port": {Options{Listen: "127.0.0.1", Peers: []string{"a:1", "b:2", "c:3"}}, `CLUSTER_LISTEN: "127.0.0.1" is not an address`},
		"a port that is none":   {Options{Listen: "127.0.0.1:x", Peers: []string{"a:1", "b:2", "c:3"}}, `CLUSTER_LISTEN: "127.0.0.1:x" is not an address`},
		"a peer that is none":   {Options{Listen: "127.0.0.1:1", Peers: []string{"a:1", "%:2", "c:3"}}, `CLUSTER_PEERS: "%:2" is not an address`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.o.Dir, c.o.Node, c.o.Size, c.o.Secret = t.TempDir(), "n1", 3, "the secret of this cluster"
			n, err := Start(t.Context(), c.o)
			if err == nil {
				_ = n.Close()
			}
			if err == nil || !contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
