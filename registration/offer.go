package registration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/crossbar"
)

// emptyOffer is the problem of a cluster that offers nothing: Kazoo's own
// maintenance deletes and rebuilds the list of hooks
// (kazoo 4.3 applications/webhooks/src/webhooks_maintenance.erl).
const emptyOffer = "HOOKS: Kazoo's list of hooks is empty, so none can be registered now; hooks that exist are kept, and the list is read again at the next check. " +
	"It is empty for a moment while Kazoo refreshes it; if it stays so, start Kazoo's webhooks application (sup kapps_controller start_app webhooks)"

// Expand turns the wanted specs into those to register. If the cluster doesn't
// offer "all" for a modifier (Kazoo 4.3 object hooks), Expand returns a spec for
// each offered value. have are the specs of our hooks in Kazoo. Existing hooks are
// kept even if the offer lacks them, because an offer may be empty or partial for a
// moment. The problems name what can't be registered.
func Expand(specs []Spec, offered []crossbar.OfferedHook, have []Spec) (out []Spec, problems []string) {
	add := func(s Spec) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, s := range specs {
		if slices.Contains(have, s) {
			add(s)
			continue
		}
		found, problem := expand(s, offered)
		if narrowed := slices.ContainsFunc(have, s.covers); narrowed && s.Hook != all && len(found) == 1 && found[0].covers(s) && !offers(offered, found[0]) {
			found = nil // an offer without values doesn't prove that they are no longer needed
		}
		for _, f := range found {
			add(f)
		}
		if problem != "" && !slices.Contains(problems, problem) {
			problems = append(problems, problem)
		}
		if len(found) == 1 && found[0].covers(s) {
			continue // our narrower hooks become redundant
		}
		for _, h := range have {
			if s.covers(h) || len(found) == 0 && h.covers(s) {
				add(h)
			}
		}
	}
	return out, problems
}

// expand returns the specs to register for one wanted spec.
func expand(s Spec, offered []crossbar.OfferedHook) (out []Spec, problem string) {
	i := slices.IndexFunc(offered, func(o crossbar.OfferedHook) bool { return o.ID == s.Hook })
	switch {
	case s.Hook == all:
		return []Spec{s}, ""
	case len(offered) == 0:
		return nil, emptyOffer
	case i < 0:
		return nil, fmt.Sprintf("HOOKS: this Kazoo offers no hook %q; it offers %s", s.Hook, offeredNames(offered))
	}
	types, problem := values("type", s.Hook, s.Type, offered[i].Modifiers["type"])
	if unlisted(s) {
		types, problem = []string{s.Type}, ""
	}
	if problem != "" {
		return nil, problem
	}
	actions, problem := values("action", s.Hook, s.Action, offered[i].Modifiers["action"])
	for _, t := range types {
		for _, a := range actions {
			out = append(out, Spec{s.Hook, t, a})
		}
	}
	return out, problem
}

// unlisted reports whether Kazoo may accept a spec that its offer lacks. Later
// versions show these notifications to a superadmin of the master account only, and
// accept them from all accounts (kazoo
// applications/crossbar/src/modules/cb_webhooks.erl NOTIFY_SUPER_ADMIN_ONLY). So the
// answer to the creation decides.
func unlisted(s Spec) bool {
	return s == switchedOff() || s == Spec{Hook: "notifications", Type: "system_alert"}
}

// declined records that Kazoo refuses to create an unlisted hook. It reports whether
// err says that. The hook is tried again after an hour.
func (r *Reconciler) declined(c Change, err error) bool {
	s, _ := specOfName(r.opts.Owner, c.Hook.Name)
	if !refuses(err) || !unlisted(s) || offers(r.offered, s) {
		return false
	}
	r.refusals[s] = r.opts.Now().Add(time.Hour)
	return true
}

// accepted returns the specs without those that Kazoo has declined. The problems
// name those of HOOKS.
func (r *Reconciler) accepted(specs, have []Spec) (out []Spec, problems []string) {
	for _, s := range specs {
		switch until, declined := r.refusals[s]; {
		case slices.Contains(have, s), !declined, !r.opts.Now().Before(until):
			out = append(out, s)
		case r.opts.Purpose(s) == "":
			problems = append(problems, fmt.Sprintf("HOOKS: this Kazoo offers no type %q for %q, and refuses such a hook", s.Type, s.Hook))
		}
	}
	return out, problems
}

// values returns the modifier values to register for a wanted one. If the cluster
// lists no values, every value is accepted.
func values(modifier, hook, want string, offered []string) (vals []string, problem string) {
	if len(offered) == 0 || slices.Contains(offered, want) {
		return []string{want}, ""
	}
	if want == "" && slices.Contains(offered, all) {
		return []string{all}, ""
	}
	if want == all || want == "" {
		return offered, ""
	}
	return nil, fmt.Sprintf("HOOKS: this Kazoo offers no %s %q for %q; it offers %s", modifier, want, hook, strings.Join(offered, ", "))
}

func offeredNames(offered []crossbar.OfferedHook) string {
	names := make([]string, len(offered))
	for i, o := range offered {
		names[i] = o.ID
	}
	return strings.Join(names, ", ")
}

// offers reports whether the cluster lists exactly this spec.
func offers(offered []crossbar.OfferedHook, s Spec) bool {
	return slices.ContainsFunc(offered, func(o crossbar.OfferedHook) bool {
		return o.ID == s.Hook && (s.Type == "" || slices.Contains(o.Modifiers["type"], s.Type)) && (s.Action == "" || slices.Contains(o.Modifiers["action"], s.Action))
	})
}
