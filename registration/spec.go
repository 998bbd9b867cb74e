package registration

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// all is Kazoo's own word for every type or action of an object hook.
const all = "all"

// Spec is one hook to register: an entry of HOOKS.
type Spec struct {
	Hook   string // "object", "channel_create", "notifications", ...
	Type   string // object and notifications hooks
	Action string // object hooks
}

// String returns the words of the spec as in our hooks' names: "object user
// doc_deleted". The words of other applications' hooks are joined by colons, so
// that they can't be confused with an owner's name. Kazoo's operators and other
// applications choose types and actions freely, so they are escaped as in a URL's
// query. specOfName reads every spec back from its words.
func (s Spec) String() string {
	words := []string{s.Hook, url.QueryEscape(s.Type), url.QueryEscape(s.Action)}
	for len(words) > 1 && words[len(words)-1] == "" {
		words = words[:len(words)-1]
	}
	separator := ":"
	if usual := map[string]int{"object": 3, "notifications": 2, "stream": 2}; len(words) == usual[s.Hook] && !slices.Contains(words, "") {
		separator = " "
	}
	return strings.Join(words, separator)
}

// customData selects the events of a hook: an object hook without type and action
// never fires (kazoo 4.3 applications/webhooks/src/modules/webhooks_object.erl).
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

// Watches reports whether a hook of this spec fires for an action on an object
// type.
func (s Spec) Watches(objectType, action string) bool {
	if s.Hook == all {
		return true
	}
	return s.Hook == "object" && (s.Type == all || s.Type == objectType) && (s.Action == all || s.Action == action)
}

// covers reports whether a hook of s fires for every event of other.
func (s Spec) covers(other Spec) bool {
	part := func(s, other string) bool { return s == all || s == "" || s == other }
	return s.Hook == all || s.Hook == other.Hook && part(s.Type, other.Type) && part(s.Action, other.Action)
}

// overlaps reports whether there are events for which hooks of both fire.
func (s Spec) overlaps(other Spec) bool {
	part := func(s, other string) bool { return s == all || s == "" || other == all || other == "" || s == other }
	return s.Hook == all || other.Hook == all || s.Hook == other.Hook && part(s.Type, other.Type) && part(s.Action, other.Action)
}

func covered(specs []Spec, other Spec) bool {
	return slices.ContainsFunc(specs, func(s Spec) bool { return s.covers(other) })
}

func watches(specs []Spec, objectType, action string) bool {
	return slices.ContainsFunc(specs, func(s Spec) bool { return s.Watches(objectType, action) })
}

var hookWord = regexp.MustCompile(`^[a-z0-9_]+$`)

// specOfName returns the spec in a hook's name. ok says that the hook is the
// owner's: the name is the owner's name, a space and the words of a spec, exactly
// as String writes them.
func specOfName(owner, name string) (s Spec, ok bool) {
	rest, ok := strings.CutPrefix(name, owner+" ")
	if !ok {
		return Spec{}, false
	}
	separator := ":"
	if strings.Contains(rest, " ") {
		separator = " "
	}
	words := append(strings.Split(rest, separator), "", "")
	typ, typeErr := url.QueryUnescape(words[1])
	action, actionErr := url.QueryUnescape(words[2])
	s = Spec{words[0], typ, action}
	if typeErr != nil || actionErr != nil || !hookWord.MatchString(s.Hook) || s.String() != rest {
		return Spec{}, false
	}
	return s, true
}

// recognisable returns the specs that can be read back from their hooks' names. A
// hook with another name would never be found again: each pass would create one
// more. The problems name the others.
func recognisable(owner string, specs []Spec) (out []Spec, problems []string) {
	for _, s := range specs {
		if read, ok := specOfName(owner, owner+" "+s.String()); ok && read == s {
			out = append(out, s)
			continue
		}
		problems = append(problems, fmt.Sprintf("HOOKS: %q is not registered, because its hook could not be recognised by its name later", s))
	}
	return out, problems
}
