package registration

import (
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
	Error       string       `json:"error,omitempty"`     // of the last pass
	Problems    []string     `json:"problems,omitempty"`  // entries of HOOKS that the cluster doesn't offer
	Hooks       []HookStatus `json:"hooks"`               // one per desired hook
	Repairs     int          `json:"repairs"`             // hooks found off or missing and put right since start

	Runs     int           `json:"runs"`     // passes since the start
	Failures int           `json:"failures"` // passes that failed
	Took     time.Duration `json:"took_ns"`  // by all passes together
}

// HookStatus is a desired hook and how Kazoo holds it.
type HookStatus struct {
	Name          string    `json:"name"`
	Hook          string    `json:"hook"`
	CustomData    string    `json:"custom_data,omitempty"`
	ID            string    `json:"id,omitempty"` // empty: not registered
	Enabled       bool      `json:"enabled"`
	DisableReason string    `json:"disable_reason,omitempty"`
	LastGood      time.Time `json:"last_good,omitzero"` // last seen registered and enabled
	Repairs       int       `json:"repairs"`            // times it was found off or missing and put right since the start
}

// Ready reports whether every desired hook is registered and enabled, and if
// not, why.
func (s Status) Ready() (ok bool, why string) {
	for _, h := range s.Hooks {
		switch {
		case h.ID == "":
			return false, "hook " + h.Name + " is not registered"
		case !h.Enabled:
			return false, "hook " + h.Name + " is switched off in Kazoo: " + h.DisableReason
		}
	}
	switch {
	case len(s.Problems) > 0:
		return false, s.Problems[0]
	case s.OKAt.IsZero():
		return false, "registration: " + s.Error
	}
	return true, ""
}

// Firing reports whether every hook that Kazoo offers us is registered and
// enabled: then nothing is missed.
func (s Status) Firing() bool {
	for _, h := range s.Hooks {
		if h.ID == "" || !h.Enabled {
			return false
		}
	}
	return !s.OKAt.IsZero()
}

// Status returns a copy of what the last pass found.
func (r *Reconciler) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	s.Hooks = append([]HookStatus{}, s.Hooks...)
	return s
}

// observe records how Kazoo holds the desired hooks.
func (r *Reconciler) observe(desired, actual []crossbar.Hook) {
	now := r.opts.Now()
	best := map[string]crossbar.Hook{}
	for _, h := range actual {
		if b, ok := best[h.Name]; !ok || h.ID < b.ID {
			best[h.Name] = h
		}
	}
	hooks := make([]HookStatus, 0, len(desired))
	for _, d := range desired {
		h := best[d.Name]
		l := r.lapse(d.Name)
		if h.ID != "" && h.Enabled {
			l.lastGood = now
		}
		hooks = append(hooks, HookStatus{Name: d.Name, Hook: d.Hook, CustomData: customDataText(d.CustomData), ID: h.ID,
			Enabled: h.ID != "" && h.Enabled, DisableReason: h.DisableReason, LastGood: l.lastGood, Repairs: l.total})
	}
	r.mu.Lock()
	r.status.Hooks = hooks
	r.mu.Unlock()
}

// changed brings the status up to date with a change that was just made.
func (r *Reconciler) changed(c Change) {
	if c.Kind != Enable && c.Kind != Update {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.status.Hooks {
		if r.status.Hooks[i].Name == c.Hook.Name {
			r.status.Hooks[i].Enabled, r.status.Hooks[i].DisableReason = true, ""
		}
	}
}

// Has reports whether a hook of this id is one of ours.
func (r *Reconciler) Has(id string) bool { return id != "" && slices.Contains(r.IDs(), id) }

// IDs gives the ids of our hooks, as of the last pass.
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
