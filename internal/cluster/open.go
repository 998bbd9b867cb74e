package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"kazoohook/internal/journal"
)

// openEvery is the interval at which a waiting node looks again.
const openEvery = 300 * time.Millisecond

// Open waits for the other nodes, makes the log or joins it, fetches a copy of the
// journal if this node needs one, and opens it. It waits until ctx ends. A node that
// can't go on says why in Status, so serve Status meanwhile. Errors: ErrRestart,
// ErrRemoved, the journal's and the context's.
func (n *Node) Open(ctx context.Context, o journal.Options) (*journal.Journal, error) {
	ctx, cancel := n.until(ctx)
	defer cancel()
	s := &stream{app: n.embedded.app, js: n.embedded.js, size: n.o.Size}
	for {
		next, err := n.situation(ctx, s)
		var d decision
		if err == nil {
			d = decide(next)
			err = n.take(ctx, d, next, s, o)
		}
		switch {
		case n.ending() != nil:
			return nil, n.ending()
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && fatal(err):
			return nil, err
		case err != nil:
			n.say(StateWaiting, err.Error())
		case d.step == stepFollow:
			j, err := n.follow(ctx, s, next.log, o)
			if ending := n.ending(); err != nil && ending != nil {
				err = ending // ctx has ended because of it
			}
			return j, err
		}
		pause(ctx, openEvery)
	}
}

// fatal reports whether another try can't help.
func fatal(err error) bool {
	return errors.Is(err, errConfig) || errors.Is(err, journal.ErrCorrupt) || errors.Is(err, journal.ErrNewer) || errors.Is(err, journal.ErrInUse)
}

// until returns a context that also ends when the node must end.
func (n *Node) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-n.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// ending returns why the node must end, or nil.
func (n *Node) ending() error {
	select {
	case <-n.ended:
		return n.end
	default:
		return nil
	}
}

// situation collects what decide needs.
func (n *Node) situation(ctx context.Context, s *stream) (situation, error) {
	others := n.others() // before the log's state: they know no later entries than that
	n.learn(others)
	n.mu.Lock()
	next := situation{size: n.o.Size, self: n.self, others: others, order: n.order}
	n.mu.Unlock()
	next.self.Acked = n.acked.Load()
	l, err := s.state(ctx)
	if err != nil && !errors.Is(err, errNoStream) {
		return situation{}, waiting(err, n.connected(), n.o.Size)
	}
	if all := append(byNode(others), next.self); !l.final(n.o.Size, all) {
		l.last = max(l.last, newest(all, l.epoch))
	}
	next.log = l
	if continues(l, next.self.Epoch, next.self.Position+1) == nil {
		// After any other error, Read asks again before it goes on.
		if errors.Is(s.holds(ctx, l.epoch, next.self.Position, next.self.entry), errReplaced) {
			next.self.Replaced = n.replace(replacedAt(n.o.Node, next.self.Position))
		}
	}
	return next, nil
}

// waiting says why the log can't be read.
func waiting(err error, connected, size int) error {
	if errors.Is(err, errConfig) {
		return err
	}
	if connected < quorum(size) {
		return errors.New(noQuorum(connected, size))
	}
	lasts := ""
	if connected >= size { // the servers that keep it may be lost, and those that are here don't know
		lasts = " (if that takes minutes, run kazoohook cluster rebuild: it leaves a log alone that a quorum may have)"
	}
	return fmt.Errorf("waiting until the nodes agree who keeps the log%s: %w", lasts, err)
}

func noQuorum(connected, size int) string {
	return fmt.Sprintf("waiting for a quorum: %d of %d nodes are connected", connected, size)
}

func quorum(size int) int { return size/2 + 1 }

// others returns the connected nodes without this one, by server.
func (n *Node) others() map[string]view {
	alive := n.peers.alive()
	delete(alive, n.id.server())
	return alive
}

func (n *Node) connected() int { return len(n.others()) + 1 }

// take carries out a decision. For stepFollow it does nothing: Open follows the log.
func (n *Node) take(ctx context.Context, d decision, s situation, log *stream, o journal.Options) error {
	switch d.step {
	case stepWait:
		n.say(StateWaiting, d.reason)
	case stepRefuse:
		n.say(StateRefused, d.reason)
	case stepLost:
		n.say(StateLost, d.reason)
	case stepMake:
		return n.makeLog(ctx, log, o)
	case stepCopy:
		n.say(StateCopying, "")
		return n.fetch(ctx, s.donors()[0])
	case stepFollow:
	}
	return nil
}

// makeLog makes the log from this node's journal. If it is interrupted, it is done
// again with the same epoch.
func (n *Node) makeLog(ctx context.Context, s *stream, o journal.Options) error {
	n.mu.Lock()
	what, epoch, name, founder := n.order, n.self.Epoch, n.self.Journal, ""
	if !n.self.Empty {
		founder = n.o.Node
	}
	n.mu.Unlock()
	if what.Epoch == "" {
		what = order{Epoch: newEpoch(), Founder: n.o.Node, Go: true}
		if err := what.write(n.o.dir()); err != nil {
			return err
		}
		n.setOrder(what)
	}
	if epoch != what.Epoch {
		if _, err := journal.Begin(ctx, o, what.Epoch, founder, what.Rename); err != nil {
			return err
		}
		if err := n.look(ctx); err != nil {
			return err
		}
	}
	n.mu.Lock()
	name = cmp.Or(name, n.self.Journal) // the old one, so that a node that has it may join
	n.mu.Unlock()
	if err := s.create(ctx, logState{epoch: what.Epoch, journal: name}); err != nil {
		return fmt.Errorf("make the cluster's log: %w", err)
	}
	n.o.Log.Info().Str("epoch", what.Epoch).Str("journal", name).Msg("cluster's log made from this node's journal")
	return nil
}

// setOrder keeps an order in memory, and shows its epoch to the other nodes.
func (n *Node) setOrder(o order) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.order, n.self.Making = o, o.Epoch
}

// look reads again what this node's journal holds.
func (n *Node) look(ctx context.Context) error {
	v, err := peek(ctx, n.o.Dir)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &n.self
	if v.Epoch != s.Epoch { // the log was made anew
		n.acked.Store(0)
		n.cut.Store(false)
		s.Replaced = ""
	}
	s.Journal, s.Empty, s.Number, s.Epoch, s.Position, s.entry = v.Journal, v.Empty, v.Number, v.Epoch, v.Position, v.entry
	s.Disputed = 0 // the journal is another one now
	return nil
}

// follow opens the journal so that it follows the log.
func (n *Node) follow(ctx context.Context, s *stream, l logState, o journal.Options) (*journal.Journal, error) {
	s.log = l
	n.stream.Store(s)
	o.Cluster = &journal.Cluster{
		Node: n.o.Node, Boot: rand.Text(), Replica: n, Epoch: l.epoch,
		OnLead: n.election.elected,
		OnTick: n.election.ticked,
	}
	n.election.begin(o.Cluster.Boot)
	j, err := journal.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	c := j.Cluster()
	n.note(c.Position)
	n.election.elected(c.Term, c.Leader, c.Boot)
	n.journal.Store(j)
	n.say(StateReady, "")
	n.mu.Lock()
	what := n.order
	n.mu.Unlock()
	if what.Epoch != "" { // it is carried out, or will never be
		err = n.dropOrder(what.Epoch)
	}
	if err != nil {
		n.journal.Store(nil)
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}
