package registration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"kazoohook/internal/crossbar"
)

// desired expands HOOKS to the hooks that this cluster can register. The offer
// matters only for hooks that don't exist yet. If it can't be read, that is a
// problem and an error only if a hook is missing.
func (r *Reconciler) desired(ctx context.Context, actual []crossbar.Hook) (hooks []crossbar.Hook, problems []string, err error) {
	var have []Spec
	for _, h := range actual {
		if s, ok := specOfName(r.opts.Owner, h.Name); ok {
			have = append(have, s)
		}
	}
	if slices.ContainsFunc(slices.Concat(r.opts.Specs, r.opts.Hidden), func(s Spec) bool { return !slices.Contains(have, s) }) {
		err = r.askOffer(ctx)
	}
	specs, problems := Expand(r.opts.Specs, r.offered, have)
	hidden, everything := expandHidden(r.opts.Hidden, r.offered, have)
	r.incomplete = len(problems) > 0 || !everything
	// Types of a partial offer may stand for "all", so it is read again too.
	r.narrowed = slices.ContainsFunc(r.opts.Specs, func(s Spec) bool { return !slices.Contains(specs, s) })
	for _, s := range hidden {
		if !slices.Contains(specs, s) {
			specs = append(specs, s)
		}
	}
	switch {
	case err != nil && len(problems) > 0 && len(r.offered) == 0:
		problems = []string{"HOOKS: which hooks Kazoo offers can't be read, so none can be registered now; hooks that exist are kept, and it is asked again at the next check"}
	case !r.incomplete:
		err = nil
	}
	specs, declined := r.accepted(specs, have)
	specs, unnamed := recognisable(r.opts.Owner, specs)
	problems = append(problems, append(declined, unnamed...)...)
	signed, keyErr := r.signs(actual)
	if signed != r.signing {
		r.signing = signed
		clear(r.set) // what was written in this pass is no longer what is wanted
	}
	return r.opts.Hooks(specs, signed), problems, errors.Join(err, keyErr)
}

// askOffer asks which hooks the cluster offers, unless that is known. It asks once
// in a pass and delays the repair of existing hooks by seconds at most.
func (r *Reconciler) askOffer(ctx context.Context) error {
	const (
		offerTTL = time.Hour // the offer changes only with Kazoo's software
		longest  = 5 * time.Second
	)
	if r.offered != nil && !r.incomplete && !r.narrowed && r.opts.Now().Sub(r.offerAge) <= offerTTL {
		return nil
	}
	if r.offerPass == r.passes && r.passes > 0 {
		return r.offerErr
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	offered, err := r.api.Offered(ctx)
	if err == nil {
		r.offered, r.offerAge = offered, r.opts.Now()
	}
	r.offerPass, r.offerErr = r.passes, err
	return err
}

// actual returns our hooks with all settings. The listing has only name, URI and
// state, and the rest costs one request a hook. So a pass reads the details of
// hooks that are new or whose listing changed, and of a few others in turn (of all
// if fresh). The listing may lag behind: the hook itself decides, also if the
// listing lacks it.
func (r *Reconciler) actual(ctx context.Context, fresh bool) ([]crossbar.Hook, error) {
	const detailsPerPass = 10
	owned, err := r.listed(ctx)
	if err != nil {
		return nil, err
	}
	if r.whole == nil {
		r.whole = map[string]bool{}
	}
	if r.stuck == nil {
		r.stuck = map[string]stuckHook{}
	}
	r.inRow = 0
	kept := make(map[string]crossbar.Hook, len(owned))
	var hooks []crossbar.Hook
	for i, s := range owned {
		h, known := r.details[s.ID]
		turn := (i-r.next+len(owned))%len(owned) < detailsPerPass
		if fresh || turn || !known || h.Enabled != s.Enabled || h.URI != s.URI || h.Name != s.Name {
			got, err := r.hook(ctx, s)
			switch {
			case crossbar.IsNotFound(err):
				delete(r.there, s.ID) // deleted since it was listed
				continue
			case err != nil && (ctx.Err() != nil || r.away(ctx, err)):
				return nil, err
			case err != nil: // use what the listing says, or an earlier process has stored
				switch {
				case s.Name != "":
					h.ID, h.Hook, h.Name, h.URI, h.Enabled = s.ID, s.Hook, s.Name, s.URI, s.Enabled
				case !known:
					if h = r.recall(s.ID); h.Name == "" {
						return nil, err
					}
				}
				r.stuck[s.ID] = stuckHook{err, !known, s.Name == ""}
			default:
				h, r.whole[s.ID], r.inRow = got, true, 0
			}
		}
		if !Owned(r.opts.Owner, h.Name) {
			delete(r.there, s.ID) // renamed: no longer ours
			continue
		}
		// Some versions have the reason only in the listing, others never remove it
		// (kazoo 4.3 applications/crossbar/src/modules/cb_webhooks.erl).
		if h.DisableReason = cmp.Or(s.DisableReason, h.DisableReason); h.Enabled {
			h.DisableReason = ""
		}
		if r.there[s.ID] = true; !r.stuck[s.ID].unread {
			kept[s.ID] = h
		}
		hooks = append(hooks, h)
	}
	r.details = kept
	if len(owned) > 0 {
		r.next = (r.next + detailsPerPass) % len(owned)
	}
	return hooks, nil
}

// stuckHook is a hook whose settings can't be read in this pass. It delays no other
// hook. Only the listing counts for it.
type stuckHook struct {
	err    error
	unread bool // never read by an earlier pass either
	unseen bool // not listed either
}

// recall returns a hook that an earlier process has left and that Kazoo neither lists
// nor reads: its name is known, and nothing is changed before Kazoo answers for it.
// Without a name it was not ours.
func (r *Reconciler) recall(id string) crossbar.Hook {
	if r.opts.Watch != nil {
		for _, name := range r.opts.Watch.Names() {
			if r.opts.Watch.Known(name).ID == id {
				return crossbar.Hook{ID: id, Name: name, Enabled: true}
			}
		}
	}
	return crossbar.Hook{}
}

// away reports whether Kazoo doesn't answer at all. After silentAfter hooks in a row
// for which it gives no answer, their listing is asked for.
func (r *Reconciler) away(ctx context.Context, err error) bool {
	if !unanswered(err) {
		r.inRow = 0
		return false
	}
	if r.inRow++; r.inRow < silentAfter {
		return false
	}
	r.inRow = 0
	_, err = r.api.Hooks(ctx, r.account.ID)
	return unanswered(err) || ctx.Err() != nil
}

// hookTimeout bounds the reading of one hook's settings, which delays the repair of all
// others. It is longer than the client waits for an answer.
const hookTimeout = 20 * time.Second

// hook reads the settings of a hook. It tries a stuck hook only once in a pass.
func (r *Reconciler) hook(ctx context.Context, s crossbar.HookSummary) (crossbar.Hook, error) {
	if stuck, ok := r.stuck[s.ID]; ok {
		return crossbar.Hook{}, stuck.err
	}
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	h, err := r.api.Hook(ctx, r.account.ID, s.ID)
	if err != nil && !crossbar.IsNotFound(err) {
		err = fmt.Errorf("read hook %q: %w", s.Name, err)
	}
	return h, err
}

// stuckErrors returns an error for each hook that could not be read.
func (r *Reconciler) stuckErrors() (errs []error) {
	for _, id := range slices.Sorted(maps.Keys(r.stuck)) {
		errs = append(errs, r.stuck[id].err)
	}
	return errs
}

// readable removes from a plan the changes of hooks whose settings were never read.
// Such a hook is only switched on again, or deleted.
func (r *Reconciler) readable(plan []Change) []Change {
	out := make([]Change, 0, len(plan))
	for _, c := range plan {
		switch {
		case c.Kind != Update || !r.stuck[c.Hook.ID].unread:
			out = append(out, c)
		case !c.Before.Enabled:
			c.Kind, c.Reason, c.Fields = Enable, c.Before.DisableReason, nil
			out = append(out, c)
		}
	}
	return out
}

// listed returns the listed hooks with our name, and those that were there before
// and are missing from the listing.
func (r *Reconciler) listed(ctx context.Context) ([]crossbar.HookSummary, error) {
	list, err := r.api.Hooks(ctx, r.account.ID)
	if err != nil {
		return nil, err
	}
	var owned []crossbar.HookSummary
	shown := map[string]bool{}
	for _, s := range list {
		shown[s.ID] = true
		if Owned(r.opts.Owner, s.Name) {
			owned = append(owned, s)
		}
	}
	r.owns(true, owned...)
	for id := range r.there {
		if !shown[id] {
			owned = append(owned, crossbar.HookSummary{ID: id})
		}
	}
	return owned, nil
}

// owns records hooks of ours. seen says that Kazoo lists no others of ours.
func (r *Reconciler) owns(seen bool, hooks ...crossbar.HookSummary) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = r.seen || seen
	for _, h := range hooks {
		if !slices.Contains(r.ever, h.ID) {
			r.ever = append(r.ever, h.ID)
		}
	}
}

// owned returns the ids of all hooks that were ours since the start, and whether
// Kazoo has listed its hooks, so that the ids are complete.
func (r *Reconciler) owned() (ids []string, seen bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ever), r.seen
}
