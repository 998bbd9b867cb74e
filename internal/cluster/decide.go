package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// step is what a node does next until its journal follows the log.
type step int

const (
	stepWait   step = iota // wait for others; the reason says for whom
	stepFollow             // go on where the journal ends
	stepMake               // make the log from this node's journal
	stepCopy               // fetch the journal from another node
	stepRefuse             // this node's journal doesn't belong to this cluster
	stepLost               // the log is gone
)

// situation is everything that decide needs to choose the next step.
type situation struct {
	size int
	self view
	// others are the nodes that are connected, without this one.
	// The log's state was asked for later.
	others map[string]view
	log    logState // not found: the servers know of no stream
	order  order    // from a rebuild or from this node's own makeLog; zero: none
}

// decision is a step and the reason to show for it.
type decision struct {
	step   step
	reason string
}

// decide says what a node does next:
//
//	the log          this node's journal                        step
//	exists           follows it                                 follow
//	                 follows it, needs what was purged          copy
//	                 it holds less, or other entries, than
//	                 this or another node has had               lost
//	                 is empty, or followed an earlier log       copy
//	                 went on by itself, or is another           refuse
//	doesn't exist    this or another node follows one           lost
//	                 not all nodes are connected                wait
//	                 two nodes have different journals          refuse
//	                 is the most advanced                       make
//	                 isn't                                      wait
func decide(s situation) decision {
	if s.log.found {
		return s.join()
	}
	all := append(byNode(s.others), s.self)
	if s.order.Epoch == "" {
		for _, v := range all {
			if v.Epoch != "" && v.Epoch != v.Making {
				return decision{stepLost, fmt.Sprintf("the cluster's log is gone, although node %s has followed it: %s", v.Node, advice)}
			}
		}
	}
	if missing := s.size - len(all); missing > 0 {
		return decision{stepWait, fmt.Sprintf("waiting until all %d nodes are connected; now there are %s", s.size, names(all))}
	}
	if s.order.All {
		for _, v := range byNode(s.others) {
			if v.Making != s.order.Epoch {
				return decision{stepWait, fmt.Sprintf("waiting until node %s begins again to make the log anew: if it doesn't, run kazoohook cluster rebuild once more", v.Node)}
			}
		}
	}
	if s.order.Epoch != "" {
		if s.order.Founder == s.self.Node {
			return decision{stepMake, ""}
		}
		return decision{stepWait, "waiting until node " + s.order.Founder + " has made the log"}
	}
	var first *view
	for i := range all {
		v := &all[i]
		if v.Empty {
			continue
		}
		if first != nil && first.Journal != v.Journal {
			return decision{stepRefuse, fmt.Sprintf("nodes %s and %s have different journals, %s and %s: empty the DATA_DIR of the one that is to join",
				first.Node, v.Node, first.Journal, v.Journal)}
		}
		if first == nil {
			first = v
		}
	}
	if founder := mostAdvanced(all); founder.Server != s.self.Server {
		return decision{stepWait, "waiting until node " + founder.Node + " has made the log"}
	}
	return decision{stepMake, ""}
}

// join decides for the case that the log exists.
func (s situation) join() decision {
	if s.order.All && s.order.Epoch != s.log.epoch { // it may have been withdrawn
		for _, v := range byNode(s.others) {
			if v.Ordered == s.order.Epoch || v.Making == s.order.Epoch {
				return decision{stepWait, "waiting until all nodes begin again to make the log anew"}
			}
		}
	}
	switch {
	case s.self.Epoch != "" && s.self.Epoch == s.log.epoch:
		if reason := lacking(append(byNode(s.others), s.self), s.log); reason != "" {
			return decision{stepLost, reason}
		}
		if err := continues(s.log, s.self.Epoch, s.self.Position+1); err != nil { // it was purged
			return s.copy()
		}
		return decision{stepFollow, ""}
	case s.self.Empty, s.self.Journal == s.log.journal && s.self.Epoch != "", s.order.Epoch == s.log.epoch:
		return s.copy()
	case s.self.Journal == s.log.journal:
		return decision{stepRefuse, "this node's journal went on outside the cluster, and the cluster's log still exists: " +
			"empty this node's DATA_DIR, or stop all nodes, empty the DATA_DIR of the others, and start again"}
	}
	return decision{stepRefuse, fmt.Sprintf("this node has the journal %s, and the cluster has %s: empty the DATA_DIR of the node that is to join",
		s.self.Journal, s.log.journal)}
}

// copy decides for a node that needs a copy: another node must have one, and
// there must be room for this node.
func (s situation) copy() decision {
	if taken := s.taken(); len(taken) >= s.size && !slices.Contains(taken, s.self.Node) {
		return decision{stepWait, fmt.Sprintf("the cluster has its %d nodes already (%s): remove the one that is lost with kazoohook cluster remove NODE",
			s.size, strings.Join(taken, ", "))}
	}
	if len(s.donors()) == 0 {
		return decision{stepWait, "waiting for a node to copy the journal from"}
	}
	return decision{stepCopy, ""}
}

// taken returns the nodes that the log knows, as the other nodes report them.
func (s situation) taken() (nodes []string) {
	for _, v := range byNode(s.others) {
		if v.Open && v.Epoch == s.log.epoch && len(v.Members) > len(nodes) {
			nodes = nil
			for node := range v.Members {
				nodes = append(nodes, node)
			}
		}
	}
	slices.Sort(nodes)
	return nodes
}

// donors returns the nodes that can give a copy, the one that has applied most first.
func (s situation) donors() (donors []view) {
	for _, v := range byNode(s.others) {
		if v.Open && v.Epoch == s.log.epoch && v.State != StateDiverged && v.Position+1 >= s.log.first {
			donors = append(donors, v)
		}
	}
	slices.SortStableFunc(donors, func(a, b view) int {
		switch {
		case a.Position > b.Position:
			return -1
		case a.Position < b.Position:
			return 1
		}
		return 0
	})
	return donors
}

// mostAdvanced returns the node whose journal holds most; among equals the first by
// name. Positions of one log say more than numbers, which name what came before, too.
func mostAdvanced(all []view) view {
	return slices.MinFunc(all, func(a, b view) int {
		switch {
		case a.Empty && b.Empty:
			return cmp.Compare(a.Node, b.Node)
		case a.Empty:
			return 1
		case b.Empty:
			return -1
		case a.Epoch != "" && a.Epoch == b.Epoch && a.Position != b.Position:
			return cmp.Compare(b.Position, a.Position)
		}
		return cmp.Or(cmp.Compare(b.Number, a.Number), cmp.Compare(a.Node, b.Node))
	})
}

func names(views []view) string {
	var list []string
	for _, v := range views {
		list = append(list, v.Node)
	}
	slices.Sort(list)
	return strconv.Itoa(len(list)) + " (" + strings.Join(list, ", ") + ")"
}
