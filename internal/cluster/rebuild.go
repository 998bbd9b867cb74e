package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

// rebuildRequest is sent to each node three times: at the first the node stores the order, at
// the second, when all have it, that it is carried out, and at the third, when all have stored
// that, the node ends, to carry it out. If not all nodes answer, the order is withdrawn.
type rebuildRequest struct {
	Order    order `json:"order"`
	Go       bool  `json:"go"`
	Hold     bool  `json:"hold,omitempty"` // the second: another follows
	Withdraw bool  `json:"withdraw,omitempty"`
}

type rebuildAnswer struct {
	Error string `json:"error,omitempty"`
}

// planRebuild orders a new log, made from the most advanced journal. All nodes must be
// connected, because a missing one may have more. l is the old log, if it still exists.
func planRebuild(size int, all []view, l logState) (order, error) {
	if len(all) < size {
		return order{}, fmt.Errorf("a rebuild needs all %d nodes, because the one that is missing may have events that the others lack; connected are %s", size, names(all))
	}
	if len(all) > size {
		return order{}, fmt.Errorf("connected are %s, more than the cluster's size of %d: stop those that don't belong to it", names(all), size)
	}
	var full []view
	for _, v := range all {
		if v.Empty || v.State == StateDiverged {
			continue
		}
		if len(full) > 0 && full[0].Journal != v.Journal {
			return order{}, fmt.Errorf("nodes %s and %s have different journals, %s and %s: empty the DATA_DIR of the one that is wrong",
				full[0].Node, v.Node, full[0].Journal, v.Journal)
		}
		full = append(full, v)
	}
	if len(full) == 0 {
		return order{}, errors.New("no node has a journal to make the log from")
	}
	best := mostAdvanced(full)
	return order{Epoch: newEpoch(), Founder: best.Node, Anew: true, All: true, Rename: lacks(best, all, l)}, nil
}

// lacks reports whether acknowledged events may be missing in a node's journal, so that
// the journal needs a new name: a newer position was acknowledged; or the log was
// continued from an earlier position than one that was applied, so that journals may
// hold different events under the same numbers.
func lacks(best view, all []view, l logState) bool {
	if l.leader && l.epoch == best.Epoch && lacking(all, l) != "" {
		return true
	}
	hashes := map[int64]string{}
	for _, v := range all {
		if v.Epoch == "" || v.Epoch != best.Epoch {
			continue
		}
		if v.Acked > best.Position || v.Replaced != "" {
			return true
		}
		for _, c := range v.Chain {
			if hash, shown := hashes[c.Number]; shown && hash != c.Hash {
				return true
			}
			hashes[c.Number] = c.Hash
		}
	}
	return false
}

// replaceable returns nil if the log may be made anew, because it is gone, no node can
// follow it, it lacks what a node has had, or a quorum of the servers with a vote is lost. Otherwise
// it may hold commands that no journal has yet. all is what the nodes, all of them, said
// before the log's state was asked for. If that failed, the log can come back only if a
// quorum has followed it, and not all carry out the same order.
func replaceable(size int, all []view, l logState, err error) error {
	switch {
	case errors.Is(err, errNoStream):
		return nil
	case err != nil:
		if !slices.ContainsFunc(all, func(v view) bool { return v.Making == "" || v.Making != all[0].Making }) {
			return nil // all have removed it, and none follows the new one
		}
		followed := map[string]int{}
		for _, v := range all {
			if followed[v.Epoch]++; v.Epoch != "" && followed[v.Epoch] >= quorum(size) {
				return fmt.Errorf("a quorum has followed the cluster's log, and whether it is whole can't be read now; try again: %w", err)
			}
		}
		return nil
	}
	if l.leader && lacking(all, l) != "" {
		return nil
	}
	follower := ""
	for _, v := range all {
		err := continues(l, v.Epoch, v.Position+1)
		switch {
		case v.Empty, v.State == StateDiverged, err != nil && (l.leader || !errors.Is(err, errCut)):
		default:
			follower = v.Node
		}
	}
	switch {
	case follower == "" || l.votes(all) < quorum(size):
	case !l.leader:
		return errors.New("the cluster's log has no leader now, so whether it is whole can't be read; try again")
	default:
		return fmt.Errorf("the cluster's log is whole, node %s can follow it: there is nothing to rebuild", follower)
	}
	return nil
}

// Rebuild makes the log anew from the most advanced journal. Each node ends with
// ErrRestart; the log is made when the nodes are started again. A log that a node can
// follow is left alone: it may hold commands that no journal has yet.
func (n *Node) Rebuild(ctx context.Context) error {
	self := n.refresh(ctx)
	all := append(byNode(n.others()), self)
	var l logState
	var err error
	if len(all) == n.o.Size {
		s := &stream{app: n.embedded.app, js: n.embedded.js, size: n.o.Size}
		l, err = s.state(ctx)
	}
	if err := replaceable(n.o.Size, all, l, err); err != nil {
		return err
	}
	o, err := planRebuild(n.o.Size, all, l)
	if err != nil {
		return err
	}
	n.o.Log.Warn().Str("from", o.Founder).Bool("events_missing", o.Rename).Msg("the cluster's log is made anew")
	err = n.askAll(ctx, all, rebuildRequest{Order: o})
	if err == nil {
		err = n.carryOut(ctx, all, o)
	}
	if err != nil {
		_ = n.askAll(context.WithoutCancel(ctx), all, rebuildRequest{Order: o, Withdraw: true})
		return fmt.Errorf("rebuild: %w", err)
	}
	return nil
}

// carryOut tells all nodes to carry an order out. They end together: a node that began again
// beside servers of the old log would get it from them. Those that began again before another
// refused have new servers: they give the order back when they are seen.
func (n *Node) carryOut(ctx context.Context, all []view, o order) error {
	n.mu.Lock()
	n.self.Ordered = o.Epoch
	n.mu.Unlock()
	err := n.askAll(ctx, all, rebuildRequest{Order: o, Go: true, Hold: true})
	if err != nil {
		n.mu.Lock()
		n.self.Ordered, n.withdrawn = "", append(n.withdrawn, o)
		n.mu.Unlock()
		return err
	}
	r := rebuildRequest{Order: o, Go: true}
	data, err := json.Marshal(r)
	for _, v := range all {
		if v.Server != n.id.server() && err == nil { // without an answer: a node that doesn't get it ends later
			_ = n.embedded.app.Publish(nodeSubject(v.Server, "rebuild"), data)
		}
	}
	return errors.Join(err, n.rebuild(r))
}

// withdrawFrom withdraws an order from a node that carries it out although not all do.
func (n *Node) withdrawFrom(v view) {
	n.mu.Lock()
	i := slices.IndexFunc(n.withdrawn, func(o order) bool { return o.Epoch == v.Making })
	if i < 0 {
		n.mu.Unlock()
		return
	}
	o := n.withdrawn[i]
	n.mu.Unlock()
	if data, err := json.Marshal(rebuildRequest{Order: o, Withdraw: true}); err == nil {
		_ = n.embedded.app.Publish(nodeSubject(v.Server, "rebuild"), data)
	}
}

// askAll sends a request to all nodes, to this one last. A withdrawal goes to all even
// if one fails.
func (n *Node) askAll(ctx context.Context, all []view, r rebuildRequest) error {
	var errs []error
	for _, v := range all {
		if v.Server == n.id.server() {
			continue
		}
		if err := n.askRebuild(ctx, v, r); err != nil {
			errs = append(errs, fmt.Errorf("node %s: %w", v.Node, err))
			if !r.Withdraw {
				return errs[0]
			}
		}
	}
	return errors.Join(append(errs, n.rebuild(r))...)
}

func (n *Node) askRebuild(ctx context.Context, v view, r rebuildRequest) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, copyWait)
	defer cancel()
	m, err := n.embedded.app.RequestWithContext(ctx, nodeSubject(v.Server, "rebuild"), data)
	if err != nil {
		return err
	}
	var a rebuildAnswer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return nil
}

func (n *Node) answerRebuild(_ context.Context, m *nats.Msg) {
	var r rebuildRequest
	var a rebuildAnswer
	err := json.Unmarshal(m.Data, &r)
	if err == nil {
		err = n.rebuild(r)
	}
	if err != nil {
		a.Error = err.Error()
	}
	if data, err := json.Marshal(a); err == nil {
		_ = m.Respond(data)
	}
}

// rebuild stores an order, and at the second request also that it is carried out. At the
// third it ends the node a second later, so that what it sends before arrives; without it, as
// the node that asks may be lost, when all requests have had their time. The server ends at once,
// on all nodes at about the same time: one that is still up while the service stops would
// give the old log to those that have begun again.
func (n *Node) rebuild(r rebuildRequest) error {
	if r.Withdraw {
		return n.dropOrder(r.Order.Epoch)
	}
	r.Order.Go = r.Go
	if stored, err := readOrder(n.o.dir()); err != nil || stored != r.Order { // a slow disk must not delay the third
		if err := r.Order.write(n.o.dir()); err != nil {
			return err
		}
	}
	if !r.Go {
		return nil
	}
	wait := time.Second
	if r.Hold {
		wait = time.Duration(n.o.Size) * copyWait
	}
	time.AfterFunc(wait, func() {
		if o, err := readOrder(n.o.dir()); err == nil && o.Epoch != r.Order.Epoch { // it was withdrawn
			return
		}
		n.fail(fmt.Errorf("%w: the cluster's log is made anew", ErrRestart))
		if n.embedded != nil {
			n.embedded.server.Shutdown()
		}
	})
	return nil
}

// dropOrder removes the order for an epoch.
func (n *Node) dropOrder(epoch string) error {
	o, err := readOrder(n.o.dir())
	if err != nil || o.Epoch != epoch {
		return err
	}
	if err := o.done(n.o.dir()); err != nil {
		return err
	}
	n.mu.Lock()
	carriesOut := n.order.Epoch == epoch
	n.mu.Unlock()
	if carriesOut { // it began anew meanwhile
		n.setOrder(order{})
	}
	return nil
}
