package registration

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// firstResync bounds the wait of the first comparison for the registration of
	// the hooks, and of every comparison for their proof. An object that is deleted
	// between a listing and the proof is found only by the next comparison.
	firstResync = time.Minute
	// leastResync is the shortest time between two comparisons after outages.
	leastResync = 10 * time.Minute
)

// comparisons decides when everything is compared. It belongs to resyncLoop.
type comparisons struct {
	interval time.Duration
	settle   time.Duration
	reason   string    // why one is wanted beside the periodic ones; "": none is
	asked    time.Time // time of the first request
	last     time.Time // start of the last one that succeeded
	retry    time.Time // time of the next try after a failure
	usual    time.Time // time of the next periodic one
}

// wait returns the time until the next comparison. A requested one is due when two
// passes have proven the hooks, or after firstResync. The last change of a hook must
// have reached Kazoo's senders, and leastResync must have passed since the last
// comparison. A periodic one is due after the interval.
func (c *comparisons) wait(now, changed time.Time, proven bool) (d time.Duration, reason string) {
	if !c.retry.IsZero() {
		return c.retry.Sub(now), or(c.reason, "interval")
	}
	if c.reason == "" {
		return c.usual.Sub(now), "interval"
	}
	due := c.asked
	if !proven {
		due = c.asked.Add(firstResync)
	}
	if t := changed.Add(3 * c.settle); t.After(due) {
		due = t
	}
	if t := c.last.Add(min(leastResync, c.interval)); !c.last.IsZero() && t.After(due) {
		due = t
	}
	return minTime(due, later(c.usual, now)).Sub(now), c.reason
}

func (c *comparisons) ask(reason string, now time.Time) {
	if c.reason == "" {
		c.reason, c.asked = reason, now
	}
}

func (c *comparisons) succeeded(started time.Time) {
	spread := 0.95 + rand.Float64()/10 //nolint:gosec // jitter needs no secrecy
	*c = comparisons{interval: c.interval, settle: c.settle, last: started, usual: started.Add(time.Duration(float64(c.interval) * spread))}
}

// goOn takes over the last comparison of an earlier leader. If it was complete, the
// next one is due when it would have been due there. Otherwise it is repeated soon:
// what failed or was held back is known only to that leader.
func (c *comparisons) goOn(last time.Time, complete bool) {
	pause := c.interval
	if !complete {
		pause = min(leastResync, c.interval)
	}
	c.last, c.usual = last, later(c.usual, last.Add(pause))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// resyncLoop compares everything once the hooks are proven, after outages and
// every ResyncInterval. A run that fails is tried again with growing pauses.
func (e *Engine) resyncLoop(ctx context.Context) error {
	const poll = time.Second
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 5*time.Second, 10*time.Minute
	c := comparisons{interval: e.opts.ResyncInterval, settle: e.opts.Settle, usual: e.opts.Now().Add(firstResync)}
	timer := time.NewTimer(firstResync)
	defer timer.Stop()
	begun := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case reason := <-e.resync:
			c.ask(reason, e.opts.Now())
		case <-timer.C:
		}
		if before, complete, ok := e.proofs.comparedBefore(); ok && !begun {
			if begun = true; !before.IsZero() {
				c.goOn(before, complete && !e.Resyncer.heldBack(ctx))
			}
		}
		wait, reason := c.wait(e.opts.Now(), e.proofs.lastChange(), e.proofs.proven())
		account := e.Reconciler.Status().AccountID
		if account == "" { // no login yet: the reconciler logs the reason
			wait = max(wait, poll)
		}
		if wait > 0 {
			timer.Reset(wait)
			continue
		}
		started := e.opts.Now()
		report, err := e.Resyncer.Run(ctx, account, Request{})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, ErrPart): // Follow tries the rest again
			pause := retry.NextBackOff()
			c.retry = e.opts.Now().Add(pause)
			e.opts.Log.Error().Err(err).Str("reason", reason).Int64("retry_in_ms", pause.Milliseconds()).Msg("resync failed in part or as a whole; nothing was concluded from the failed part")
		default:
			retry.Reset()
			c.succeeded(started)
			e.proofs.compared(started, err == nil)
			e.logResync(report, reason, err)
		}
		timer.Reset(0)
	}
}

func (e *Engine) askResync(reason string) {
	select {
	case e.resync <- reason:
	default: // a comparison is due already
	}
}
