package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Hook is one thing to hear of.
type Hook struct {
	Hook   string // Kazoo's name of the hook: object, channel_create, notifications, ...
	Type   string // object, notifications, stream: the type or "all"; empty otherwise
	Action string // object: doc_created, doc_edited, doc_deleted or "all"; empty otherwise
}

// String returns hook[:type[:action]].
func (h Hook) String() string {
	s := h.Hook
	if h.Type != "" {
		s += ":" + h.Type
	}
	if h.Action != "" {
		s += ":" + h.Action
	}
	return s
}

// covers reports whether every event of other is one of h too: both registered
// would bring each of them twice.
func (h Hook) covers(other Hook) bool {
	return h.Hook == other.Hook &&
		(h.Type == all || h.Type == other.Type) &&
		(h.Action == all || h.Action == other.Action)
}

// overlaps reports whether some event is one of both.
func (h Hook) overlaps(other Hook) bool {
	return h.Hook == other.Hook &&
		(h.Type == all || other.Type == all || h.Type == other.Type) &&
		(h.Action == all || other.Action == all || h.Action == other.Action)
}

// all is Kazoo's own word for every hook, type or action.
const all = "all"

// The hooks that Kazoo 4.3 and 5 offer, by what they take. Version 5 has more
// channel hooks than are listed here; any channel_* is accepted.
// (kazoo applications/webhooks/src/modules)
func plainHooks() []string {
	return []string{all, "channel_create", "channel_answer", "channel_bridge", "channel_destroy", "parking", "sms", "mms", "cdr"}
}

func objectTypes() []string {
	return []string{
		all, "account", "call_recording", "callflow", "device", "fax", "faxbox", "mailbox_message", "media", "user", "vmbox",
	}
}

func objectActions() []string { return []string{all, "doc_created", "doc_edited", "doc_deleted"} }

// name is what Kazoo's names of hooks, types and events are made of.
var name = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// ParseHook reads one hook[:type[:action]]; what is left out means all.
func ParseHook(text string) (Hook, error) {
	parts := strings.Split(text, ":")
	h := Hook{Hook: parts[0]}
	takes := 0
	switch {
	case h.Hook == "object":
		takes, h.Type, h.Action = 2, all, all
	case h.Hook == "notifications", h.Hook == "stream":
		takes, h.Type = 1, all
	case slices.Contains(plainHooks(), h.Hook):
	case strings.HasPrefix(h.Hook, "channel_") && name.MatchString(h.Hook):
	default:
		return Hook{}, fmt.Errorf("is not a hook of Kazoo; use hook[:type[:action]] with the hook object, notifications, stream, %s or another channel_*",
			strings.Join(plainHooks(), ", "))
	}
	if len(parts)-1 > takes {
		switch takes {
		case 0:
			return Hook{}, fmt.Errorf("has too many parts; %s takes neither type nor action", h.Hook)
		case 1:
			return Hook{}, fmt.Errorf("has too many parts; %s takes a type and no action", h.Hook)
		}
		return Hook{}, errors.New("has too many parts; use object[:type[:action]]")
	}
	if len(parts) > 1 {
		h.Type = parts[1]
		if !name.MatchString(h.Type) {
			if h.Hook == "object" {
				return Hook{}, fmt.Errorf("has no valid type; use one of %s", strings.Join(objectTypes(), ", "))
			}
			return Hook{}, fmt.Errorf("has no valid type; use a name in lower case, e.g. new_user, or all")
		}
	}
	if len(parts) > 2 {
		h.Action = parts[2]
		if !slices.Contains(objectActions(), h.Action) {
			return Hook{}, fmt.Errorf("has no valid action; use one of %s", strings.Join(objectActions(), ", "))
		}
	}
	return h, nil
}

// Hooks is what to hear of.
type Hooks []Hook

// String returns the hooks separated by commas.
func (hs Hooks) String() string {
	s := make([]string, len(hs))
	for i, h := range hs {
		s[i] = h.String()
	}
	return strings.Join(s, ",")
}

// UnmarshalText reads hooks separated by commas. Its error joins one for each
// entry that is wrong, repeated or part of another.
func (hs *Hooks) UnmarshalText(text []byte) error {
	var out Hooks
	var problems []error
	for entry := range strings.SplitSeq(string(text), ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		h, err := ParseHook(entry)
		if err != nil {
			problems = append(problems, valueError{entry, err.Error()})
			continue
		}
		out = append(out, h)
	}
	problems = append(problems, out.overlaps()...)
	if len(out) == 0 && len(problems) == 0 {
		problems = append(problems, valueError{"", "names no hook; use hook[:type[:action]], e.g. object:user:doc_deleted"})
	}
	if problems != nil {
		return errors.Join(problems...)
	}
	*hs = out
	return nil
}

// overlaps finds pairs of hooks that would bring some events twice.
func (hs Hooks) overlaps() []error {
	var problems []error
	for i, b := range hs {
		for _, a := range hs[:i] {
			switch {
			case a == b:
				problems = append(problems, valueError{b.String(), "is given twice; every event would come twice"})
			case a.covers(b):
				problems = append(problems, partOf(b, a))
			case b.covers(a):
				problems = append(problems, partOf(a, b))
			case a.overlaps(b):
				problems = append(problems, valueError{b.String(),
					fmt.Sprintf("overlaps %q; leave one of them out or name the types and actions, or events would come twice", a)})
			}
		}
	}
	return problems
}

func partOf(part, whole Hook) error {
	return valueError{part.String(), fmt.Sprintf("is part of %q; leave one of them out, or its events would come twice", whole)}
}
