package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// rotation follows the use of HOOK_SECRET_PREVIOUS and logs when it can be removed.
// Kazoo resends a request to the URI that the hook had when the event was fired. So
// the old secret may be used for a while after every hook has the new one.
type rotation struct {
	moved func() bool      // reports whether every hook is registered with the new secret
	quiet time.Duration    // after this time without a use the old secret can be removed
	check time.Duration    // interval of the checks
	now   func() time.Time // time.Now, except in tests
	log   zerolog.Logger
	last  atomic.Int64 // Unix nanoseconds of the last use since the start; 0: none
	idle  atomic.Bool  // there is no previous secret
}

// Kazoo resends a request for some seconds, or for as long as it is asked to. Ten
// minutes are much longer, and still short for an operator.
const (
	rotationQuiet = 10 * time.Minute
	rotationCheck = 15 * time.Second
)

// used records a request with the previous secret.
func (r *rotation) used() { r.last.Store(r.now().UnixNano()) }

// run logs the last use of the previous secret after it was unused for quiet, and
// again after a later use. It ends with ctx.
func (r *rotation) run(ctx context.Context) error {
	tick := time.NewTicker(r.check)
	defer tick.Stop()
	var moved time.Time // the time since which every hook has the new secret
	said := int64(-1)   // the last use that was reported
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		switch now, last := r.now(), r.last.Load(); {
		case r.idle.Load():
			moved, said = time.Time{}, -1
		case !r.moved():
			moved = time.Time{}
		case moved.IsZero():
			moved = now
		case last != said && now.Sub(moved) >= r.quiet && now.Sub(time.Unix(0, last)) >= r.quiet:
			said = last
			r.report(last)
		}
	}
}

func (r *rotation) report(last int64) {
	line := r.log.Info().Int64("quiet_ms", r.quiet.Milliseconds())
	if last == 0 {
		line.Msg("the previous hook secret was not used since the start, and every hook has the new one: HOOK_SECRET_PREVIOUS can be removed")
		return
	}
	line.Time("last_used", time.Unix(0, last).UTC()).
		Msg("the previous hook secret is no longer used, and every hook has the new one: HOOK_SECRET_PREVIOUS can be removed")
}
