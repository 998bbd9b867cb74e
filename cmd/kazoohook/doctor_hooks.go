package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"kazoohook/registration"
)

// checkEnabled lists our hooks and reports those that are switched off.
func (d *doctor) checkEnabled(ctx context.Context) ([]finding, bool) {
	list, err := d.api.Hooks(ctx, d.account.ID)
	if err != nil {
		return one(apiFailed(err, "check that the login may manage the account's webhooks")), false
	}
	var off hookFindings
	for _, h := range list {
		if !registration.Owned(d.cfg.HookName, h.Name) {
			continue
		}
		d.hooks = append(d.hooks, h)
		if !h.Enabled {
			reason := "by hand: Kazoo gives no reason"
			if h.DisableReason != "" {
				reason = "Kazoo says " + strconv.Quote(h.DisableReason)
			}
			off.add(h.Name, h.ID, broken("repair what \"attempts\" shows; a running service enables the hook by itself, otherwise: kazoohook register",
				"switched off: Kazoo sends none of its events (%s)", reason))
		}
	}
	switch {
	case len(d.hooks) == 0:
		return one(skipped("no hook on the account has our name %q (HOOK_NAME)", d.cfg.HookName)), true
	case len(off) > 0:
		return off.list(), true
	}
	return one(fine("%s with our name, none switched off", counted(len(d.hooks), "hook"))), true
}

// checkRegistered plans what registration would change, and changes nothing.
func (d *doctor) checkRegistered(ctx context.Context) ([]finding, bool) {
	if d.secret.err != nil {
		return one(broken("make the file readable for this user, or give HOOK_SECRET", "the hook secret is not known: %v", d.secret.err)), false
	}
	keys, err := openKeys(d.cfg, false, d.secrets)
	if err != nil {
		return one(broken("make the file readable for this user, or remove it to have a new key generated", "the signing keys are not known: %v", err)), false
	}
	r := registration.NewReconciler(d.api, reconcileOptions(d.cfg, d.secret.value, keys, zerolog.Nop()))
	changes, _, err := r.Plan(ctx)
	if err != nil {
		return one(apiFailed(err, "check that the login may manage the account's webhooks")), false
	}
	var pending hookFindings
	for _, c := range changes {
		if c.Kind != registration.Enable { // reported by checkEnabled
			pending.add(c.Hook.Name+note(c.Purpose), c.Hook.ID, d.pending(c))
		}
	}
	if len(pending) == 0 {
		return one(fine("every hook is registered as it should be")), true
	}
	return pending.list(), true
}

// pending returns the finding for a pending change.
func (d *doctor) pending(c registration.Change) finding {
	const advice = "a running service does it by itself (its log says why not), otherwise: kazoohook register"
	switch c.Kind {
	case registration.Create:
		return broken(advice, "not registered")
	case registration.Delete:
		return warned(advice, "one too many (%s)", c.Reason)
	case registration.Update, registration.Enable:
	}
	var fields []string
	lesser := true
	for _, f := range c.Fields {
		fields = append(fields, fmt.Sprintf("%s is %s, not %s", f.Field, f.Before, f.After))
		lesser = lesser && f.Field == "retries"
	}
	secretOnly := len(c.Fields) == 1 && c.Fields[0].Field == "uri" && sameButSecret(c.Before.URI, c.Hook.URI)
	what := "registered differently (" + strings.Join(fields, "; ") + ")"
	switch {
	case secretOnly && !d.secret.known:
		return warned("run doctor with the service's DATA_DIR or HOOK_SECRET",
			"registered with a secret that can't be compared, because DATA_DIR %s holds none", d.cfg.DataDir)
	case secretOnly:
		return broken("make sure that this is the service's DATA_DIR or HOOK_SECRET; if it is, "+advice, "%s", what)
	case lesser:
		return warned(advice, "%s", what)
	}
	return broken(advice, "%s", what)
}

// hookFindings merges equal findings of many hooks into one line: if the cluster
// has no "all", an entry of HOOKS means dozens of hooks.
type hookFindings []hookFinding

type hookFinding struct {
	finding
	hooks []string
}

func (l *hookFindings) add(name, id string, f finding) {
	hook := strconv.Quote(name)
	if id != "" {
		hook += " (" + id + ")"
	}
	for i := range *l {
		if g := &(*l)[i]; g.finding == f {
			g.hooks = append(g.hooks, hook)
			return
		}
	}
	*l = append(*l, hookFinding{f, []string{hook}})
}

func (l hookFindings) list() []finding {
	const most = 5
	var out []finding
	for _, g := range l {
		names := strings.Join(g.hooks[:min(len(g.hooks), most)], ", ")
		if more := len(g.hooks) - most; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		g.Found += ": hook " + names
		if len(g.hooks) > 1 {
			g.Found = fmt.Sprintf("%d hooks %s", len(g.hooks), strings.Replace(g.Found, ": hook ", ": ", 1))
		}
		out = append(out, g.finding)
	}
	return out
}

func sameButSecret(a, b string) bool {
	return withoutForeign(a) == withoutForeign(b)
}
