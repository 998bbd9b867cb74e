package registration

import "slices"

// SetSecrets changes the secret in the hooks' URIs. The next pass, which begins
// within a second, moves the hooks. Until then a URI with the previous secret
// counts as wanted, so there is no outage. Attempts with either secret, or former
// ones, stay ours. Safe for concurrent use.
func (e *Engine) SetSecrets(secret, previous string) {
	e.Recoverer.alsoOurs(secret, previous)
	e.Reconciler.secrets.Store(&[2]string{secret, previous})
	e.ReconcileNow()
}

// takeSecrets applies the secrets from SetSecrets. The caller holds pass.
func (r *Reconciler) takeSecrets() {
	if s := r.secrets.Swap(nil); s != nil {
		r.opts.Secret, r.opts.PreviousSecret = s[0], s[1]
	}
}

// alsoOurs adds secrets that make attempts ours.
func (r *Recoverer) alsoOurs(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range secrets {
		if s != "" && !slices.Contains(r.secrets, s) {
			r.secrets = append(slices.Clone(r.secrets), s) // other goroutines read the old slice
		}
	}
}

// ourSecrets returns the secrets that make attempts ours.
func (r *Recoverer) ourSecrets() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.secrets
}
