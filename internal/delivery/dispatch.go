package delivery

import (
	"context"
	"errors"
	"time"

	"kazoohook/internal/journal"
)

// dispatch begins attempts until ctx ends.
func (r *runner) dispatch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait, err := r.next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			r.log.Warn().Err(err).Msg("what waits for the destination could not be read; will try again")
			wait = time.Second
		}
		if wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// unsavedMax is how many outcomes may wait to be recorded. An attempt whose outcome
// isn't recorded would be made again.
const unsavedMax = 512

// next begins every attempt that can begin now. It returns when to look again, 0 if
// something must happen first.
func (r *runner) next(ctx context.Context) (wait time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ctx.Err() == nil {
		load, missing := r.refill()
		if missing && load == 0 {
			if err := r.load(ctx); err != nil {
				return 0, err
			}
			missing = false
		}
		it, wait := r.startable()
		if it == nil {
			if missing && (wait == 0 || load < wait) {
				wait = load
			}
			return wait, nil
		}
		r.begin(it)
	}
	return 0, nil
}

// startable returns the item to attempt now, or the wait until one is due; mu is held.
func (r *runner) startable() (it *item, wait time.Duration) {
	now := time.Now()
	it, wait = r.choose(now)
	if it != nil && r.limiter != nil {
		if d := r.limiter.ReserveN(now, 1); d.DelayFrom(now) > 0 {
			wait = d.DelayFrom(now)
			d.CancelAt(now)
			it = nil
		}
	}
	// Counting the due items costs time, so room is made only now and then.
	if r.looks++; it == nil || r.looks%8 == 0 || len(r.w.ready) < lowWater {
		r.makeRoom()
	}
	return it, wait
}

// choose is startable without the rate limit; mu is held.
func (r *runner) choose(now time.Time) (*item, time.Duration) {
	switch {
	case r.running >= r.dest.Concurrency, r.unsaved >= unsavedMax, !r.failing.IsZero():
		return nil, 0
	case r.paused == journal.PausedByBreaker:
		if r.running > 0 || r.unsaved > 0 {
			return nil, 0
		}
		if wait := r.breaker.probeAt.Sub(now); wait > 0 {
			return nil, wait
		}
		return r.w.probe(), 0
	case r.paused != journal.NotPaused:
		return nil, 0
	}
	it := r.w.first()
	if it == nil {
		return nil, 0
	}
	if wait := it.due.Sub(now); wait > 0 {
		return nil, wait
	}
	return it, 0
}

// lowWater is how many due deliveries are enough: with fewer, more events are judged.
const lowWater = 256

// makeRoom lets judge continue if it waits and more can be read ahead; mu is held.
func (r *runner) makeRoom() {
	if r.full && r.hasRoom() {
		r.full = false
		signal(r.room)
	}
}

// begin starts an attempt; mu is held.
func (r *runner) begin(it *item) {
	a := r.prepare(it)
	r.attempts.Add(1)
	go r.work(a)
}

// prepare marks an item busy and returns its attempt; mu is held.
func (r *runner) prepare(it *item) *attempt {
	r.w.set(it, busy)
	r.w.turns++
	it.lane.turn = r.w.turns
	r.running++
	if it.attempts == 0 {
		it.base = r.accepted
	}
	r.sender.users.Add(1)
	return &attempt{
		it: it, dest: r.dest, sender: r.sender, probe: r.paused == journal.PausedByBreaker, resumed: r.resumed, n: it.attempts + 1, rec: r.w.take(it), row: it.row, seq: it.seq, redelivered: it.redelivered,
	}
}

// another prepares the next attempt for a goroutine whose attempt has ended: that costs
// less than waking dispatch. If there is none it returns nil and wakes dispatch.
func (r *runner) another() *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if load, missing := r.refill(); r.ctx.Err() == nil && (!missing || load > 0) {
		if it, _ := r.startable(); it != nil {
			return r.prepare(it)
		}
	}
	signal(r.wake)
	return nil
}

// errStopped is not the destination's failure: the receiver ended the attempt.
var errStopped = errors.New("the receiver stopped during the attempt")
