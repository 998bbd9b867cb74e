package registration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"kazoohook/internal/crossbar"
)

const (
	version1 = "v1"
	version2 = "v2"
)

// support says whether the cluster offers something, as version 2 hooks, whose
// requests are signed. It does if a hook written with version 2 reads back with it. It doesn't
// if it refuses such a hook or returns one without the field; that is remembered
// for the run.
type support int

const (
	versionUntried support = iota
	versionOffered
	versionAbsent
)

// signs reports whether to register hooks with version 2. Existing hooks show what
// the cluster supports, see askVersion. An error says that the keys' file can't be
// read: then the last known keys stay in use.
func (r *Reconciler) signs(actual []crossbar.Hook) (bool, error) {
	for _, h := range actual {
		r.learn(h, false)
	}
	if r.opts.Keys == nil || r.opts.Format == FormatForm {
		return false, nil
	}
	var err error
	if r.opts.Keys.kept() {
		err = r.opts.Keys.reload()
	}
	if r.version2 == versionUntried && r.legs != versionOffered && slices.ContainsFunc(actual, r.bare) {
		if r.legs == versionAbsent {
			r.lacksVersion2("a hook is stored without what later versions add")
		}
		return false, err
	}
	if r.planning && r.version2 == versionUntried {
		return !r.opts.Keys.unused(), err
	}
	return r.version2 != versionAbsent, err
}

// bare reports whether a hook reads back with neither version nor
// include_internal_legs. 4.3 knows neither. Later versions add the second when they
// save a hook, and not when they read one that 4.3 saved.
func (r *Reconciler) bare(h crossbar.Hook) bool {
	return r.whole[h.ID] && h.Version == "" && h.InternalLegs == nil
}

// learn notes whether Kazoo knows include_internal_legs. saved says that it has just
// saved the hook. Otherwise a missing field proves nothing.
func (r *Reconciler) learn(h crossbar.Hook, saved bool) {
	switch {
	case h.InternalLegs != nil:
		r.legs = versionOffered
	case saved && r.legs == versionUntried:
		r.legs = versionAbsent
	}
}

// askVersion finds out whether Kazoo is later than 4.3 if all hooks may have been
// saved by 4.3: it saves one as it is. That stops no event. It asks once in a run, or
// again after an hour if there was no answer. It delays a pass by seconds at most. It
// reports whether it saved a hook.
func (r *Reconciler) askVersion(ctx context.Context, actual []crossbar.Hook) bool {
	const (
		longest = 5 * time.Second
		again   = time.Hour
	)
	signing := r.opts.Keys != nil && r.opts.Format != FormatForm && r.version2 == versionUntried
	if r.legs != versionUntried || r.opts.InternalLegs && !signing || r.opts.Now().Before(r.askAt) {
		return false
	}
	i := slices.IndexFunc(actual, func(h crossbar.Hook) bool { return r.bare(h) && h.Enabled })
	if i < 0 {
		return false
	}
	r.askAt = r.opts.Now().Add(again)
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	h, err := r.api.ReplaceHook(ctx, r.account.ID, actual[i])
	r.saved[actual[i].ID] = h.Revision
	delete(r.details, actual[i].ID)
	if err != nil {
		r.opts.Log.Debug().Err(err).Str("hook_id", actual[i].ID).Msg("a hook could not be saved to find out what this Kazoo offers")
		return true
	}
	r.learn(h, true)
	return true
}

// withDefaults returns the hooks with the value that Kazoo assumes for a field that
// it knows and that a hook from before an upgrade lacks.
func (r *Reconciler) withDefaults(actual []crossbar.Hook) []crossbar.Hook {
	out := slices.Clone(actual)
	for i := range out {
		if legs := true; r.legs == versionOffered && r.whole[out[i].ID] && out[i].InternalLegs == nil {
			out[i].InternalLegs = &legs
		}
	}
	return out
}

// RotateKey adds a new signing key. The one before is still accepted, but no older
// one, so it refuses while Kazoo still signs with an older key than the newest: the
// exchange before was not finished.
func (r *Reconciler) RotateKey(ctx context.Context) error {
	r.pass.Lock()
	defer r.pass.Unlock()
	if err := r.login(ctx); err != nil {
		return err
	}
	if err := r.opts.Keys.reload(); err != nil {
		return err
	}
	r.stuck = map[string]stuckHook{}
	actual, err := r.actual(ctx, true)
	if err := errors.Join(append(r.stuckErrors(), err)...); err != nil {
		return fmt.Errorf("the key was not exchanged, because it isn't known with which key Kazoo signs: %w", err)
	}
	older := r.opts.Keys.Secrets()[1:]
	for _, h := range actual {
		if slices.Contains(older, string(h.SecurityKey)) {
			return fmt.Errorf("the key was not exchanged, because hook %q still has the key before the newest: run kazoohook register without --new-key first", h.Name)
		}
	}
	return r.opts.Keys.Rotate()
}

// kept reports whether the keys are in a file.
func (k *Keyring) kept() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.read != nil
}

func (r *Reconciler) lacksVersion2(why string) {
	r.version2 = versionAbsent
	if !r.planning {
		r.opts.Keys.noteUse(false)
	}
	r.opts.Log.Info().Str("why", why).Msg("this Kazoo doesn't offer signed requests (version 2 hooks)")
}

// wrote evaluates Kazoo's answer to writing a hook with version 2. replan says that
// the plan is no longer valid.
func (r *Reconciler) wrote(c Change, answer crossbar.Hook, err error) (replan bool) {
	if err == nil {
		r.learn(answer, true)
	}
	if r.refused && c.Hook.Version != version2 {
		r.refused = false
		switch {
		case err == nil:
			r.lacksVersion2("it refuses a hook of version 2")
		case refuses(err): // of any version
			r.version2 = versionUntried
		}
	}
	if c.Hook.Version != version2 || r.version2 != versionUntried {
		return false
	}
	switch {
	case err == nil && answer.Version == version2:
		r.version2 = versionOffered
		r.opts.Keys.noteUse(true)
		r.opts.Log.Info().Msg("this Kazoo signs requests: hooks are registered with version 2 and a generated key; requests in the previous form are still accepted")
		return false
	case err == nil:
		r.lacksVersion2("a hook written with version 2 reads back without")
		return true
	case refuses(err):
		r.version2, r.refused = versionAbsent, true
		return true
	}
	return false
}

// refuses reports whether Kazoo rejected a hook as invalid.
func refuses(err error) bool {
	var e *crossbar.Error
	return errors.As(err, &e) && e.Status == http.StatusBadRequest
}
