package registration

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"kazoohook/internal/crossbar"
)

// Status is what the last pass found, for readiness, the API and metrics.
type Status struct {
	AccountID   string       `json:"account_id"`
	AccountName string       `json:"account_name,omitempty"`
	CheckedAt   time.Time    `json:"checked_at,omitzero"` // end of the last pass
	OKAt        time.Time    `json:"ok_at,omitzero"`      // end of the last pass without an error
	Error       string       `json:"error,omitempty"`     // of the last pass; "": none, or there was no pass yet
	Cause       Cause        `json:"cause,omitempty"`     // of Error, if the operator has to act
	Problems    []string     `json:"problems,omitempty"`  // entries of HOOKS that can't be registered, and why
	Hooks       []HookStatus `json:"hooks"`               // one per desired hook
	Repairs     int          `json:"repairs"`             // hooks found off or missing and repaired since start

	Runs     int           `json:"runs"`     // passes since the start
	Failures int           `json:"failures"` // passes that failed
	Took     time.Duration `json:"took_ns"`  // by all passes together
}

// Cause names an error that the operator has to resolve.
type Cause string

// The causes.
const (
	CauseAccount Cause = "account_gone"  // Kazoo says that the account doesn't exist
	CauseLogin   Cause = "login_refused" // Kazoo refuses our credentials
	CauseKeys    Cause = "keys_unread"   // the file of the signing keys can't be read
)

// causeOf returns the cause of a pass's error, if it has one.
func causeOf(err error) Cause {
	var e *crossbar.Error
	switch {
	case crossbar.IsUnauthorized(err):
		return CauseLogin
	case crossbar.IsNotFound(err) && errors.As(err, &e) && (e.Op == "hooks.list" || e.Op == "hooks.create"):
		return CauseAccount // both requests name only the account
	case errors.Is(err, errKeys):
		return CauseKeys
	}
	return ""
}

// HookStatus is a desired hook and its state in Kazoo.
type HookStatus struct {
	Name          string    `json:"name"`
	Hook          string    `json:"hook"`
	CustomData    string    `json:"custom_data,omitempty"`
	Purpose       string    `json:"purpose,omitempty"` // of a hook that HOOKS doesn't name
	ID            string    `json:"id,omitempty"`      // empty: not registered
	Enabled       bool      `json:"enabled"`
	DisableReason string    `json:"disable_reason,omitempty"`
	LastGood      time.Time `json:"last_good,omitzero"` // last seen registered and enabled
	Repairs       int       `json:"repairs"`            // times it was found off or missing and was repaired since the start
}

// Ready reports whether every desired hook is registered and enabled. If not, it
// returns the reason.
func (s Status) Ready() (ok bool, why string) {
	for _, h := range s.Hooks {
		switch {
		case h.Purpose == forRepair: // nothing depends on it
		case h.ID == "":
			return false, "hook " + h.Name + " is not registered"
		case !h.Enabled:
			return false, "hook " + h.Name + " is switched off in Kazoo: " + h.DisableReason
		}
	}
	switch {
	case len(s.Problems) > 0:
		return false, s.Problems[0]
	case s.OKAt.IsZero() && s.Error != "":
		return false, "registration: " + s.Error
	case s.OKAt.IsZero():
		return false, "registration has not been checked yet"
	}
	return true, ""
}

// Firing reports whether the hooks that can be registered are registered and
// enabled, and there is at least one.
func (s Status) Firing() bool {
	some := false
	for _, h := range s.Hooks {
		if h.Purpose == forRepair {
			continue
		}
		if h.ID == "" || !h.Enabled {
			return false
		}
		some = true
	}
	return some && !s.OKAt.IsZero()
}

// Status returns a copy of what the last pass found.
func (r *Reconciler) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	s.Hooks = append([]HookStatus{}, s.Hooks...)
	return s
}

// observe records the state of the desired hooks in Kazoo.
func (r *Reconciler) observe(ctx context.Context, desired, actual []crossbar.Hook) {
	now := r.opts.Now()
	best := staying(actual)
	hooks := make([]HookStatus, 0, len(desired))
	wanted := make(map[string]wantedHook, len(desired))
	seen := make([]Sighting, 0, len(desired))
	for _, d := range desired {
		h := best[d.Name]
		l := r.hookHistory(d.Name)
		if h.ID != "" && h.Enabled && !r.stuck[h.ID].unseen {
			l.lastGood = now
		}
		if h.ID != "" {
			wanted[h.ID] = wantedHook{Hook: d, accepts: r.opts.accepts}
		}
		spec, _ := specOfName(r.opts.Owner, d.Name)
		purpose := r.opts.Purpose(spec)
		hooks = append(hooks, HookStatus{Name: d.Name, Hook: d.Hook, CustomData: customDataText(d.CustomData), Purpose: purpose, ID: h.ID,
			Enabled: h.ID != "" && h.Enabled, DisableReason: h.DisableReason, LastGood: l.lastGood, Repairs: l.total})
		if purpose != forRepair && r.opts.Watch != nil {
			seen = append(seen, r.sighting(d, h, now))
		}
	}
	r.mu.Lock()
	r.status.Hooks = hooks
	r.want = wanted
	r.mu.Unlock()
	if r.opts.Watch != nil {
		r.opts.Watch.Saw(ctx, r.passes, append(seen, r.lost(desired, now)...))
	}
}

// lost returns sightings of hooks that existed once, are still wanted and can't be
// registered now.
func (r *Reconciler) lost(desired []crossbar.Hook, now time.Time) (seen []Sighting) {
	specs := make([]Spec, len(desired))
	for i, d := range desired {
		specs[i], _ = specOfName(r.opts.Owner, d.Name)
	}
	for _, name := range r.opts.Watch.Names() {
		s, ok := specOfName(r.opts.Owner, name)
		if ok && !covered(specs, s) && (covered(r.opts.Specs, s) || slices.Contains(r.opts.Hidden, s)) {
			seen = append(seen, Sighting{Name: name, At: now, Bad: "it was missing in Kazoo"})
		}
	}
	return seen
}

// sighting judges from what was read whether a hook fires as wanted.
func (r *Reconciler) sighting(want, have crossbar.Hook, now time.Time) Sighting {
	s := Sighting{Name: want.Name, ID: have.ID, At: now, Whole: r.whole[have.ID], Hook: have, Unkept: maps.Clone(r.keptOf(want)), Signed: r.signedHooks()[have.ID].Since}
	known := r.opts.Watch.Known(want.Name)
	switch {
	case have.ID == "":
		if known.ID != "" {
			s.Bad = "it was missing in Kazoo"
		}
		return s
	case known.ID != "" && have.ID != known.ID:
		s.Bad = "it was removed and created again"
	case !have.Enabled:
		s.Bad = "it was switched off"
		if have.DisableReason != "" {
			s.Bad += " (" + have.DisableReason + ")"
		}
	case !r.stuck[have.ID].unread:
		s.Bad = r.changedBy(known, want, have)
	}
	_, saved := r.saved[have.ID]
	s.Undone = s.Bad == "" && s.Whole && !saved && undone(known, have)
	return s
}

// undone reports whether a hook that is as wanted was saved more often than we
// saved it. A new key may account for one save by `register --new-key` in another
// process.
func undone(known HookState, have crossbar.Hook) bool {
	saves := known.Saves
	for _, s := range settings() {
		if key := s.kept(have); s.name == keyField && key != "" && known.Set[keyField] != key {
			saves++
		}
	}
	return known.Saves > 0 && have.Saves() > 0 && have.Saves() != saves
}

// changedBy returns why a hook may not have fired to us: a setting that somebody
// else changed, or an address with a secret that is no longer accepted; "" if it
// fires to us. Other changes of our own, or of our configuration, stop no event.
func (r *Reconciler) changedBy(known HookState, want, have crossbar.Hook) string {
	kept := r.keptOf(want)
	for _, s := range settings() {
		before := s.kept(have)
		switch {
		case before == s.kept(want) || s.known && before == "" || kept[s.name] == Unkept{s.kept(want), before}:
		case s.name == uriField && slices.Contains(known.URIs, before):
			if !r.opts.accepts(have.URI) {
				return "its address had a secret that is no longer accepted"
			}
		case s.name != uriField && (known.Set[s.name] == before || r.untouched(have)): // our own write, even if it reads back differently
		default:
			return "its setting " + s.name + " was changed in Kazoo"
		}
	}
	return ""
}

// changed updates the status after a change.
func (r *Reconciler) changed(c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Kind == Delete {
		r.status.Hooks = slices.DeleteFunc(r.status.Hooks, func(h HookStatus) bool { return h.ID == c.Hook.ID })
		return
	}
	if c.Kind != Enable && c.Kind != Update {
		return
	}
	for i := range r.status.Hooks {
		if r.status.Hooks[i].Name == c.Hook.Name {
			r.status.Hooks[i].Enabled, r.status.Hooks[i].DisableReason = true, ""
		}
	}
}

// wanted returns the wanted state of our hooks, by id, as of the last pass.
func (r *Reconciler) wanted() map[string]wantedHook {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := maps.Clone(r.want)
	for id, w := range out {
		if r.opts.Watch != nil {
			w.uris = r.opts.Watch.Known(w.Name).URIs
			out[id] = w
		}
	}
	return out
}

// firing reports whether a hook is ours and was enabled when last seen.
func (r *Reconciler) firing(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.status.Hooks, func(h HookStatus) bool { return h.ID == id && h.Enabled })
}

// Has reports whether the hook with this id is ours.
func (r *Reconciler) Has(id string) bool { return id != "" && slices.Contains(r.IDs(), id) }

// IDs returns the ids of our hooks, as of the last pass.
func (r *Reconciler) IDs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]string, 0, len(r.status.Hooks))
	for _, h := range r.status.Hooks {
		if h.ID != "" {
			ids = append(ids, h.ID)
		}
	}
	return ids
}
