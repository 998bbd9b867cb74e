package registration

import (
	"maps"
	"slices"
	"time"

	"kazoohook/internal/crossbar"
)

// SignedHooks are our hooks, by id, as passes have seen them, and whether Kazoo signs
// their requests.
type SignedHooks map[string]Signing

// Signing says whether a hook has one of our keys, and since when. Since is zero if only a
// journal of an older version knows of the key.
type Signing struct {
	Signed bool
	Since  time.Time
}

// Since returns since when a hook has one of our keys, and zero if it is ours and has
// none. For a hook that isn't ours it returns since when any hook has a key. Zero means
// never, or not known.
func (s SignedHooks) Since(hookID string) (since time.Time, signed bool) {
	if h, ours := s[hookID]; ours {
		return h.Since, h.Signed
	}
	for _, h := range s {
		if h.Signed && (since.IsZero() || !h.Since.IsZero() && h.Since.Before(since)) {
			since = h.Since
		}
	}
	return since, false
}

// any reports whether any hook has a key.
func (s SignedHooks) any() bool {
	for _, h := range s {
		if h.Signed {
			return true
		}
	}
	return false
}

// noteSigned records which hooks have one of our keys. One whose settings can't be read
// is as it was.
func (r *Reconciler) noteSigned(actual []crossbar.Hook) {
	if r.opts.Keys == nil {
		return
	}
	signed := SignedHooks{}
	_ = r.opts.Keys.reload() // else the known keys stay: see signs
	keys := r.opts.Keys.Secrets()
	before := r.signedHooks()
	for _, h := range actual {
		was, known := before[h.ID]
		if r.stuck[h.ID].unread && !known {
			continue
		}
		now := Signing{Signed: h.Version == version2 && slices.Contains(keys, string(h.SecurityKey)) || r.stuck[h.ID].unread && was.Signed}
		if now.Signed {
			if now.Since = was.Since; now.Since.IsZero() {
				now.Since = r.opts.Now()
			}
		}
		signed[h.ID] = now
	}
	r.setSigned(signed)
}

// setSigned sets which hooks have one of our keys.
func (r *Reconciler) setSigned(hooks SignedHooks) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signed = hooks
}

// signedHooks returns which hooks have one of our keys. It must not be changed.
func (r *Reconciler) signedHooks() SignedHooks {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signed
}

// nowSigned adds a hook that was just written: its first request may arrive at once.
func (r *Reconciler) nowSigned(h crossbar.Hook) {
	if r.opts.Keys == nil {
		return
	}
	signs := h.Version == version2 && slices.Contains(r.opts.Keys.Secrets(), string(h.SecurityKey))
	r.mu.Lock()
	defer r.mu.Unlock()
	was, known := r.signed[h.ID]
	if known && (was.Signed || !signs) {
		return
	}
	signed := maps.Clone(r.signed)
	if signed == nil {
		signed = SignedHooks{}
	}
	signed[h.ID] = Signing{}
	if signs {
		signed[h.ID] = Signing{Signed: true, Since: r.opts.Now()}
	}
	r.signed = signed
}

// Of returns the keys that may sign the requests of a hook, and what Since returns. Once
// a hook has a key, these are also the keys of all others: another process may have
// registered one, or given it a key, a moment ago.
func (k *Keyring) Of(hooks SignedHooks, hookID string) (keys [][]byte, since time.Time, signed bool) {
	if k == nil {
		return nil, since, false
	}
	since, signed = hooks.Since(hookID)
	if signed || hookID != "" && hooks.any() {
		keys = k.Bytes()
	}
	return keys, since, signed
}

// keysOf is Of with the hooks that this process knows.
func (r *Reconciler) keysOf(hookID string) (keys [][]byte, since time.Time, signed bool) {
	return r.opts.Keys.Of(r.signedHooks(), hookID)
}
