package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// rotation follows HOOK_SECRET_PREVIOUS until it has served: a delivery whose
// answer Kazoo missed, or that we asked it to resend, goes to the URI that the
// hook had when the event was fired, so that the old secret may be used for a
// while after every hook has moved.
type rotation struct {
	moved func() bool      // every hook is registered with the new secret
	quiet time.Duration    // without a use, after which the old one has served
	check time.Duration    // between two looks
	now   func() time.Time // time.Now but in tests
	log   zerolog.Logger
	last  atomic.Int64 // Unix nanoseconds of the last use since the start; 0: none
}

// Kazoo repeats a delivery for some seconds, and longer only while it is asked
// to: ten minutes are far beyond, and short enough for a person to wait.
const (
	rotationQuiet = 10 * time.Minute
	rotationCheck = 15 * time.Second
)

// used notes a delivery with the previous secret.
func (r *rotation) used() { r.last.Store(r.now().UnixNano()) }

// run says when the previous secret was last used once it has not been for
// quiet, and again if it is used after that. It ends with ctx.
func (r *rotation) run(ctx context.Context) error {
	tick := time.NewTicker(r.check)
	defer tick.Stop()
	var moved time.Time // since when every hook has the new secret
	told := int64(-1)   // the last use that was told of
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		switch now, last := r.now(), r.last.Load(); {
		case !r.moved():
			moved = time.Time{}
		case moved.IsZero():
			moved = now
		case last != told && now.Sub(moved) >= r.quiet && now.Sub(time.Unix(0, last)) >= r.quiet:
			told = last
			r.tell(last)
		}
	}
}

func (r *rotation) tell(last int64) {
	line := r.log.Info().Int64("quiet_ms", r.quiet.Milliseconds())
	if last == 0 {
		line.Msg("the previous hook secret was not used since the start, and every hook has the new one: HOOK_SECRET_PREVIOUS can be removed")
		return
	}
	line.Time("last_used", time.Unix(0, last).UTC()).
		Msg("the previous hook secret is no longer used, and every hook has the new one: HOOK_SECRET_PREVIOUS can be removed")
}
