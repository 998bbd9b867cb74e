package main

import (
	"context"
	"fmt"
	"net"
	"strings"

	"kazoohook/handlers"
)

// checkCluster checks whether the other nodes can be reached from here, and asks
// the running service for the state of the cluster.
func (d *doctor) checkCluster(ctx context.Context) ([]finding, bool) {
	var found []finding
	for _, peer := range d.cfg.ClusterPeers {
		found = append(found, d.checkPeer(ctx, peer)...)
	}
	var s handlers.ClusterStatus
	err := withService(d.cfg, "doctor", func(a *admin) error { return a.get(ctx, "/api/cluster", nil, &s) })
	if err != nil {
		return append(found, skipped("the service here can't be asked how the cluster is: %v", err)), true
	}
	if c := clusterCheck(s); !c.OK {
		return append(found, broken("kazoohook cluster shows each node", "%s", c.Detail)), true
	}
	var nodes []string
	for _, n := range s.Nodes {
		nodes = append(nodes, fmt.Sprintf("%s at %d", n.Name, n.Applied))
	}
	return append(found, fine("%s, leader %s, term %d", strings.Join(nodes, ", "), s.Leader, s.Term)), true
}

// checkPeer connects to the nodes of an entry of CLUSTER_PEERS.
func (d *doctor) checkPeer(ctx context.Context, peer string) (found []finding) {
	host, port, err := net.SplitHostPort(peer)
	if err != nil {
		return one(broken("use host:port", "CLUSTER_PEERS: %s: %v", peer, err))
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return one(broken("correct CLUSTER_PEERS, or DNS", "CLUSTER_PEERS: %s can't be resolved: %v", host, plainly(ctx, err)))
	}
	if len(d.cfg.ClusterPeers) == 1 && len(addresses) < int(d.cfg.ClusterSize) {
		found = append(found, warned("start all nodes; the name must list those that aren't ready, too (Kubernetes: publishNotReadyAddresses)",
			"CLUSTER_PEERS: %s resolves to %d of %s nodes", host, len(addresses), d.cfg.ClusterSize))
	}
	for _, a := range addresses {
		var dialer net.Dialer
		c, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(a, port))
		if err != nil {
			found = append(found, warned("start that node, and open the port for the other nodes", "nothing can be reached at %s (%s): %v", net.JoinHostPort(a, port), peer, plainly(ctx, err)))
			continue
		}
		_ = c.Close() // nothing was sent
	}
	return found
}
