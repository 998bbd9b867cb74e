package registration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"kazoohook/internal/crossbar"
)

// all is Kazoo's own word for every type or action of an object hook.
const all = "all"

// Spec is one hook to register: an entry of HOOKS.
type Spec struct {
	Hook   string // "object", "channel_create", "notifications", ...
	Type   string // object and notifications hooks
	Action string // object hooks
}

// String gives the words of the spec, as in our hooks' names: "object user doc_deleted".
func (s Spec) String() string {
	return strings.Join(slices.DeleteFunc([]string{s.Hook, s.Type, s.Action}, func(w string) bool { return w == "" }), " ")
}

// customData is what decides when a hook fires: an object hook without type and
// action never does (kazoo 4.3 applications/webhooks/src/modules/webhooks_object.erl).
func (s Spec) customData() map[string]any {
	data := map[string]any{}
	if s.Type != "" {
		data["type"] = s.Type
	}
	if s.Action != "" {
		data["action"] = s.Action
	}
	return data
}

// Watches reports whether a hook of this spec fires for the action on the
// object type.
func (s Spec) Watches(objectType, action string) bool {
	if s.Hook == all {
		return true
	}
	return s.Hook == "object" && (s.Type == all || s.Type == objectType) && (s.Action == all || s.Action == action)
}

func watches(specs []Spec, objectType, action string) bool {
	return slices.ContainsFunc(specs, func(s Spec) bool { return s.Watches(objectType, action) })
}

var specName = regexp.MustCompile(`^(object [a-z_]+ [a-z_]+|(notifications|stream) [a-z_]+|[a-z0-9_]+)$`)

func isSpecName(s string) bool { return specName.MatchString(s) }

// Expand turns the wanted specs into what this cluster can register. Where it
// does not offer "all" for a modifier (Kazoo 4.3 object hooks), one spec stands
// for each offered value. The problems name what the cluster doesn't offer.
func Expand(specs []Spec, offered []crossbar.OfferedHook) (out []Spec, problems []string) {
	add := func(s Spec) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, s := range specs {
		i := slices.IndexFunc(offered, func(o crossbar.OfferedHook) bool { return o.ID == s.Hook })
		if i < 0 && s.Hook != all {
			problems = append(problems, fmt.Sprintf("HOOKS: this Kazoo offers no hook %q; it offers %s", s.Hook, offeredNames(offered)))
			continue
		}
		if i < 0 || s.Type == "" && s.Action == "" {
			add(s)
			continue
		}
		types, err := values("type", s.Hook, s.Type, offered[i].Modifiers["type"])
		if err != "" {
			problems = append(problems, err)
			continue
		}
		actions, err := values("action", s.Hook, s.Action, offered[i].Modifiers["action"])
		if err != "" {
			problems = append(problems, err)
			continue
		}
		for _, t := range types {
			for _, a := range actions {
				add(Spec{s.Hook, t, a})
			}
		}
	}
	return out, problems
}

// values gives the modifier values to register for a wanted one. A cluster that
// lists no values for a modifier takes any.
func values(modifier, hook, want string, offered []string) (vals []string, problem string) {
	if want == "" || len(offered) == 0 || slices.Contains(offered, want) {
		return []string{want}, ""
	}
	if want == all {
		return offered, ""
	}
	return nil, fmt.Sprintf("HOOKS: this Kazoo offers no %s %q for %q; it offers %s", modifier, want, hook, strings.Join(offered, ", "))
}

func offeredNames(offered []crossbar.OfferedHook) string {
	names := make([]string, len(offered))
	for i, o := range offered {
		names[i] = o.ID
	}
	return strings.Join(names, ", ")
}
