package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"

	"kazoohook/internal/journal"
)

// A log may lose entries that a quorum had: disks were restored from an earlier time. It
// is cut then, and taking more commands would give their positions to others. Nodes
// recognise a cut log by its end, or, if it has grown since, by the entry at their own
// position. What one node has seen, all keep until the log is made anew.

// had is the content of a file: what this node knows that the log must hold.
type had struct {
	Epoch    string `json:"epoch"`
	Position uint64 `json:"position"`           // the newest that a node has had
	Replaced string `json:"replaced,omitempty"` // view.Replaced
	Disputed int64  `json:"disputed,omitempty"` // view.Disputed
}

const ackedName = "acked.json"

// readHad reads what is known of the log of an epoch.
func readHad(dir, epoch string) (h had) {
	if readFile(dir, ackedName, &h) != nil || h.Epoch != epoch {
		return had{Epoch: epoch}
	}
	return h
}

func (n *Node) known() had {
	n.mu.Lock()
	defer n.mu.Unlock()
	return had{n.self.Epoch, n.acked.Load(), n.self.Replaced, n.self.Disputed}
}

// note keeps a position if it is the newest that a node has had.
func (n *Node) note(position uint64) {
	for {
		old := n.acked.Load()
		if position <= old || n.acked.CompareAndSwap(old, position) {
			return
		}
	}
}

// replace keeps the reason why the log isn't the one that nodes have followed, and
// returns the first such reason.
func (n *Node) replace(reason string) string {
	n.cut.Store(true)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.self.Replaced == "" {
		n.self.Replaced = reason
	}
	return n.self.Replaced
}

func replacedAt(node string, position uint64) string {
	return fmt.Sprintf("the cluster's log has another entry at %d than node %s has applied: %s", position, node, advice)
}

// learn keeps what other nodes know of the log, because they may be away later.
func (n *Node) learn(others map[string]view) {
	epoch := n.known().Epoch
	for _, v := range others {
		if epoch == "" || v.Epoch != epoch {
			continue
		}
		n.note(max(v.Position, v.Acked))
		if v.Replaced != "" {
			n.replace(v.Replaced)
		}
	}
}

// lookAtEnd checks that the log still holds what any node has had.
func (n *Node) lookAtEnd(ctx context.Context, j *journal.Journal) {
	s, others := n.stream.Load(), n.others()
	n.learn(others)
	n.mu.Lock()
	self, state := n.self, n.state
	n.mu.Unlock()
	l := s.log
	self.Acked, l.last = n.acked.Load(), j.Cluster().Position // the log holds at least this
	all := append(byNode(others), self)
	if self.Acked > l.last || n.election.silent() || n.cut.Load() { // an entry may have taken the place of one that is applied here
		var err error
		if l, err = s.state(ctx); err != nil || !l.final(n.o.Size, all) {
			return
		}
	}
	reason := cmp.Or(lacking(all, l), l.votesLost(n.o.Size, all))
	if n.cut.Store(reason != ""); n.lost.Load() {
		return // Read says why
	}
	switch {
	case reason != "" && state != StateDiverged:
		n.say(StateLost, reason)
	case reason == "" && state == StateLost:
		n.say(StateReady, "")
	}
}

// lacking says what the log lacks of what nodes have had, or returns "". The nodes said
// it before the log's state was asked for.
func lacking(nodes []view, l logState) string {
	var most view
	acked := uint64(0)
	for _, v := range nodes {
		switch {
		case !l.found || v.Epoch != l.epoch:
			continue
		case v.Replaced != "":
			return v.Replaced
		case v.Position > most.Position:
			most = v
		}
		acked = max(acked, v.Acked)
	}
	switch {
	case most.Position > l.last:
		return fmt.Sprintf("the cluster's log ends at %d, although node %s has applied it up to %d: %s", l.last, most.Node, most.Position, advice)
	case acked > l.last:
		return fmt.Sprintf("the cluster's log ends at %d, although a node has had it up to %d: %s", l.last, acked, advice)
	}
	return ""
}

// newest returns the newest position of a log that nodes have had.
func newest(nodes []view, epoch string) (position uint64) {
	for _, v := range nodes {
		if v.Epoch == epoch {
			position = max(position, v.Position, v.Acked)
		}
	}
	return position
}

const advice = "run kazoohook cluster rebuild once all nodes are connected"

// holds checks that the entry at a position, 0 for none, has the hash that it had when
// it was applied, zero for unknown. The error is errReplaced, or one that may pass.
func (s *stream) holds(ctx context.Context, epoch string, position uint64, hash [32]byte) error {
	if position == 0 || hash == [32]byte{} {
		return nil
	}
	request, err := json.Marshal(server.JSApiMsgGetRequest{Seq: position})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, publishTry)
	defer cancel()
	// The stream's leader answers. A direct question could be answered by this node's own
	// server, which may still have what the others have lost.
	m, err := s.app.RequestWithContext(ctx, fmt.Sprintf(server.JSApiMsgGetT, streamName), request)
	var answer server.JSApiMsgGetResponse
	if err == nil {
		err = json.Unmarshal(m.Data, &answer)
	}
	switch {
	case err != nil:
	case answer.Error != nil:
		err = errors.New(answer.Error.Description)
	case answer.Message == nil || answer.Message.Subject != subjects+epoch:
		err = errors.New("the answer is no entry of the log")
	case sha256.Sum256(answer.Message.Data) != hash:
		return errReplaced
	}
	if err != nil {
		return fmt.Errorf("%w: entry %d: %w", errReader, position, err)
	}
	return nil
}

// continues returns an error if a journal that follows epoch and needs position next
// can't continue with the stream. The entry before must be there, to be compared.
func continues(l logState, epoch string, next uint64) error {
	switch {
	case l.epoch != epoch:
		return errEpoch
	case next > 1 && l.first >= next, l.first > next:
		return fmt.Errorf("%w: it begins at %d, and %d is missing here", errTruncated, l.first, next)
	case l.last+1 < next:
		return fmt.Errorf("%w: it ends at %d, although this node has applied it up to %d", errCut, l.last, next-1)
	}
	return nil
}
