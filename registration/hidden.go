package registration

import (
	"slices"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// The purposes of hooks that HOOKS doesn't name.
const (
	forSnapshot = "for the snapshot"
	forRepair   = "to learn of hooks that Kazoo switches off"
)

// switchedOff is the notification that Kazoo sends when it switches a hook off
// (kazoo 4.3 applications/webhooks/src/webhooks_disabler.erl, send_notification).
// Its own hook may be off too, so nothing depends on it.
func switchedOff() Spec { return Spec{Hook: "notifications", Type: "webhook_disabled"} }

// HiddenSpecs returns the hooks to register in addition to specs, which HOOKS
// names. Where deletions of a type are watched, creations and edits are watched
// too. Otherwise an object created after the last listing would be unknown when its
// deletion is missed.
func HiddenSpecs(specs []Spec) []Spec {
	var out []Spec
	for _, typ := range snapshot.Types() {
		if !watches(specs, typ, string(event.Deleted)) {
			continue
		}
		for _, a := range []event.Action{event.Created, event.Edited} {
			if !watches(specs, typ, string(a)) {
				out = append(out, Spec{"object", typ, string(a)})
			}
		}
	}
	if !covered(specs, switchedOff()) {
		out = append(out, switchedOff())
	}
	return out
}

// Hidden reports whether an event came through a hook of HiddenSpecs and HOOKS
// (specs) doesn't name it. Such an event only changes the snapshot or starts a
// check of the hooks.
func Hidden(specs []Spec, r *event.Record) bool {
	if IsSwitchedOff(r) {
		return !covered(specs, switchedOff())
	}
	return (r.Action == event.Created || r.Action == event.Edited) && snapshot.Kind(r.ObjectType) != "" &&
		watches(specs, r.ObjectType, string(event.Deleted)) && !watches(specs, r.ObjectType, string(r.Action))
}

// IsSwitchedOff reports whether an event says that Kazoo switched a hook off. Then
// the hooks should be checked at once (Engine.ReconcileNow).
func IsSwitchedOff(r *event.Record) bool {
	return r.Event == "notification."+switchedOff().Type
}

// expandHidden returns the hidden specs that the cluster offers. everything reports
// whether it offers all of them.
func expandHidden(hidden []Spec, offered []crossbar.OfferedHook, have []Spec) (out []Spec, everything bool) {
	everything = true
	for _, s := range hidden {
		switch {
		case slices.Contains(have, s), offers(offered, s):
			out = append(out, s)
		case s.Hook == "object", unlisted(s):
			found, problem := expand(s, offered)
			out = append(out, found...)
			everything = everything && (problem == "" || unlisted(s))
		}
	}
	return out, everything
}
