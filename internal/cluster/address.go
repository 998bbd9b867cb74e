package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// resolve returns the addresses of all nodes. A single peer is a name that resolves to
// all of them. A node that has never met the others waits until it resolves to Size
// addresses: the servers derive their number from it.
func resolve(ctx context.Context, o *Options) ([]string, error) {
	if len(o.Peers) != 1 {
		return o.Peers, nil
	}
	need := o.Size
	if _, err := os.Stat(filepath.Join(o.dir(), natsName)); err == nil {
		need = 1
	}
	for said := false; ; said = true {
		peers, err := lookUp(ctx, o.Peers[0])
		if err == nil && len(peers) >= need {
			return peers, nil
		}
		if !said {
			o.Log.Info().Err(err).Str("name", o.Peers[0]).Int("found", len(peers)).Int("size", o.Size).
				Msg("waiting until the name in CLUSTER_PEERS resolves to all nodes")
		}
		pause(ctx, time.Second)
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

func lookUp(ctx context.Context, peer string) (peers []string, err error) {
	host, port, err := net.SplitHostPort(peer)
	if err != nil {
		return nil, fmt.Errorf("CLUSTER_PEERS: %q is not an address of the form host:port: %w", peer, err)
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	for _, a := range slices.Compact(slices.Sorted(slices.Values(addresses))) {
		peers = append(peers, net.JoinHostPort(a, port))
	}
	return peers, err
}

// resolveAgain gives the server new addresses when the name resolves to others: nodes
// that were started again have new addresses.
func (n *Node) resolveAgain(ctx context.Context, known []string) {
	for ctx.Err() == nil {
		pause(ctx, 5*time.Second)
		peers, err := lookUp(ctx, n.o.Peers[0])
		if err != nil || len(peers) < 2 || maps.Equal(set(peers), set(known)) {
			continue
		}
		if err := n.embedded.reroute(peers); err != nil {
			n.o.Log.Warn().Err(err).Msg("the nodes' new addresses can't be used")
			continue
		}
		known = peers
	}
}

func set(list []string) map[string]bool {
	m := map[string]bool{}
	for _, s := range list {
		m[s] = true
	}
	return m
}
