package registration

import (
	"maps"
	"slices"

	"kazoohook/internal/crossbar"
)

// Unkept is a setting that Kazoo stores otherwise than asked. A secret value is a
// digest.
type Unkept struct {
	Asked string `json:"asked"`
	Kept  string `json:"kept"`
}

// unkept removes from a plan the settings that Kazoo doesn't store as asked: they
// read back differently right after they were written (versions of Kazoo differ).
// Each such setting is reported once. contested are the hooks that somebody else writes
// at the same time: the next pass repairs them.
func (r *Reconciler) unkept(plan []Change) (out []Change, contested []Spec) {
	for _, c := range plan {
		if c.Kind != Update {
			out = append(out, c)
			continue
		}
		kept := r.keptOf(c.Hook)
		c.Fields = slices.DeleteFunc(c.Fields, func(f FieldChange) bool {
			if f.Field == uriField {
				return false
			}
			found := Unkept{f.asked, f.had}
			if kept[f.Field] != found && r.asked(c, f.Field) && r.untouched(c.Before) {
				kept[f.Field] = found
				r.opts.Log.Warn().Str("name", c.Hook.Name).Str("hook_id", c.Hook.ID).Str("field", f.Field).Str("asked", f.After).Str("kept", f.Before).
					Msg("Kazoo doesn't store a setting of this hook as asked; it is left as it is")
			}
			return kept[f.Field] == found
		})
		switch {
		case slices.ContainsFunc(c.Fields, func(f FieldChange) bool { return r.asked(c, f.Field) }):
			spec, _ := specOfName(r.opts.Owner, c.Hook.Name)
			contested = append(contested, spec)
		case len(c.Fields) > 0:
			out = append(out, c)
		case !c.Before.Enabled:
			c.Kind, c.Reason = Enable, c.Before.DisableReason
			out = append(out, c)
		}
	}
	return out, contested
}

// asked reports whether this pass has written the wanted value of a setting. A new
// hook is created without the setting that only some versions know.
func (r *Reconciler) asked(c Change, field string) bool {
	how := r.set[c.Hook.ID]
	return how == Update || how == Create && field != legsField
}

// untouched reports whether a hook is as this pass has saved it: nobody else has saved
// it since.
func (r *Reconciler) untouched(have crossbar.Hook) bool {
	revision, saved := r.saved[have.ID]
	return saved && revision == have.Revision
}

// keptOf returns the settings that Kazoo doesn't store as a wanted hook asks, by
// field, as this process or an earlier one found. What was found with another wanted
// value is forgotten.
func (r *Reconciler) keptOf(want crossbar.Hook) map[string]Unkept {
	kept := r.kept[want.Name]
	if kept == nil {
		kept = map[string]Unkept{}
		r.kept[want.Name] = kept
		if r.opts.Watch != nil {
			maps.Copy(kept, r.opts.Watch.Known(want.Name).Unkept)
		}
	}
	for _, s := range settings() {
		if kept[s.name].Asked != s.kept(want) {
			delete(kept, s.name)
		}
	}
	return kept
}
