package cluster

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"kazoohook/internal/journal"
)

const (
	// linkEvery is the distance in commands between the numbers at which the journals
	// keep a hash of all commands so far.
	linkEvery = 1000
	// linksShown is how many of these hashes a node shows the others.
	linksShown = 4
)

// link is a hash of the commands up to a number, in hex.
type link struct {
	Number int64  `json:"n"`
	Hash   string `json:"h"`
}

// links are this node's newest hashes. Each is read from the journal once.
type links struct {
	mu   sync.Mutex
	last []link
}

// upTo returns this node's newest hashes, and those at the numbers in asked, where
// other nodes found a difference.
func (l *links) upTo(ctx context.Context, j *journal.Journal, asked ...int64) []link {
	l.mu.Lock()
	defer l.mu.Unlock()
	number, _ := j.Chain()
	newest := number - number%linkEvery
	for at := max(linkEvery, newest-(linksShown-1)*linkEvery); at <= newest; at += linkEvery {
		if len(l.last) > 0 && at <= l.last[len(l.last)-1].Number {
			continue
		}
		hash, ok, err := j.ChainAt(ctx, at)
		if err == nil && ok {
			l.last = append(l.last, link{at, hex.EncodeToString(hash[:])})
		}
	}
	if len(l.last) > linksShown {
		l.last = slices.Delete(l.last, 0, len(l.last)-linksShown)
	}
	list := slices.Clone(l.last)
	for _, at := range asked {
		if slices.ContainsFunc(list, func(l link) bool { return l.Number == at }) {
			continue
		}
		if hash, ok, err := j.ChainAt(ctx, at); err == nil && ok {
			list = append(list, link{at, hex.EncodeToString(hash[:])})
		}
	}
	return list
}

// at returns the hash at a number, or "" if the list has none.
func at(list []link, number int64) string {
	if i := slices.IndexFunc(list, func(l link) bool { return l.Number == number }); i >= 0 {
		return list[i].Hash
	}
	return ""
}

// dispute is why a node stopped: at a number its journal's hash differs from other
// nodes', and no majority has this node's hash.
type dispute struct {
	number  int64
	hash    string   // this node's
	servers []string // with another hash
	nodes   []string // names of their nodes
	most    bool     // a majority has the same other hash
}

// Error also says what the operator must do.
func (d *dispute) Error() string {
	nodes := strings.Join(d.nodes, ", ")
	if d.most {
		return fmt.Sprintf("this node's journal differs from that of nodes %s since a command before %d: it takes requests and does nothing else; "+
			"stop it and empty its DATA_DIR, so that it fetches a copy", nodes, d.number)
	}
	return fmt.Sprintf("this node's journal differs from that of nodes %s since a command before %d, and no majority says which is right: "+
		"each takes requests and does nothing else until the other nodes are back; keep all DATA_DIRs", nodes, d.number)
}

// compare judges this node's hashes by the others' and returns nil if the node may go
// on. All nodes follow one rule: a node that differs from another may go on only if a
// majority of the whole cluster, itself included, has its hash.
func compare(size int, epoch string, own []link, others map[string]view) *dispute {
	for _, l := range own {
		d := &dispute{number: l.Number, hash: l.Hash}
		votes := map[string]int{l.Hash: 1}
		for _, v := range byNode(others) {
			hash := at(v.Chain, l.Number)
			if hash == "" || v.Epoch != epoch {
				continue
			}
			if votes[hash]++; hash != l.Hash {
				d.servers, d.nodes = append(d.servers, v.Server), append(d.nodes, v.Node)
				d.most = d.most || votes[hash] >= quorum(size)
			}
		}
		if len(d.servers) > 0 && votes[l.Hash] < quorum(size) {
			return d
		}
	}
	return nil
}

// settled reports whether the node may go on: a majority now has its hash, or the nodes
// that had another hash have been replaced.
func (d *dispute) settled(size int, epoch string, others map[string]view) bool {
	differ := false
	for server := range others {
		differ = differ || slices.Contains(d.servers, server)
	}
	return !differ || votes(epoch, link{d.number, d.hash}, others) >= quorum(size)
}

// votes returns how many nodes have the same hash as this one, itself included.
func votes(epoch string, own link, others map[string]view) int {
	votes := 1
	for _, v := range others {
		if v.Epoch == epoch && at(v.Chain, own.Number) == own.Hash {
			votes++
		}
	}
	return votes
}

// compareChains compares this node's hashes with the others'. Nodes that are away count
// with what they last showed.
func (n *Node) compareChains(ctx context.Context, j *journal.Journal) {
	others, epoch := map[string]view{}, j.Cluster().Epoch
	for node, p := range n.peers.all() {
		if node != n.o.Node {
			others[p.Server] = p.view
		}
	}
	if d := n.dispute(); d != nil {
		if d.settled(n.o.Size, epoch, others) {
			n.o.Log.Info().Int64("number", d.number).Msg("this node's journal is the one that counts: it goes on")
			n.undisputed()
			n.fail(fmt.Errorf("%w: its journal is the one that counts", ErrRestart))
		}
		return
	}
	d := compare(n.o.Size, epoch, n.links.upTo(ctx, j), others)
	if number := n.known().Disputed; number > 0 { // from before this start
		hash := at(n.links.upTo(ctx, j, number), number)
		if hash != "" && votes(epoch, link{number, hash}, others) >= quorum(n.o.Size) {
			n.undisputed()
		}
	}
	switch {
	case d == nil:
		n.doubted = time.Time{}
	case !d.most && n.doubted.IsZero(): // a node that just started may not know all yet
		n.doubted = time.Now()
	case d.most || time.Since(n.doubted) >= aliveFor:
		n.diverge(j, d)
	}
}

// diverge stops everything that depends on this node's journal.
func (n *Node) diverge(j *journal.Journal, why *dispute) {
	n.mu.Lock()
	n.diverged = why
	n.self.Disputed, n.self.Undecided = why.number, !why.most
	n.mu.Unlock()
	j.Halt(why)
	n.say(StateDiverged, why.Error())
}

// undisputed notes that there is no known difference between this node's journal and the
// others' any more.
func (n *Node) undisputed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.self.Disputed = 0
}

func (n *Node) dispute() *dispute {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.diverged
}

// Diverged returns why this node's journal must not be used, or nil: it differs from
// another node's, and no majority has the same.
func (n *Node) Diverged() error {
	if d := n.dispute(); d != nil {
		return d
	}
	return nil
}
