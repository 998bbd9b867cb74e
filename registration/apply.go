package registration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
)

// history is what this process knows of a hook that it found off or missing: Kazoo
// switches a hook off after 6 failures in 60 s (kazoo 4.3
// applications/webhooks/src/webhooks_disabler.erl).
type history struct {
	lastGood  time.Time // last seen registered and enabled
	repairs   int       // times it was switched on again without goodSpell in between
	notBefore time.Time // no further re-enable before this
	logged    bool      // the pause was logged
	total     int       // repairs since the start

	moves []time.Time // the last repairs of its URI or key: see moved
}

const (
	repairPause    = 30 * time.Second // before the second re-enable; doubles from there
	repairPauseMax = 15 * time.Minute
	goodSpell      = time.Hour // after this long without a repair the pauses start again
)

// apply makes one change and logs it. again asks for another look at Kazoo's hooks;
// replan says that the plan is no longer valid.
func (r *Reconciler) apply(ctx context.Context, c Change) (again, replan bool, err error) {
	name := c.Hook.Name
	if c.Before.InternalLegs == nil {
		c.Hook.InternalLegs = nil // Kazoo doesn't know it, or hasn't shown it yet
	}
	switch c.Kind {
	case Create:
		var h crossbar.Hook
		if h, err = r.api.CreateHook(ctx, r.account.ID, c.Hook); err == nil {
			again, r.set[h.ID], r.saved[h.ID], r.there[h.ID] = true, Create, h.Revision, true
			r.owns(false, crossbar.HookSummary{ID: h.ID})
			r.nowSigned(h)
			r.logChange(c, h.ID, "").Msg("hook registered")
			if l := r.history[name]; l != nil && !l.lastGood.IsZero() {
				r.repaired(name)
			}
		}
		if replan = r.wrote(c, h, err); !replan && r.declined(c, err) {
			return true, false, nil
		}
	case Update:
		again, replan, err = r.update(ctx, c)
	case Enable:
		r.foundOff(ctx, c)
		if !r.mayEnable(ctx, c) {
			return false, false, nil
		}
		why := r.whyOff(ctx, c)
		var h crossbar.Hook
		if h, err = r.api.EnableHook(ctx, r.account.ID, c.Hook.ID); err == nil {
			again, r.saved[c.Hook.ID] = true, h.Revision
			delete(r.details, c.Hook.ID)
			r.logChange(c, c.Hook.ID, why).Msg("hook was switched off in Kazoo and is enabled again")
			r.repaired(name)
		}
	case Delete:
		if err = r.api.DeleteHook(ctx, r.account.ID, c.Hook.ID); err == nil {
			delete(r.details, c.Hook.ID)
			delete(r.there, c.Hook.ID)
			r.logChange(c, c.Hook.ID, "").Msg("hook deleted")
		}
	}
	if err != nil {
		return again, replan, fmt.Errorf("%s hook %q: %w", c.Kind, name, err)
	}
	r.changed(c)
	return again, replan, nil
}

// update writes a hook's settings again. It never waits, even if the hook was
// switched off again and again, because the changed setting may be the reason.
func (r *Reconciler) update(ctx context.Context, c Change) (again, replan bool, err error) {
	r.foundOff(ctx, c)
	why := r.whyOff(ctx, c)
	h, err := r.api.ReplaceHook(ctx, r.account.ID, c.Hook)
	replan = r.wrote(c, h, err)
	if err != nil {
		return false, replan, err
	}
	r.set[c.Hook.ID], r.saved[c.Hook.ID] = Update, h.Revision
	if c.Hook.InternalLegs == nil {
		r.set[c.Hook.ID] = Create // without that setting, as a new hook
	}
	delete(r.details, c.Hook.ID)
	r.nowSigned(h)
	r.logChange(c, c.Hook.ID, why).Msg("hook repaired")
	r.moved(c)
	if !c.Before.Enabled {
		r.repaired(c.Hook.Name)
	}
	return true, replan, nil
}

// logChange starts the log line of a change, with the values before and after. For
// a hook that was off it adds the last failure.
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
		if l := r.history[c.Hook.Name]; l != nil && !l.lastGood.IsZero() {
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

// mayEnable reports whether a disabled hook may be switched on now. The first time
// there is no wait. If Kazoo switches the hook off repeatedly, each wait is longer,
// because each time costs Kazoo another round of failures.
func (r *Reconciler) mayEnable(ctx context.Context, c Change) bool {
	l := r.hookHistory(c.Hook.Name)
	now := r.opts.Now()
	if !now.Before(l.notBefore) {
		return true
	}
	if !l.logged {
		l.logged = true
		r.opts.Log.Warn().Str("hook", c.Hook.Hook).Str("name", c.Hook.Name).Str("hook_id", c.Hook.ID).
			Str("disable_reason", c.Before.DisableReason).Str("last_failure", r.whyOff(ctx, c)).Int("re_enabled", l.repairs).Time("next_try", l.notBefore.UTC()).
			Msg("Kazoo switched this hook off again soon after it was enabled; waiting before the next try. See the last failure, or all of them: kazoohook doctor")
	}
	return false
}

// whyOff describes the newest failed attempt of a hook that is off. It delays the repair
// of hooks little: if Kazoo's record can't be read, it is not asked again in this pass.
func (r *Reconciler) whyOff(ctx context.Context, c Change) string {
	const lookBack = 24 * time.Hour
	if c.Before.Enabled {
		return ""
	}
	if r.noRecord {
		return unreadRecord
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	offset, _ := r.api.ClockOffset()
	now := r.opts.Now().Add(offset)
	for a, err := range r.api.Attempts(ctx, r.account.ID, c.Hook.ID, now.Add(-lookBack), now.Add(ahead)) {
		if isAbsent(err) {
			break
		}
		if err != nil {
			r.noRecord = true
			return unreadRecord
		}
		return Explain(a)
	}
	return "unknown: Kazoo has no record of a failed attempt"
}

const unreadRecord = "unknown: Kazoo's record of failed attempts could not be read"

// repaired records the repair of a hook.
func (r *Reconciler) repaired(name string) {
	l, now := r.hookHistory(name), r.opts.Now()
	if now.Sub(l.notBefore) > goodSpell {
		l.repairs = 0
	}
	l.notBefore = now.Add(min(repairPause<<min(l.repairs, 10), repairPauseMax))
	l.repairs++
	l.total++
	l.logged = false
	r.mu.Lock()
	r.status.Repairs++
	for i := range r.status.Hooks {
		if r.status.Hooks[i].Name == name {
			r.status.Hooks[i].Repairs = l.total
		}
	}
	r.mu.Unlock()
}

func (r *Reconciler) hookHistory(name string) *history {
	if r.history[name] == nil {
		r.history[name] = &history{}
	}
	return r.history[name]
}

// Unregister deletes every hook with our name, and no other. It returns the
// changes it made. A hook that can't be deleted keeps no other, unless Kazoo doesn't
// answer at all.
func (r *Reconciler) Unregister(ctx context.Context) ([]Change, error) {
	r.pass.Lock()
	defer r.pass.Unlock()
	if err := r.login(ctx); err != nil {
		return nil, err
	}
	r.stuck = map[string]stuckHook{}
	actual, err := r.actual(ctx, true) // without the settings of hooks
	if err != nil {
		return nil, err
	}
	r.set, r.saved = map[string]ChangeKind{}, map[string]string{}
	var deleted []Change
	var errs []error
	for _, planned := range r.plan(nil, actual) {
		c := planned
		c.Reason = "unregistered"
		if _, _, err := r.apply(ctx, c); err == nil {
			deleted = append(deleted, planned)
		} else if errs = append(errs, err); ctx.Err() != nil || r.away(ctx, err) {
			break
		}
	}
	return deleted, errors.Join(errs...)
}
