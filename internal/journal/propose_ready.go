package journal

import (
	"context"
	"time"

	"kazoohook/internal/snapshot"
)

// wait blocks until this process has read its own opened command and then a tick, so
// that it knows the time. Without a tick, maxSince after that command is enough.
func (p *proposer) wait(ctx context.Context, cmd command) error {
	switch cmd.(type) {
	case *led, *ticked, *opened:
		return nil
	}
	select {
	case <-p.ready:
		return nil
	default:
	}
	timeout := time.NewTimer(quorumWait)
	defer timeout.Stop()
	select {
	case <-p.ready:
		return nil
	case <-timeout.C:
		return ErrNoQuorum
	case <-p.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Begun reports whether this process may give commands to the cluster's log: it has
// applied all that the log had when it began. On a single node it may always.
func (j *Journal) Begun() bool {
	if j.proposer == nil {
		return true
	}
	select {
	case <-j.proposer.ready:
		return true
	default:
		return false
	}
}

// clock is the cluster's clock as this node estimates it, 0 if it can't know. Without a
// tick it advances for maxSince only, except for an election, which is a tick itself.
// The wall clock of a process that has read no tick counts only if nobody ticks: if
// everything was stopped.
func (p *proposer) clock(now time.Time, election bool) snapshot.Clock {
	if p.ticked.IsZero() {
		select {
		case <-p.ready:
		default:
			if !election {
				return 0
			}
		}
		return p.away.Add(max(0, now.Sub(p.started)))
	}
	since := max(0, now.Sub(p.ticked))
	if !election {
		since = min(since, maxSince)
	}
	return p.tick.Add(since)
}

// leads returns the term in which this process leads, as far as it has applied the
// log; 0 if it doesn't lead.
func (p *proposer) leads() uint64 {
	if s := p.j.shared.Load(); s.Leader == p.c.Node && s.Boot == p.c.Boot {
		return s.Term
	}
	return 0
}
