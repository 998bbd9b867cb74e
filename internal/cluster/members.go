package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/journal"
)

// peerID is the name that the servers use for a server in their votes: 8 characters
// made from a hash of its name.
func peerID(server string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte(server))
	id := make([]byte, 8)
	for i := range id {
		id[i] = digits[int(sum[i])%len(digits)]
	}
	return string(id)
}

// members returns the servers of the cluster's nodes, by node.
func members(c journal.ClusterState) map[string]string {
	m := map[string]string{}
	for _, member := range c.Members {
		if !member.Removed {
			m[member.Node] = member.ID
		}
	}
	return m
}

// Remove removes a lost node, so that another can take its place. A connected node
// isn't lost: stop it first.
func (n *Node) Remove(ctx context.Context, node string) error {
	j := n.journal.Load()
	if j == nil {
		return ErrNotOpen
	}
	server, known := members(j.Cluster())[node]
	if !known {
		return fmt.Errorf("the cluster has no node %q", node)
	}
	// A node that was just started, or was stopped for a moment, is seen by then.
	for end := time.Now().Add(aliveFor); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, openEvery) {
		if n.isConnected(server) {
			return fmt.Errorf("node %q %w", node, errConnected)
		}
	}
	if err := n.evict(ctx, server); errors.Is(err, errConnected) {
		return fmt.Errorf("node %q %w", node, err)
	} else if err != nil {
		return fmt.Errorf("remove node %s: %w", node, err)
	}
	if err := j.RemoveMember(ctx, node); err != nil {
		return fmt.Errorf("remove node %s: %w", node, err)
	}
	n.peers.forget(server)
	n.o.Log.Info().Str("member", node).Msg("node removed from the cluster")
	return nil
}

var errConnected = errors.New("is connected: stop it first")

func (n *Node) isConnected(server string) bool {
	_, alive := n.peers.alive()[server]
	return alive
}

// evict takes the vote of a lost server away. A server that turns out to be connected
// keeps its vote, and the error is errConnected. A server that has no vote is no error.
func (n *Node) evict(ctx context.Context, server string) error {
	const notMember = 10044 // NATS' code for a server that isn't in the group
	request, err := json.Marshal(map[string]string{"peer": server, "peer_id": peerID(server)})
	if err != nil {
		return err
	}
	for {
		if n.isConnected(server) {
			return errConnected
		}
		try, cancel := context.WithTimeout(ctx, publishLimit)
		data, err := n.embedded.request(try, "$JS.API.SERVER.REMOVE", request)
		cancel()
		var answer struct {
			Success bool `json:"success"`
			Error   *struct {
				Code        int    `json:"err_code"`
				Description string `json:"description"`
			} `json:"error"`
		}
		if err == nil {
			err = json.Unmarshal(data, &answer)
		}
		switch {
		case err == nil && (answer.Success || answer.Error != nil && answer.Error.Code == notMember):
			return nil
		case err == nil && answer.Error != nil:
			err = errors.New(answer.Error.Description)
		}
		pause(ctx, openEvery)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// admit makes connected nodes members if there is room and their disks count for the
// quorum: a member must be reliable when another is lost. A node whose directory is new
// takes its own earlier place once its old server is away.
func (n *Node) admit(ctx context.Context, j *journal.Journal) {
	known := members(j.Cluster())
	alive := n.peers.alive()
	waiting := slices.DeleteFunc(byNode(alive), func(v view) bool { return known[v.Node] == v.Server || v.Epoch != j.Cluster().Epoch })
	if len(waiting) == 0 {
		return
	}
	votes, err := n.stream.Load().votes(ctx)
	if err != nil {
		return // try again in the next round
	}
	for _, v := range waiting {
		earlier, member := known[v.Node]
		if !member && len(known) >= n.o.Size {
			continue // the node itself says what to do
		}
		if !member { // a node that was lost before it became a member has a vote, too
			earlier = cmp.Or(earlierVote(votes, v), n.lostVote(votes, known, v))
		}
		if earlier != "" {
			if n.isConnected(earlier) {
				n.o.Log.Error().Str("member", v.Node).Msg("two nodes have this CLUSTER_NODE: stop one of them")
				continue
			}
			if err := n.evictWithin(ctx, earlier); err != nil {
				n.o.Log.Warn().Err(err).Str("member", v.Node).Msg("the vote that the node is to take over can't be removed yet")
				continue
			}
			n.peers.forget(earlier)
		}
		if !votes[v.Server] || j.AddMember(ctx, v.Node, v.Server) != nil {
			continue // try again in the next round
		}
		known[v.Node] = v.Server
		n.o.Log.Info().Str("member", v.Node).Msg("node joined the cluster")
	}
}

// earlierVote returns the server with a vote that a node had before its directory was
// made anew, or "".
func earlierVote(votes map[string]bool, v view) string {
	for server := range votes {
		if dot := strings.LastIndexByte(server, '.'); dot > 0 && server[:dot] == v.Node && server != v.Server {
			return server
		}
	}
	return ""
}

// lostVote returns the server whose vote a new node needs, because all votes are given
// and this one is of a server that is away and never became a member's; or "".
func (n *Node) lostVote(votes map[string]bool, known map[string]string, v view) string {
	if _, has := votes[v.Server]; has || len(votes) < n.o.Size {
		return ""
	}
	servers := slices.Collect(maps.Values(known))
	for _, server := range slices.Sorted(maps.Keys(votes)) {
		if !slices.Contains(servers, server) && !n.isConnected(server) {
			return server
		}
	}
	return ""
}

func (n *Node) evictWithin(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	return n.evict(ctx, server)
}

// absentAfter is how long a node may be away, or take nothing, before the log keeps
// nothing for it.
const absentAfter = 24 * time.Hour
