package cluster

import (
	"context"
	"maps"
	"slices"
	"time"

	"kazoohook/internal/journal"
)

// State is what a node is doing.
type State string

// The states of a node.
const (
	StateReady    State = "ready"
	StateWaiting  State = "waiting"  // for other nodes
	StateCopying  State = "copying"  // fetches the journal from another node
	StateRefused  State = "refused"  // its journal is not the cluster's
	StateLost     State = "lost"     // the log is gone or not the journal's: kazoohook cluster rebuild
	StateDiverged State = "diverged" // its journal differs from the others'
	StateSettings State = "settings" // its settings differ from the cluster's: it doesn't lead
)

// Status is what a node knows of its cluster.
type Status struct {
	Node     string       `json:"node"`             // this one
	State    State        `json:"state"`            // what it does
	Leader   string       `json:"leader,omitempty"` // "": unknown or not connected
	Leads    bool         `json:"leads"`            // this node leads and may act now
	Term     uint64       `json:"term"`
	Epoch    string       `json:"epoch"`              // of the log; "" while the node follows none
	Journal  string       `json:"journal,omitempty"`  // its name
	Size     int          `json:"size"`               // nodes of the whole cluster
	Quorum   bool         `json:"quorum"`             // enough nodes are connected to take requests
	Position uint64       `json:"position"`           // newest in the log, as far as this node knows
	Fold     int          `json:"fold"`               // version of the rules in effect
	Problem  string       `json:"problem,omitempty"`  // why this node isn't ready, for the operator
	Settings []string     `json:"settings,omitempty"` // names of those that differ from the cluster's
	Diverged bool         `json:"diverged,omitempty"` // its journal differs: it must not answer queries
	Nodes    []NodeStatus `json:"nodes"`              // all known nodes, by name
}

// NodeStatus is what is known of one node.
type NodeStatus struct {
	Name       string    `json:"name"`
	Version    string    `json:"version,omitempty"`
	State      State     `json:"state,omitempty"`
	Alive      bool      `json:"alive"`   // seen within aliveFor (3 s)
	Leader     bool      `json:"leader"`  // elected last, and connected
	Member     bool      `json:"member"`  // belongs to the cluster
	Applied    uint64    `json:"applied"` // position in the log
	Lag        uint64    `json:"lag"`     // entries of the log that it still has to apply
	LagSeconds float64   `json:"lag_seconds"`
	Seen       time.Time `json:"seen,omitzero"` // when this process last saw it; zero: never
	Problem    string    `json:"problem,omitempty"`
}

// Status returns what this node knows of the cluster. It asks no other node.
func (n *Node) Status(context.Context) Status {
	j := n.journal.Load()
	term, leader := n.election.current()
	if _, here := n.serverOf(leader); !here {
		leader = "" // the leader is lost, and no other is elected yet
	}
	n.mu.Lock()
	s := Status{
		Node: n.o.Node, State: n.state, Leader: leader, Term: term, Epoch: n.self.Epoch, Journal: n.self.Journal,
		Size: n.o.Size, Problem: n.reason, Diverged: n.diverged != nil,
	}
	if n.agreed != nil {
		s.Settings = differing(n.settings, n.agreed)
	}
	n.mu.Unlock()
	if s.State == StateWaiting && n.strangers() {
		s.Problem += "; a node has another CLUSTER_SECRET than this one"
	}
	s.Leads = n.Leads()
	s.Quorum = n.connected() >= quorum(n.o.Size)
	known := map[string]string{}
	if j != nil {
		c := j.Cluster()
		known, s.Fold, s.Epoch, s.Journal = members(c), c.Fold, c.Epoch, c.Journal
	}
	s.Position = n.acked.Load()
	all := n.peers.all()
	for _, p := range all {
		if p.Epoch == s.Epoch {
			s.Position = max(s.Position, p.Position)
		}
	}
	for node := range known {
		if _, ok := all[node]; !ok {
			all[node] = peer{view: view{Node: node}}
		}
	}
	for _, node := range slices.Sorted(maps.Keys(all)) {
		s.Nodes = append(s.Nodes, n.nodeStatus(all[node], known, s, j))
	}
	return s
}

// strangers reports whether a node with another secret tried to connect recently: nodes
// keep trying.
func (n *Node) strangers() bool {
	return n.embedded != nil && time.Since(time.Unix(0, n.embedded.strangers.Load())) < 10*aliveFor
}

func (n *Node) nodeStatus(p peer, known map[string]string, s Status, j *journal.Journal) NodeStatus {
	v := p.view
	alive := v.Server != "" && n.peers.now().Sub(p.at) < aliveFor
	if v.Server == n.id.server() {
		alive = true
		v.State, v.Reason = s.State, s.Problem
		if j != nil {
			v.Position = j.Cluster().Position
		}
	}
	server, member := known[v.Node]
	if v.Server != "" && server != v.Server {
		member = false // the vote is an earlier directory's until the leader admits this one
	}
	status := NodeStatus{Name: v.Node, Version: v.Version, State: v.State, Alive: alive, Leader: v.Node == s.Leader, Member: member,
		Applied: v.Position, Seen: p.at, Problem: v.Reason}
	switch {
	case s.Epoch == "" || v.Epoch != s.Epoch:
		status.Lag = s.Position
	case alive && p.level() && v.Server != n.id.server():
	default:
		status.Lag = s.Position - min(s.Position, v.Position)
	}
	status.LagSeconds = n.peers.lagging(v.Server, status.Lag)
	return status
}

// lookAround does once a second what is not urgent, until ctx ends.
func (n *Node) lookAround(ctx context.Context, j *journal.Journal) error {
	since := time.Now()
	for round := 0; ; round++ {
		n.lookAtEnd(ctx, j)
		n.compareChains(ctx, j)
		n.compareSettings(ctx, j)
		if n.Leads() {
			n.lead(ctx, j, since, round)
		} else {
			clear(n.strayed)
		}
		pause(ctx, time.Second)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// lead does the work that only the leader does for the cluster itself. What fails is
// tried again in the next round.
func (n *Node) lead(ctx context.Context, j *journal.Journal, since time.Time, round int) {
	n.admit(ctx, j)
	n.evictStrays(ctx, j)
	n.raiseFold(ctx, j)
	if err := n.sealAnew(ctx, j); err != nil {
		n.o.Log.Debug().Err(err).Msg("shared secrets can't be encrypted anew yet")
	}
	if round%int(purgeEvery/time.Second) != 0 {
		return
	}
	if err := n.purge(ctx, j, since); err != nil {
		n.o.Log.Debug().Err(err).Msg("the cluster's log can't be purged yet")
	}
}

// raiseFold puts a newer version of the rules into effect once all nodes know it.
func (n *Node) raiseFold(ctx context.Context, j *journal.Journal) {
	c := j.Cluster()
	alive := n.peers.alive()
	known := members(c)
	lowest := journal.Fold
	for _, server := range known {
		v, here := alive[server]
		if !here {
			return // the node that is away may know only older rules
		}
		lowest = min(lowest, v.Fold)
	}
	if len(known) < n.o.Size || lowest <= c.Fold {
		return
	}
	if err := j.RaiseFold(ctx, lowest); err == nil {
		n.o.Log.Info().Int("version", lowest).Msg("all nodes know newer rules: they are in effect")
	}
}

// say sets the node's state and its reason, and logs a change.
func (n *Node) say(s State, reason string) {
	n.mu.Lock()
	changed := n.state != s || n.reason != reason
	n.state, n.reason = s, reason
	n.mu.Unlock()
	if !changed {
		return
	}
	e := n.o.Log.Info()
	switch s {
	case StateLost, StateRefused, StateDiverged:
		e = n.o.Log.Error()
	case StateSettings:
		e = n.o.Log.Warn()
	case StateReady, StateWaiting, StateCopying:
	}
	if reason != "" {
		e = e.Str("reason", reason)
	}
	e.Str("state", string(s)).Msg("state of this node in the cluster")
}

// fail ends the node's work: Open and Run return err.
func (n *Node) fail(err error) {
	n.once.Do(func() {
		n.end = err
		close(n.ended)
	})
}
