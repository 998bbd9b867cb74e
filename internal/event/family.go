package event

import "strings"

// family is one row of the table of event families. The row and the payload's
// struct hold all that the program knows of these events.
type family struct {
	name  string // first part of its events' names: "channel" of "channel.create"
	title string // heading in the documentation
	about string // what the documentation says of it

	// How a request is recognised; how describes it for people, if it isn't by a
	// name. A name is the value of hook_event, event_name or the name in a version
	// 2 envelope, in lower case.
	hooks  []string    // Kazoo's hooks that fire it, which are the last path segment; * as wildcard
	prefix string      // a name with this prefix is the event family.rest
	names  [][2]string // other names, each with its event
	by     fact        // with this fact the path may replace a name
	how    string

	object   fact     // the ObjectID of events that are not of an object
	identity identity // how a duplicate is recognised
	order    order    // its ordering key
	payload  any      // its struct, for kinds without their own
	kinds    []kind
}

// kind is one event of a family, or several similar ones.
type kind struct {
	name    string // the rest of the event's name; * as wildcard for unlisted names
	message string // the sentence of its log line; {} is replaced by the object's type or the kind
	payload any    // its struct, if it isn't the family's
	about   string // what the documentation says of it
	sample  string // a body as Kazoo sends it
	hook    string // the hook that sends it
}

// identity says how a family's duplicates are recognised: without facts by the
// request (RuleUnacknowledged), otherwise by content (RuleContent), which is the
// event's name, its account and the facts.
type identity struct {
	facts     []fact
	required  int  // least number of facts; with fewer, the whole request is the identity
	body      bool // the whole body is part of the identity
	lifecycle bool // RuleLifecycle for creations and deletions, the request for edits
}

// order names the ordering key of a family.
type order uint8

// The ordering keys.
const (
	unordered order = iota
	byObject
	byCall
	byMessage
	byAccount
)

// byFirstPart finds a family by the first part of an event's name.
var byFirstPart = func() map[string]*family {
	m := map[string]*family{}
	for _, f := range families {
		m[f.name] = f
		for _, n := range f.names {
			first, _, _ := strings.Cut(n[1], ".")
			m[first] = f
		}
	}
	return m
}()

// familyOf returns the row of an event.
func familyOf(event string, action Action) *family {
	if action != "" {
		return objects
	}
	first, _, dotted := strings.Cut(event, ".")
	f, ok := byFirstPart[first]
	switch {
	case ok && (dotted || f.has(event)):
		return f
	case dotted:
		return unknowns
	}
	return otherHooks
}

// sampleName returns a name that a pattern matches.
func sampleName(pattern string) string { return strings.ReplaceAll(pattern, "*", "other") }

// has reports whether an event of the family has this name without a dot.
func (f *family) has(event string) bool {
	for i := range f.kinds {
		if f.kinds[i].name == event {
			return true
		}
	}
	return false
}

// kind returns the row of an event within its family; the last one if none matches.
func (f *family) kind(event string) *kind {
	_, rest, dotted := strings.Cut(event, ".")
	if !dotted {
		rest = event
	}
	for i := range f.kinds {
		if k := &f.kinds[i]; k.name == rest || strings.Contains(k.name, "*") && Wildcard(k.name, rest) {
			return k
		}
	}
	return &f.kinds[len(f.kinds)-1]
}

// event returns the full event name of a kind without a wildcard.
func (f *family) event(kind string) string {
	if byFirstPart[kind] == f {
		return kind
	}
	return f.name + "." + kind
}

// familyOfHook returns the family that a hook fires; nil for other hooks.
func familyOfHook(hook []byte) *family {
	for _, f := range families {
		for _, pattern := range f.hooks {
			if prefix, ok := strings.CutSuffix(pattern, "*"); pattern == string(hook) || ok && hasPrefix(hook, prefix) {
				return f
			}
		}
	}
	return nil
}

// KnownHook reports whether a hook fires events of a known shape. Other applications'
// hooks don't.
func KnownHook(hook string) bool { return familyOfHook([]byte(hook)) != nil }

func hasPrefix(s []byte, prefix string) bool {
	return len(s) >= len(prefix) && string(s[:len(prefix)]) == prefix
}

// Names lists the events that Kazoo 4.3 and 5 are known to send, for bounded labels
// and menus. There are others: objects of new types and notifications of new kinds
// are events too.
func Names() []string {
	var names []string
	for _, f := range families {
		for _, k := range f.kinds {
			switch {
			case strings.Contains(k.name, "*"):
			case f.identity.lifecycle:
				for _, typ := range objectTypes() {
					names = append(names, joinName(typ, k.name))
				}
			default:
				names = append(names, f.event(k.name))
			}
		}
	}
	return names
}

// Message returns a short sentence: "user deleted", "call answered".
func (e Event) Message() string {
	f := familyOf(e.Event, e.Action)
	what := e.ObjectType
	if e.Action == "" {
		_, rest, dotted := strings.Cut(e.Event, ".")
		if what = rest; !dotted {
			what = e.Event
		}
	}
	sentence := f.kind(e.Event).message
	if f == otherHooks || e.Action != "" {
		what = strings.ReplaceAll(what, "_", " ")
	}
	return strings.ReplaceAll(sentence, "{}", what)
}

// OrderingKey returns the key of events that are delivered in order: those of one
// object, call, message or account. Events with an empty key have no order.
func (r *Record) OrderingKey() string {
	order := familyOf(r.Event, r.Action).order
	switch {
	case order == unordered:
		return ""
	case order == byObject && uniqueInCluster(r.ObjectID):
		return "object/" + r.ObjectType + "/" + r.ObjectID
	case order == byObject:
		return "object/" + r.AccountID + "/" + r.ObjectType + "/" + r.ObjectID
	case order == byCall && r.ObjectID != "":
		return "call/" + r.ObjectID
	case order == byMessage && r.ObjectID != "":
		return "message/" + r.ObjectID
	}
	return "account/" + r.AccountID
}
