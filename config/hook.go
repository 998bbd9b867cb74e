package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Hook is one hook to register.
type Hook struct {
	Hook   string // Kazoo's name of the hook: object, channel_create, notifications, ...
	Type   string // object, notifications, stream: the type or "all"; of other applications' hooks as given
	Action string // object: doc_created, doc_edited, doc_deleted or "all"; of other applications' hooks as given
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

// covers reports whether h also brings every event of other. If both were
// registered, those events would come twice.
func (h Hook) covers(other Hook) bool {
	return h.Hook == other.Hook &&
		(h.Type == all || h.Type == other.Type) &&
		(h.Action == all || h.Action == other.Action)
}

// overlaps reports whether some event belongs to both.
func (h Hook) overlaps(other Hook) bool {
	return h.Hook == other.Hook &&
		(h.Type == all || other.Type == all || h.Type == other.Type) &&
		(h.Action == all || other.Action == all || h.Action == other.Action)
}

// all is Kazoo's own name for every hook, type or action.
const all = "all"

// plainHooks are the hooks of Kazoo 4.3 and 5 that take neither type nor action
// (kazoo applications/webhooks/src/modules). Other applications bring hooks of
// their own, so any name is accepted: the cluster says what it offers.
func plainHooks() []string {
	return []string{all, "channel_create", "channel_answer", "channel_bridge", "channel_destroy", "parking", "sms", "mms", "cdr"}
}

func objectTypes() []string {
	return []string{
		all, "account", "call_recording", "callflow", "device", "fax", "faxbox", "mailbox_message", "media", "user", "vmbox",
	}
}

func objectActions() []string { return []string{all, "doc_created", "doc_edited", "doc_deleted"} }

// name matches Kazoo's names of hooks, types and events.
var name = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// ParseHook reads one hook[:type[:action]]; a missing part means all.
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
	case name.MatchString(h.Hook):
		takes = 2
	default:
		return Hook{}, fmt.Errorf("is not the name of a hook; use hook[:type[:action]] with the hook object, notifications, stream, %s or another one of the cluster's",
			strings.Join(plainHooks(), ", "))
	}
	if len(parts)-1 > takes {
		switch takes {
		case 0:
			return Hook{}, fmt.Errorf("has too many parts; %s takes neither type nor action", h.Hook)
		case 1:
			return Hook{}, fmt.Errorf("has too many parts; %s takes a type and no action", h.Hook)
		}
		return Hook{}, fmt.Errorf("has too many parts; use %s[:type[:action]]", h.Hook)
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
		if h.Hook != "object" {
			if !name.MatchString(h.Action) {
				return Hook{}, errors.New("has no valid action; use a name in lower case, or all")
			}
			return h, nil
		}
		if !slices.Contains(objectActions(), h.Action) {
			return Hook{}, fmt.Errorf("has no valid action; use one of %s", strings.Join(objectActions(), ", "))
		}
	}
	return h, nil
}

// Hooks lists the events to receive.
type Hooks []Hook

// String returns the hooks separated by commas.
func (hs Hooks) String() string {
	s := make([]string, len(hs))
	for i, h := range hs {
		s[i] = h.String()
	}
	return strings.Join(s, ",")
}

// UnmarshalText reads hooks separated by commas. It reports each entry that is
// wrong, repeated or part of another.
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
