package registration

import (
	"slices"

	"kazoohook/internal/crossbar"
)

// staying returns, by name, the one of several hooks that stays: see Plan.
func staying(actual []crossbar.Hook) map[string]crossbar.Hook {
	best := map[string]crossbar.Hook{}
	for _, h := range actual {
		if b, ok := best[h.Name]; !ok || h.ID < b.ID {
			best[h.Name] = h
		}
	}
	return best
}

// unsure returns the wanted specs whose hooks may not fire as wanted: something is left
// to change at them, they can't be read, or err has left open which hooks are wanted.
func (r *Reconciler) unsure(plan []Change, desired, actual []crossbar.Hook, err error) (specs []Spec) {
	best := staying(actual)
	add := func(name string) {
		spec, _ := specOfName(r.opts.Owner, name)
		specs = append(specs, spec)
	}
	for _, c := range plan {
		if c.Kind != Delete {
			add(c.Hook.Name)
		}
	}
	for _, d := range desired {
		if _, stuck := r.stuck[best[d.Name].ID]; stuck {
			add(d.Name)
		}
	}
	if err != nil {
		for _, s := range slices.Concat(r.opts.Specs, r.opts.Hidden) {
			if _, there := best[r.opts.Owner+" "+s.String()]; !there {
				specs = append(specs, s)
			}
		}
	}
	return specs
}

// needed reports whether a redundant hook may still be the one that fires, so that it is
// deleted later. A twin is needed until the hook with its name fires as wanted, any other
// hook until all do that fire for some of its events.
func (r *Reconciler) needed(c Change, desired []crossbar.Hook, unsure []Spec) bool {
	spec, _ := specOfName(r.opts.Owner, c.Hook.Name)
	if slices.ContainsFunc(desired, func(d crossbar.Hook) bool { return d.Name == c.Hook.Name }) {
		return slices.Contains(unsure, spec)
	}
	return slices.ContainsFunc(unsure, spec.overlaps)
}
