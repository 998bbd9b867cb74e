package cluster

import (
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
		if n.isConnected(peerID(server)) {
			return fmt.Errorf("node %q %w", node, errConnected)
		}
	}
	if err := n.evict(ctx, peerID(server)); errors.Is(err, errConnected) {
		return fmt.Errorf("node %q %w", node, err)
	} else if err != nil {
		return fmt.Errorf("remove node %s: %w", node, err)
	}
	if err := j.RemoveMember(ctx, node); err != nil {
		return fmt.Errorf("remove node %s: %w", node, err)
	}
	n.peers.forget(peerID(server))
	n.o.Log.Info().Str("member", node).Msg("node removed from the cluster")
	return nil
}

var errConnected = errors.New("is connected: stop it first")

// isConnected reports whether a server, named by its peerID, is connected.
func (n *Node) isConnected(peer string) bool {
	for server := range n.peers.alive() {
		if peerID(server) == peer {
			return true
		}
	}
	return false
}

// evict takes the vote of a lost server, named by its peerID, away. A server that turns
// out to be connected keeps its vote, and the error is errConnected. A server that has no
// vote is no error.
func (n *Node) evict(ctx context.Context, peer string) error {
	const notMember = 10044 // NATS' code for a server that isn't in the group
	request, err := json.Marshal(map[string]string{"peer_id": peer})
	if err != nil {
		return err
	}
	for {
		if n.isConnected(peer) {
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
		if _, member := known[v.Node]; !member && len(known) >= n.o.Size {
			continue // the node itself says what to do
		}
		if !n.makePlace(ctx, v, leftovers(n.o.Size, v, known, votes, n.embedded.group(), n.isConnected)) {
			continue
		}
		if !votes[peerID(v.Server)].current || j.AddMember(ctx, v.Node, v.Server) != nil {
			continue // try again in the next round
		}
		known[v.Node] = v.Server
		n.o.Log.Info().Str("member", v.Node).Msg("node joined the cluster")
	}
}

// makePlace takes the votes away that a node is to take over, and reports whether none is left.
func (n *Node) makePlace(ctx context.Context, v view, lost []string) bool {
	for _, peer := range lost {
		err := n.evictWithin(ctx, peer)
		if errors.Is(err, errConnected) {
			n.o.Log.Error().Str("member", v.Node).Msg("two nodes have this CLUSTER_NODE: stop one of them")
			return false
		}
		if err != nil {
			n.o.Log.Warn().Err(err).Str("member", v.Node).Msg("the vote that the node is to take over can't be removed yet")
			return false
		}
		n.peers.forget(peer)
	}
	return true
}

// leftovers returns the servers, by peerID, whose votes a node that wants to join takes over:
// the one that it was as a member, and those of its directories that were lost before they
// became a member's. It also takes over the vote of any other server that is away and never
// became a member's, if all votes are given and it has none: the name of a server that was
// lost may not be known. group are the names, by peerID, of the servers that keep the streams'
// settings.
func leftovers(size int, v view, known map[string]string, votes map[string]vote, group map[string]string, connected func(peer string) bool) []string {
	own := peerID(v.Server)
	lost := map[string]bool{}
	if earlier := known[v.Node]; earlier != "" {
		lost[peerID(earlier)] = true
	}
	names := maps.Clone(group)
	member := map[string]bool{}
	for _, server := range known {
		member[peerID(server)] = true
	}
	_, has := votes[own]
	var stray []string
	for peer, vote := range votes {
		names[peer] = vote.server
		if !has && len(votes) >= size && !member[peer] && !connected(peer) {
			stray = append(stray, peer)
		}
	}
	for peer, server := range names {
		if dot := strings.LastIndexByte(server, '.'); dot > 0 && server[:dot] == v.Node && peer != own {
			lost[peer] = true
		}
	}
	if len(stray) > 0 && !slices.ContainsFunc(stray, func(peer string) bool { return lost[peer] }) {
		lost[slices.Min(stray)] = true
	}
	return slices.Sorted(maps.Keys(lost))
}

// strays returns the servers, by peerID, that are away, and that neither a member nor a node
// that joins can be, because all places are taken by servers that are connected. They were
// started by mistake, or were lost before they had a vote about the stream. Each would count
// for the quorum of the servers that keep the streams' settings.
func strays(size int, known, group map[string]string, alive map[string]view) (lost []string) {
	place := map[string]bool{}
	for server := range alive {
		place[peerID(server)] = true
	}
	if len(place) < size {
		return nil
	}
	for _, server := range known {
		place[peerID(server)] = true
	}
	for peer := range group {
		if !place[peer] {
			lost = append(lost, peer)
		}
	}
	slices.Sort(lost)
	return lost
}

// strayAfter is how long a server must be a stray before its vote is taken away: much longer
// than a node that begins needs until it is seen.
const strayAfter = time.Minute

// lasting returns the strays that have been so for strayAfter. since has the time at which
// each was first seen as one.
func lasting(since map[string]time.Time, strays []string, now time.Time) (list []string) {
	maps.DeleteFunc(since, func(peer string, _ time.Time) bool { return !slices.Contains(strays, peer) })
	for _, peer := range strays {
		if at, ok := since[peer]; !ok {
			since[peer] = now
		} else if now.Sub(at) >= strayAfter {
			list = append(list, peer)
		}
	}
	return list
}

// evictStrays takes the votes of strays away: two of them and a lost node, and no other could
// take its place.
func (n *Node) evictStrays(ctx context.Context, j *journal.Journal) {
	known, group, alive := members(j.Cluster()), n.embedded.group(), n.peers.alive()
	long := lasting(n.strayed, strays(n.o.Size, known, group, alive), time.Now())
	if len(long) == 0 {
		return
	}
	votes, err := n.stream.Load().votes(ctx)
	if err != nil {
		return // try again in the next round
	}
	for _, peer := range long {
		if _, has := votes[peer]; has {
			continue
		}
		if err := n.evictWithin(ctx, peer); err != nil {
			n.o.Log.Debug().Err(err).Str("server", group[peer]).Msg("the vote of a server that is no member can't be removed yet")
			return
		}
		n.peers.forget(peer)
	}
}

func (n *Node) evictWithin(ctx context.Context, peer string) error {
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	return n.evict(ctx, peer)
}

// absentAfter is how long a node may be away, or take nothing, before the log keeps
// nothing for it.
const absentAfter = 24 * time.Hour
