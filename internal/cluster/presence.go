package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	presenceSubject = "kazoohook.presence"
	presenceEvery   = 500 * time.Millisecond
	// aliveFor is how long a node counts as connected after it was last seen.
	aliveFor = 3 * time.Second
)

// view is what a node tells the others about itself.
type view struct {
	Node    string `json:"node"`
	Server  string `json:"server"` // a new one whenever the node's directory is made anew
	Version string `json:"version,omitempty"`
	State   State  `json:"state"`
	Reason  string `json:"reason,omitempty"`
	// The journal: its name, whether it has nothing worth keeping, the number of its
	// last command, and the epoch of the log that it follows.
	Journal string `json:"journal,omitempty"`
	Empty   bool   `json:"empty,omitempty"`
	Number  int64  `json:"number,omitempty"`
	Epoch   string `json:"epoch,omitempty"`
	Making  string `json:"making,omitempty"`  // epoch of the log that an order makes
	Ordered string `json:"ordered,omitempty"` // the same, while this node gives the order to the others
	// Positions in the log: applied; applied and on disk; the newest that any node is
	// known to have had; and the lowest from which a copy fetched from this node
	// must go on (0: none).
	Position uint64 `json:"position,omitempty"`
	Synced   uint64 `json:"synced,omitempty"`
	Acked    uint64 `json:"acked,omitempty"`
	Held     uint64 `json:"held,omitempty"`
	// Replaced: the log has other entries than a node has applied. It says which node.
	Replaced string   `json:"replaced,omitempty"`
	entry    [32]byte // SHA-256 of the entry at Position when the journal was opened; zero: unknown; not shown

	Open  bool   `json:"open,omitempty"` // the journal is in use
	Term  uint64 `json:"term,omitempty"`
	Fold  int    `json:"fold"` // newest version of the rules that the node knows
	Chain []link `json:"chain,omitempty"`
	// Number at which its journal differs, 0: none. The others show their hashes there.
	Disputed int64 `json:"disputed,omitempty"`
	// Undecided: no majority says whether its journal is right, so it applies nothing now.
	Undecided bool              `json:"undecided,omitempty"`
	Settings  map[string]string `json:"settings,omitempty"`
	Members   map[string]string `json:"members,omitempty"` // servers by node, from the log
}

// peer is what a server said last, and when.
type peer struct {
	view
	at      time.Time
	current time.Time // when it last had applied everything that any node had reported by then
	// synced is the newest position that it ever had on disk, in its epoch. advanced is
	// when that last grew, or was all there was, or whether it may grow was undecided;
	// first when the server was first seen.
	synced   uint64
	advanced time.Time
}

// registry holds what the nodes say. Several goroutines use it.
type registry struct {
	now func() time.Time

	mu    sync.Mutex
	peers map[string]peer // by server
}

func newRegistry(now func() time.Time) *registry {
	return &registry{now: now, peers: map[string]peer{}}
}

// saw stores what a node says.
func (r *registry) saw(v view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.peers[v.Server]
	p := peer{view: v, at: r.now(), current: last.current, synced: v.Synced, advanced: last.advanced}
	if last.Epoch == v.Epoch {
		p.synced = max(last.synced, v.Synced)
	}
	var newest uint64
	for _, o := range r.peers {
		if o.Epoch == v.Epoch {
			newest = max(newest, o.Position)
		}
	}
	if v.Position >= newest {
		p.current = p.at
	}
	if !known || v.Undecided || v.Epoch != last.Epoch || p.synced > last.synced || v.Synced > 0 && v.Synced >= newest {
		p.advanced = p.at
	}
	r.peers[v.Server] = p
}

// lagging returns for how many seconds a server has had commands left to apply.
func (r *registry) lagging(server string, lag uint64) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.peers[server]
	if !ok || lag == 0 || p.current.IsZero() {
		return 0
	}
	return r.now().Sub(p.current).Seconds()
}

// level reports whether a server had applied everything known at its last presence. It
// reports newer commands with its next presence.
func (p *peer) level() bool { return !p.at.IsZero() && p.current.Equal(p.at) }

// all returns the nodes ever seen, by node. If several servers have one node's name,
// the last one seen counts.
func (r *registry) all() map[string]peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	nodes := map[string]peer{}
	for _, p := range r.peers {
		if last, ok := nodes[p.Node]; !ok || p.at.After(last.at) {
			nodes[p.Node] = p
		}
	}
	return nodes
}

// alive returns the nodes seen within aliveFor, by server.
func (r *registry) alive() map[string]view {
	r.mu.Lock()
	defer r.mu.Unlock()
	views := map[string]view{}
	for server, p := range r.peers {
		if r.now().Sub(p.at) < aliveFor {
			views[server] = p.view
		}
	}
	return views
}

// asked returns the numbers at which nodes ask for the hashes of others.
func (r *registry) asked() (numbers []int64) {
	for _, v := range r.alive() {
		if v.Disputed > 0 {
			numbers = append(numbers, v.Disputed)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// advanced returns what a server has on disk, and since when that stands still although
// there is more, the zero time if the server was never seen.
func (r *registry) advanced(server string) (synced uint64, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[server]
	return p.Synced, p.advanced
}

// seen returns a server's last presence.
func (r *registry) seen(server string) view {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peers[server].view
}

// forget removes what a server, named by its peerID, said.
func (r *registry) forget(peer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for server := range r.peers {
		if peerID(server) == peer {
			delete(r.peers, server)
		}
	}
}

// byNode orders views by the name of their node.
func byNode(views map[string]view) []view {
	return slices.SortedFunc(maps.Values(views), func(a, b view) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Server, b.Server))
	})
}

// present sends this node's presence until ctx ends, and receives the others'.
func (n *Node) present(ctx context.Context) error {
	said, err := n.embedded.app.Subscribe(presenceSubject, func(m *nats.Msg) {
		var v view
		if json.Unmarshal(m.Data, &v) == nil && v.Server != "" {
			n.saw(v)
		}
	})
	if err != nil {
		return err
	}
	n.work.Go(func() {
		defer func() { _ = said.Unsubscribe() }()
		every := time.NewTicker(presenceEvery)
		defer every.Stop()
		for {
			v := n.refresh(ctx)
			n.peers.saw(v)
			if data, err := json.Marshal(v); err == nil {
				_ = n.embedded.app.Publish(presenceSubject, data)
			}
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
		}
	})
	return nil
}

// saw stores what another node says. It tells a server that was removed from the
// cluster so, also one that was replaced. From a node that began again to carry out an
// order that was withdrawn meanwhile, it takes the order back.
func (n *Node) saw(v view) {
	n.peers.saw(v)
	n.withdrawFrom(v)
	j := n.journal.Load()
	if j == nil {
		return
	}
	for _, m := range j.Cluster().Members {
		if m.Node == v.Node && m.Removed && m.ID == v.Server {
			_ = n.embedded.app.Publish(nodeSubject(v.Server, "removed"), nil)
		}
	}
}

// refresh updates and returns what this node says.
func (n *Node) refresh(ctx context.Context) view {
	j := n.journal.Load()
	held := n.copies.held() // before the lock: held also asks this node
	var chain []link
	if j != nil {
		chain = n.links.upTo(ctx, j, n.peers.asked()...)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.self.State, n.self.Reason = n.state, n.reason
	n.self.Settings = n.settings
	n.self.Acked, n.self.Synced = n.acked.Load(), n.synced.Load()
	n.self.Held = held
	if j == nil {
		return n.self
	}
	c := j.Cluster()
	n.self.Open, n.self.Empty = true, false
	n.self.Journal, n.self.Epoch, n.self.Position, n.self.Term = c.Journal, c.Epoch, c.Position, c.Term
	n.self.Number = j.Applied()
	n.self.Members = members(c)
	n.self.Chain = chain
	return n.self
}
