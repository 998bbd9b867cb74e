package cluster

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/internal/journal"
)

const (
	// electEvery is how often a node checks whether it must append a tick or an
	// election.
	electEvery = 50 * time.Millisecond
	// behind is how many entries a node may still have to apply and yet propose itself:
	// the consumers of a new leader wait for them.
	behind = 1000
)

// Run takes part in elections until ctx ends or the node must end (ErrRestart,
// ErrRemoved). While this node leads, lead runs. Its context ends when the node stops
// leading, and the next turn waits until lead has returned. An error of lead ends Run.
// Call Run once, after Open.
func (n *Node) Run(ctx context.Context, lead func(ctx context.Context) error) error {
	j := n.journal.Load()
	if j == nil {
		return ErrNotOpen
	}
	ctx, cancel := n.until(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.elect(ctx, j) })
	g.Go(func() error { return n.turns(ctx, lead) })
	g.Go(func() error { return n.lookAround(ctx, j) })
	err := g.Wait()
	if ending := n.ending(); ending != nil && !errors.Is(ending, journal.ErrClosed) {
		return ending
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// elect appends ticks while this node leads, and proposes this node while nobody leads.
func (n *Node) elect(ctx context.Context, j *journal.Journal) error {
	for {
		switch a := n.election.next(); {
		case a.tick:
			now, elapsed := n.election.elapsed()
			if err := j.Tick(ctx, a.term, elapsed); err == nil {
				n.election.readBack(a.term, now)
			}
		case a.lead:
			if n.mayLead(ctx, j) {
				err := j.Lead(ctx, a.term)
				if err != nil && !errors.Is(err, journal.ErrTerm) && ctx.Err() == nil {
					n.o.Log.Debug().Err(err).Uint64("term", a.term).Msg("election failed")
				}
			}
		}
		pause(ctx, electEvery)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// mayLead reports whether this node may propose itself: its journal does not differ
// from the others', it has applied nearly all of the log, and it has the cluster's
// settings.
func (n *Node) mayLead(ctx context.Context, j *journal.Journal) bool {
	if n.Diverged() != nil || n.acked.Load() > j.Cluster().Position+behind {
		return false
	}
	return n.agree(ctx, j)
}

// turns runs lead while this node leads.
func (n *Node) turns(ctx context.Context, lead func(context.Context) error) error {
	for {
		if term, ok := n.election.turn(); ok && n.Diverged() == nil {
			if err := n.oneTurn(ctx, term, lead); err != nil {
				return err
			}
		}
		pause(ctx, electEvery)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// oneTurn runs lead for one term. When the process stops, it tells the others, so that
// they need not wait.
func (n *Node) oneTurn(ctx context.Context, term uint64, lead func(context.Context) error) error {
	turn, end := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- lead(turn) }()
	n.o.Log.Info().Uint64("term", term).Msg("this node leads the cluster")
	for {
		select {
		case err := <-done:
			end()
			if ctx.Err() != nil {
				n.resign()
				return ctx.Err()
			}
			if err == nil {
				err = errors.New("what the leader does ended by itself")
			}
			return err
		case <-time.After(electEvery):
		}
		if now, ok := n.election.turn(); !ok || now != term || n.Diverged() != nil {
			end()
			n.o.Log.Info().Uint64("term", term).Msg("this node no longer leads the cluster")
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}
	}
}

// resign tells the others that this leader stops.
func (n *Node) resign() {
	for server := range n.others() {
		_ = n.embedded.app.Publish(nodeSubject(server, "resign"), nil)
	}
	_ = n.embedded.app.FlushTimeout(time.Second)
}

// Leads reports whether this node may now begin a request to Kazoo or to a destination.
func (n *Node) Leads() bool { return n.Diverged() == nil && n.election.leads() }
