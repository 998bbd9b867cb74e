package registration

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"

	"kazoohook/internal/crossbar"
)

// Next is the time and thoroughness of the next pass.
type Next struct {
	In  time.Duration // at most, unless the last pass failed; 0: Interval
	All bool          // read the details of every hook
}

// Run reconciles every Interval (plus or minus a tenth) and after ReconcileNow,
// until ctx ends. It logs a pass's error and tries again with growing pauses. after
// is called after each pass since the first login; ok says that the pass succeeded.
func (r *Reconciler) Run(ctx context.Context, after func(ctx context.Context, ok bool) Next) error {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval = time.Second
	retry.MaxInterval = max(r.opts.Interval, time.Second)
	all := false
	for {
		pause := time.Duration(float64(r.opts.Interval) * (0.9 + rand.Float64()/5)) //nolint:gosec // jitter needs no secrecy
		err := r.reconcile(ctx, all)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			pause = retry.NextBackOff()
			var refused *crossbar.Error
			if errors.As(err, &refused) && !refused.NextTry.IsZero() {
				// The client delays logins after a refusal: an earlier try returns
				// the same error.
				pause = max(pause, time.Until(refused.NextTry))
			}
			r.opts.Log.Error().Err(err).Int64("retry_in_ms", pause.Milliseconds()).Msg("registration could not be checked or repaired")
		default:
			retry.Reset()
		}
		if r.Status().AccountID != "" {
			next := after(ctx, err == nil)
			all = next.All
			if err == nil && next.In > 0 {
				pause = min(pause, next.In)
			}
		}
		if !r.wait(ctx, pause) {
			return nil
		}
	}
}

// wait waits until the next pass is due and reports whether there is one. Requested
// passes are at least a second apart.
func (r *Reconciler) wait(ctx context.Context, pause time.Duration) bool {
	const least = time.Second
	due := time.NewTimer(pause)
	defer due.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-due.C:
		return true
	case <-r.now:
	}
	due.Reset(min(pause, least))
	select {
	case <-ctx.Done():
		return false
	case <-due.C:
		return true
	}
}

// ReconcileNow makes Run start a pass within a second.
func (r *Reconciler) ReconcileNow() {
	select {
	case r.now <- struct{}{}:
	default: // a pass is due already
	}
}
