package registration

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
)

// lapse is the history of a hook's not firing: Kazoo switches a hook off after
// 6 failures in 60 s (kazoo 4.3 applications/webhooks/src/webhooks_disabler.erl).
type lapse struct {
	lastGood  time.Time // last seen registered and enabled
	repairs   int       // times it was switched on again without a long good spell between
	notBefore time.Time // no further re-enable before this
	told      bool      // the pause was logged
	total     int       // repairs since the start

	moves []time.Time // the last times that its URI was put right: see moved
}

const (
	repairPause    = 30 * time.Second // before the second re-enable; doubles from there
	repairPauseMax = 15 * time.Minute
	goodSpell      = time.Hour // after this long without a lapse the pauses start anew
)

// apply makes one change and logs it. created reports that a hook was created.
func (r *Reconciler) apply(ctx context.Context, c Change) (created bool, err error) {
	name := c.Hook.Name
	switch c.Kind {
	case Create:
		var h crossbar.Hook
		if h, err = r.api.CreateHook(ctx, r.account.ID, c.Hook); err == nil {
			created = true
			r.logChange(c, h.ID, "").Msg("hook registered")
			if l := r.lapses[name]; l != nil && !l.lastGood.IsZero() {
				r.repaired(name, "the hook had been removed from Kazoo")
			}
		}
	case Update:
		// At once, even if it was switched off again and again: what drifted may
		// be the reason.
		why := r.whyOff(ctx, c)
		if _, err = r.api.ReplaceHook(ctx, r.account.ID, c.Hook); err == nil {
			delete(r.details, c.Hook.ID)
			r.logChange(c, c.Hook.ID, why).Msg("hook repaired")
			r.moved(c)
			if !c.Before.Enabled {
				r.repaired(name, c.Before.DisableReason)
			}
		}
	case Enable:
		if !r.mayEnable(ctx, c) {
			return false, nil
		}
		why := r.whyOff(ctx, c)
		if err = r.api.EnableHook(ctx, r.account.ID, c.Hook.ID); err == nil {
			r.logChange(c, c.Hook.ID, why).Msg("hook was switched off in Kazoo and is enabled again")
			r.repaired(name, c.Reason)
		}
	case Delete:
		if err = r.api.DeleteHook(ctx, r.account.ID, c.Hook.ID); err == nil {
			r.logChange(c, c.Hook.ID, "").Msg("surplus hook deleted")
		}
	}
	if err != nil {
		return created, fmt.Errorf("%s hook %q: %w", c.Kind, name, err)
	}
	r.changed(c)
	return created, nil
}

// logChange starts the log line of a change, with what was before and after and,
// of a hook that was off, the last failure.
func (r *Reconciler) logChange(c Change, id, failure string) *zerolog.Event {
	line := r.opts.Log.Info()
	if c.Kind == Enable || c.Kind == Update && !c.Before.Enabled {
		line = r.opts.Log.Warn()
		reason := c.Before.DisableReason
		if reason == "" {
			reason = "none given: it was switched off by hand"
		}
		line.Str("disable_reason", reason)
		if failure != "" {
			line.Str("last_failure", failure)
		}
		if l := r.lapses[c.Hook.Name]; l != nil && !l.lastGood.IsZero() {
			line.Time("last_seen_enabled", l.lastGood.UTC()).Int64("off_at_most_ms", r.opts.Now().Sub(l.lastGood).Milliseconds())
		}
	}
	line.Str("change", string(c.Kind)).Str("hook", c.Hook.Hook).Str("name", c.Hook.Name).Str("hook_id", id)
	switch c.Kind {
	case Create:
		line.Str("uri", redactURI(c.Hook.URI)).Int("retries", c.Hook.Retries).Str("custom_data", customDataText(c.Hook.CustomData))
	case Update:
		before, after := zerolog.Dict(), zerolog.Dict()
		for _, f := range c.Fields {
			before.Str(f.Field, f.Before)
			after.Str(f.Field, f.After)
		}
		line.Dict("before", before).Dict("after", after)
	case Enable:
		line.Dict("before", zerolog.Dict().Bool("enabled", false)).Dict("after", zerolog.Dict().Bool("enabled", true))
	case Delete:
		line.Str("uri", redactURI(c.Hook.URI)).Str("reason", c.Reason)
	}
	return line
}

// mayEnable reports whether a disabled hook may be switched on now. The first
// time it is at once; a hook that Kazoo switches off again and again waits
// longer each time, because each return costs Kazoo another round of failures.
func (r *Reconciler) mayEnable(ctx context.Context, c Change) bool {
	l := r.lapse(c.Hook.Name)
	now := r.opts.Now()
	if !now.Before(l.notBefore) {
		return true
	}
	if !l.told {
		l.told = true
		r.opts.Log.Warn().Str("hook", c.Hook.Hook).Str("name", c.Hook.Name).Str("hook_id", c.Hook.ID).
			Str("disable_reason", c.Before.DisableReason).Str("last_failure", r.whyOff(ctx, c)).Int("re_enabled", l.repairs).Time("next_try", l.notBefore.UTC()).
			Msg("Kazoo switched this hook off again soon after it was enabled; waiting before the next try. See the last failure, or all of them: kazoohook doctor")
	}
	return false
}

// whyOff gives the newest failed attempt of a hook that is off, in words.
func (r *Reconciler) whyOff(ctx context.Context, c Change) string {
	const lookBack = 24 * time.Hour
	if c.Before.Enabled {
		return ""
	}
	offset, _ := r.api.ClockOffset()
	now := r.opts.Now().Add(offset)
	for a, err := range r.api.Attempts(ctx, r.account.ID, c.Hook.ID, now.Add(-lookBack), now.Add(ahead)) {
		if err != nil {
			break
		}
		return Explain(a)
	}
	return "unknown: Kazoo has no record of a failed attempt"
}

// repaired notes that a lapse has ended and tells whoever fills the gap.
func (r *Reconciler) repaired(name, reason string) {
	l, now := r.lapse(name), r.opts.Now()
	if now.Sub(l.notBefore) > goodSpell {
		l.repairs = 0
	}
	l.notBefore = now.Add(min(repairPause<<min(l.repairs, 10), repairPauseMax))
	l.repairs++
	l.total++
	l.told = false
	if r.opts.OnRepaired != nil {
		r.opts.OnRepaired(Repair{Hook: name, Reason: reason, LastGood: l.lastGood, At: now})
	}
	r.mu.Lock()
	r.status.Repairs++
	for i := range r.status.Hooks {
		if r.status.Hooks[i].Name == name {
			r.status.Hooks[i].Repairs = l.total
		}
	}
	r.mu.Unlock()
}

func (r *Reconciler) lapse(name string) *lapse {
	if r.lapses[name] == nil {
		r.lapses[name] = &lapse{}
	}
	return r.lapses[name]
}

// Unregister deletes every hook that carries our mark, and no other. It
// returns the changes it made.
func (r *Reconciler) Unregister(ctx context.Context) ([]Change, error) {
	r.pass.Lock()
	defer r.pass.Unlock()
	if _, _, err := r.desired(ctx); err != nil {
		return nil, err
	}
	actual, err := r.actual(ctx, true)
	if err != nil {
		return nil, err
	}
	plan := Plan(r.opts.Owner, nil, actual)
	for i, c := range plan {
		c.Reason = "unregistered"
		if _, err := r.apply(ctx, c); err != nil {
			return plan[:i], err
		}
	}
	return plan, nil
}
