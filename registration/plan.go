// Package registration keeps our hooks alive in Kazoo and repairs what was
// missed while they were not: it reconciles desired with actual hooks, recovers
// events from Kazoo's record of failed attempts and resyncs a snapshot of
// Kazoo's objects.
package registration

import (
	"fmt"
	"sort"
	"strings"

	"kazoohook/internal/crossbar"
)

// Desired is what should be registered.
type Desired struct {
	Owner              string // owner mark: prefix of our hooks' names
	PublicURL          string // base URL under which Kazoo reaches us
	Secret             string // path segment that proves a delivery is Kazoo's
	Specs              []Spec // already expanded to what the cluster offers
	Retries            int    // tries after the first, 0 to 4
	IncludeSubaccounts bool
}

// Hooks returns the hooks that Desired describes, as Kazoo should hold them.
//
// The format is always explicit: Kazoo crashes while firing a hook that has
// none (kazoo HEAD applications/webhooks/src/webhooks_util.erl).
func (d Desired) Hooks() []crossbar.Hook {
	hooks := make([]crossbar.Hook, 0, len(d.Specs))
	for _, s := range d.Specs {
		hooks = append(hooks, crossbar.Hook{
			Hook:               s.Hook,
			Name:               d.Owner + " " + s.String(),
			URI:                strings.TrimRight(d.PublicURL, "/") + "/kazoo/" + d.Secret + "/" + s.Hook,
			Verb:               "post",
			Format:             "form-data",
			Retries:            d.Retries,
			CustomData:         s.customData(),
			IncludeSubaccounts: d.IncludeSubaccounts,
			Enabled:            true,
		})
	}
	return hooks
}

// Owned reports whether a hook of this name carries the owner's mark: the mark,
// a space and the words of a Spec. "kazoohook staging sms" is therefore not
// owned by "kazoohook".
func Owned(owner, name string) bool {
	rest, ok := strings.CutPrefix(name, owner+" ")
	return ok && isSpecName(rest)
}

// ChangeKind is what a Change does to a hook.
type ChangeKind string

// The kinds of changes, in the order in which a plan applies them: surplus
// hooks go last, so that no event falls between an old hook and its successor.
const (
	Create ChangeKind = "create"
	Update ChangeKind = "update"
	Enable ChangeKind = "enable"
	Delete ChangeKind = "delete"
)

// Change is one step of a plan.
type Change struct {
	Kind   ChangeKind
	Hook   crossbar.Hook // as it should be; for Delete as it is
	Before crossbar.Hook // as it is; zero for Create
	Fields []FieldChange // Update: what drifted
	Reason string        // Enable: Kazoo's disable reason; Delete: why
}

// FieldChange is one drifted field of a hook. Values never show the secret.
type FieldChange struct{ Field, Before, After string }

// Plan compares desired with actual hooks and returns what would make them
// equal. It is pure; hooks without the owner's mark are never part of it, and
// a plan of what it produced is empty.
//
// Kazoo enforces no uniqueness (cb_webhooks.erl), so of several hooks with one
// name the one with the smallest id stays: two receivers that start at once
// choose the same survivor.
func Plan(owner string, desired, actual []crossbar.Hook) []Change {
	byName := map[string][]crossbar.Hook{}
	for _, h := range actual {
		if Owned(owner, h.Name) {
			byName[h.Name] = append(byName[h.Name], h)
		}
	}
	var changes, deletes []Change
	for _, want := range desired {
		have := byName[want.Name]
		delete(byName, want.Name)
		if len(have) == 0 {
			changes = append(changes, Change{Kind: Create, Hook: want})
			continue
		}
		sort.Slice(have, func(i, j int) bool { return have[i].ID < have[j].ID })
		for _, surplus := range have[1:] {
			deletes = append(deletes, Change{Kind: Delete, Hook: surplus, Before: surplus, Reason: "duplicate of " + have[0].ID})
		}
		want.ID = have[0].ID
		if fields := drift(have[0], want); len(fields) > 0 {
			changes = append(changes, Change{Kind: Update, Hook: want, Before: have[0], Fields: fields})
		} else if !have[0].Enabled {
			changes = append(changes, Change{Kind: Enable, Hook: want, Before: have[0], Reason: have[0].DisableReason})
		}
	}
	for _, surplus := range byName {
		for _, h := range surplus {
			deletes = append(deletes, Change{Kind: Delete, Hook: h, Before: h, Reason: "no longer wanted"})
		}
	}
	sort.Slice(deletes, func(i, j int) bool { return deletes[i].Hook.ID < deletes[j].Hook.ID })
	return append(changes, deletes...)
}

// drift lists the fields in which a hook differs from what we want of it.
// Enabled is not among them: switching it back on has consequences of its own.
func drift(have, want crossbar.Hook) []FieldChange {
	var f []FieldChange
	diff := func(name, before, after string) {
		if before != after {
			f = append(f, FieldChange{name, before, after})
		}
	}
	diff("hook", have.Hook, want.Hook)
	if have.URI != want.URI {
		c := FieldChange{"uri", redactURI(have.URI), redactURI(want.URI)}
		if c.Before == c.After {
			c.Before += " (another secret)"
		}
		f = append(f, c)
	}
	diff("http_verb", have.Verb, want.Verb)
	diff("format", have.Format, want.Format)
	diff("retries", fmt.Sprint(have.Retries), fmt.Sprint(want.Retries))
	diff("custom_data", customDataText(have.CustomData), customDataText(want.CustomData))
	diff("include_subaccounts", fmt.Sprint(have.IncludeSubaccounts), fmt.Sprint(want.IncludeSubaccounts))
	return f
}

func customDataText(data map[string]any) string {
	pairs := make([]string, 0, len(data))
	for k, v := range data {
		pairs = append(pairs, fmt.Sprintf("%s=%v", k, v))
	}
	sort.Strings(pairs)
	return strings.Join(pairs, ",")
}
