package registration

import "time"

const (
	// rivalAfter is how often a hook's URI has to be put right within rivalSpan
	// until it looks like another receiver's work. The first time may be our own
	// new PUBLIC_URL or secret, the second a person's mistake.
	rivalAfter = 3
	rivalSpan  = time.Hour
)

// moved notes that a hook's URI had been changed and was put right, and warns
// where that happens again and again: Kazoo knows hooks by their names only, so
// two receivers with one name and different URLs undo each other's work, and
// each misses what the other gets.
func (r *Reconciler) moved(c Change) {
	var from string
	for _, f := range c.Fields {
		if f.Field == "uri" {
			from = f.Before
		}
	}
	if from == "" {
		return
	}
	now, l := r.opts.Now(), r.lapse(c.Hook.Name)
	l.moves = append(l.moves, now)
	l.moves = l.moves[max(0, len(l.moves)-rivalAfter):]
	if len(l.moves) < rivalAfter || now.Sub(l.moves[0]) > rivalSpan {
		return
	}
	if !r.rivalTold.IsZero() && now.Sub(r.rivalTold) < rivalSpan {
		return
	}
	r.rivalTold = now
	r.opts.Log.Warn().Str("name", c.Hook.Name).Str("hook_id", c.Hook.ID).Str("uri", from).Time("since", l.moves[0].UTC()).
		Msg("somebody else keeps changing our hooks' URI: if it is another receiver, give each its own HOOK_NAME, or both the same PUBLIC_URL and HOOK_SECRET")
}
