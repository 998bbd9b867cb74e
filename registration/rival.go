package registration

import "time"

const (
	// rivalAfter is the number of repairs of a hook's URI or signing key within
	// rivalSpan that points to another receiver. The first may be our own new
	// PUBLIC_URL, secret or key, the second somebody's mistake.
	rivalAfter = 3
	rivalSpan  = time.Hour
)

// moved records the repair of a hook's URI or signing key and warns of repeated
// ones. Two receivers with one HOOK_NAME and different URLs change each other's hooks
// back, and each misses events that the other gets. With different keys, each
// distrusts what the other gets.
func (r *Reconciler) moved(c Change) {
	what, from := "", ""
	for _, f := range c.Fields {
		switch {
		case f.Field == uriField:
			what, from = "URI", f.Before
		case f.Field == keyField && what == "":
			what, from = "signing key", redactURI(c.Before.URI)
		}
	}
	if what == "" {
		return
	}
	now, l := r.opts.Now(), r.hookHistory(c.Hook.Name)
	l.moves = append(l.moves, now)
	l.moves = l.moves[max(0, len(l.moves)-rivalAfter):]
	if len(l.moves) < rivalAfter || now.Sub(l.moves[0]) > rivalSpan {
		return
	}
	if !r.rivalAt.IsZero() && now.Sub(r.rivalAt) < rivalSpan {
		return
	}
	r.rivalAt = now
	r.opts.Log.Warn().Str("name", c.Hook.Name).Str("hook_id", c.Hook.ID).Str("uri", from).Time("since", l.moves[0].UTC()).
		Msgf("somebody else keeps changing our hooks' %s: if it is another receiver, give each its own HOOK_NAME, or both the same PUBLIC_URL, HOOK_SECRET, KAZOO_HMAC and file hook_key in DATA_DIR", what)
}
