package delivery

import (
	"math/rand/v2"
	"time"

	"kazoohook/internal/journal"
)

// breaker counts failures in a row. Ten of them pause the destination, if they span at
// least a minute and at least five keys (or all that wait, if fewer). A success resets
// it.
type breaker struct {
	failures int
	first    time.Time           // when the first of the failures was
	keys     map[string]struct{} // their keys, up to breakerKeys
	probeAt  time.Time           // when the next probe is due, while paused
	probes   int                 // probes that failed in a row
}

const (
	breakerFailures = 10
	breakerTime     = time.Minute
	breakerKeys     = 5

	// Probes come after 5 s, then after twice the last wait, up to a minute.
	firstProbe = 5 * time.Second
	maxProbe   = time.Minute
)

// fail counts a failure and reports whether the destination must be paused. waiting is
// the number of keys that wait.
func (b *breaker) fail(key string, at time.Time, waiting int) bool {
	if b.failures == 0 {
		b.first, b.keys = at, map[string]struct{}{}
	}
	b.failures++
	if len(b.keys) < breakerKeys {
		b.keys[key] = struct{}{}
	}
	return b.failures >= breakerFailures && at.Sub(b.first) >= breakerTime && len(b.keys) >= min(breakerKeys, waiting)
}

// pause sets the time of the next probe, not earlier than least from now.
func (b *breaker) pause(at time.Time, least time.Duration) {
	wait := min(firstProbe<<min(b.probes, 10), maxProbe)
	b.probes++
	b.probeAt = at.Add(max(jittered(wait), least))
}

// jittered makes a wait up to a tenth longer, so that events that failed together don't
// all come back together.
func jittered(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/10+1)) //nolint:gosec // no secret
}

// longestWait is the longest time by which an attempt can be delayed.
func longestWait(d *Destination) time.Duration {
	longest := maxRetryAfter
	for _, wait := range d.Retry {
		longest = max(longest, wait+wait/10)
	}
	return longest
}

// succeeded updates the state after a success; mu is held.
func (r *runner) succeeded(*attempt) {
	r.accepted++
	r.m.delivered.add(time.Now())
	r.reopen()
}

// reopen ends a pause by the breaker; mu is held.
func (r *runner) reopen() {
	r.breaker = breaker{}
	if r.paused == journal.PausedByBreaker {
		r.turn(journal.NotPaused)
	}
}

// failed decides when the next attempt is, or that there is none; mu is held.
func (r *runner) failed(a *attempt, o *journal.Outcome) {
	it, now := a.it, time.Now()
	after := min(max(0, a.result.RetryAfter), maxRetryAfter)
	switch {
	case a.result.Pause: // the event keeps waiting
		o.Uncounted = true
		it.due = now
		if r.paused != journal.PausedByPerson && a.resumed == r.resumed && a.sender == r.sender { // a resume, or new settings, outrank earlier attempts
			r.turn(journal.PausedByRecipient)
		}
		return
	case a.probe && !a.blamesEvent():
		o.Uncounted = true
		it.due = now
		r.breaker.pause(now, after)
		return
	case a.probe:
		r.reopen()
	}
	it.attempts++
	exhausted := it.attempts > len(a.dest.Retry)
	if exhausted && r.isPoison(a) {
		o.Dead = true
		return
	}
	trip := r.breaker.fail(it.lane.key, now, len(r.w.lanes))
	if exhausted {
		// Nothing was accepted since this event's first attempt, so it is not to blame.
		it.due = now.Add(after)
		trip = true
	} else {
		o.Wait = max(jittered(a.dest.Retry[it.attempts-1]), after)
		it.due = now.Add(o.Wait)
		o.Due = it.due
		trip = trip && !a.blamesEvent()
	}
	if trip && r.paused == journal.NotPaused {
		r.breaker.probes = 0
		r.breaker.pause(now, after)
		r.turn(journal.PausedByBreaker)
	}
}

// isPoison reports whether an event that used up its retries is itself to blame. It is
// if the destination accepted another event since its first attempt.
func (r *runner) isPoison(a *attempt) bool {
	return r.accepted > a.it.base || a.blamesEvent()
}

// blamesEvent reports whether a failure alone says that the destination works and the
// event is to blame. It does if all events wait for each other and the destination
// answered. No other event can be tried, so a refused one must become a dead letter in
// the end, or it would hold up the others for ever.
func (a *attempt) blamesEvent() bool { return a.dest.Order == OrderAll && a.result.Answered }
