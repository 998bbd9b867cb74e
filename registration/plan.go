package registration

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// Desired is what should be registered.
type Desired struct {
	Owner              string   // first word of our hooks' names
	PublicURL          string   // base URL under which Kazoo reaches us
	Secret             string   // path segment that proves a request is Kazoo's
	PreviousSecret     string   // still accepted beside Secret; "": none
	Specs              []Spec   // what HOOKS names
	Hidden             []Spec   // registered too if the cluster offers them: see HiddenSpecs
	Retries            int      // further tries after the first, 0 to 4
	Format             string   // FormatAuto, FormatForm or FormatJSON; empty: FormatAuto
	InternalLegs       bool     // sent if Kazoo knows include_internal_legs
	Keys               *Keyring // nil: hooks are registered with version 1
	IncludeSubaccounts bool
}

// The formats in which Kazoo sends. FormatAuto means JSON if a form can't carry
// everything or can't be verified.
const (
	FormatAuto = "auto"
	FormatForm = "form-data"
	FormatJSON = "json"
)

// needsJSON reports whether a form can't carry the events of a spec, or isn't known
// to: 4.3's form encoder crashes on lists of objects, so such notifications are never
// sent and leave no record (kazoo 4.3 core/kazoo_web/src/kz_http_util.erl,
// json_to_querystring). Kazoo fires them to hooks called all, too.
func (s Spec) needsJSON() bool {
	if s.Hook == "notifications" {
		return slices.Contains([]string{all, "bill_reminder", "service_added", "topup", "transaction"}, s.Type)
	}
	return s.Hook == all || !event.KnownHook(s.Hook)
}

// Hooks returns the hook that Kazoo should have for each spec. If it should be
// signed, it has version 2 and the newest key.
//
// The format is always explicit: Kazoo crashes when it fires a hook without one
// (kazoo HEAD applications/webhooks/src/webhooks_util.erl).
func (d Desired) Hooks(specs []Spec, signed bool) []crossbar.Hook {
	hooks := make([]crossbar.Hook, 0, len(specs))
	for _, s := range specs {
		legs := d.InternalLegs
		h := crossbar.Hook{
			Hook:               s.Hook,
			Name:               d.Owner + " " + s.String(),
			URI:                strings.TrimRight(d.PublicURL, "/") + "/kazoo/" + d.Secret + "/" + s.Hook,
			Verb:               "post",
			Format:             d.Format,
			Retries:            d.Retries,
			CustomData:         s.customData(),
			IncludeSubaccounts: d.IncludeSubaccounts,
			InternalLegs:       &legs,
			Enabled:            true,
		}
		switch {
		case signed:
			h.Format, h.Version, h.SecurityKey = FormatJSON, version2, d.Keys.Newest()
		case h.Format != FormatForm && h.Format != FormatJSON && s.needsJSON():
			h.Format = FormatJSON
		case h.Format != FormatJSON:
			h.Format = FormatForm
		}
		hooks = append(hooks, h)
	}
	return hooks
}

// Purpose returns why a hook is registered that HOOKS doesn't name; "" for one that
// HOOKS names.
func (d Desired) Purpose(s Spec) string {
	switch {
	case covered(d.Specs, s) || !slices.Contains(d.Hidden, s):
		return ""
	case s == switchedOff():
		return forRepair
	}
	return forSnapshot
}

// accepts reports whether a URI has one of our secrets.
func (d Desired) accepts(uri string) bool {
	return ourSecret(uri, d.Secret, d.PreviousSecret)
}

// Owned reports whether a hook of this name is the owner's: its name is the owner's
// name, a space and the words of a Spec. So "kazoohook staging sms" is not owned by
// "kazoohook".
func Owned(owner, name string) bool {
	_, ok := specOfName(owner, name)
	return ok
}

// ChangeKind is what a Change does to a hook.
type ChangeKind string

// The kinds of changes, in the order in which a plan applies them: deletions go
// last, so that no event falls between an old hook and its successor.
const (
	Create ChangeKind = "create"
	Update ChangeKind = "update"
	Enable ChangeKind = "enable"
	Delete ChangeKind = "delete"
)

// Change is one step of a plan.
type Change struct {
	Kind    ChangeKind
	Hook    crossbar.Hook // as it should be; for Delete as it is
	Before  crossbar.Hook // as it is; zero for Create
	Fields  []FieldChange // Update: what differs
	Reason  string        // Enable: Kazoo's disable reason; Delete: the reason
	Purpose string        // of a hook that HOOKS doesn't name: see Desired.Purpose
}

// FieldChange is one field of a hook that differs. Values never show the secret.
type FieldChange struct {
	Field, Before, After string
	had, asked           string // Before and After as they may be stored: secret ones as digests
}

// Plan compares desired with actual hooks and returns the changes that make them
// equal. It is pure. Hooks that aren't named after the owner are never part of it.
// A plan for its own result is empty.
//
// Kazoo enforces no uniqueness (cb_webhooks.erl), so of several hooks with one name
// the one with the smallest id stays: two receivers that start at once choose the
// same survivor. A redundant hook is deleted only when the one that covers it is as
// it should be.
func Plan(owner string, desired, actual []crossbar.Hook) []Change {
	byName := map[string][]crossbar.Hook{}
	for _, h := range actual {
		if Owned(owner, h.Name) {
			byName[h.Name] = append(byName[h.Name], h)
		}
	}
	var changes, deletes []Change
	var firing []Spec // desired, and as they should be
	unsettled := map[Spec]bool{}
	for _, want := range desired {
		spec, ok := specOfName(owner, want.Name)
		if !ok {
			continue // see recognisable
		}
		have := byName[want.Name]
		delete(byName, want.Name)
		if len(have) == 0 {
			unsettled[spec] = true
			changes = append(changes, Change{Kind: Create, Hook: want})
			continue
		}
		sort.Slice(have, func(i, j int) bool { return have[i].ID < have[j].ID })
		for _, twin := range have[1:] {
			deletes = append(deletes, Change{Kind: Delete, Hook: twin, Before: twin, Reason: "duplicate of " + have[0].ID})
		}
		want.ID = have[0].ID
		fields := differences(have[0], want)
		switch {
		case len(fields) > 0:
			changes = append(changes, Change{Kind: Update, Hook: want, Before: have[0], Fields: fields})
		case !have[0].Enabled:
			changes = append(changes, Change{Kind: Enable, Hook: want, Before: have[0], Reason: have[0].DisableReason})
		default:
			firing = append(firing, spec)
			continue
		}
		unsettled[spec] = true
	}
	for name, hooks := range byName {
		spec, _ := specOfName(owner, name)
		reason := "no longer wanted"
		for wide := range unsettled {
			if wide.covers(spec) {
				reason = ""
			}
		}
		for _, wide := range firing {
			if wide.covers(spec) {
				reason = "part of " + owner + " " + wide.String()
			}
		}
		for _, h := range hooks {
			if reason != "" {
				deletes = append(deletes, Change{Kind: Delete, Hook: h, Before: h, Reason: reason})
			}
		}
	}
	sort.Slice(deletes, func(i, j int) bool { return deletes[i].Hook.ID < deletes[j].Hook.ID })
	return append(changes, deletes...)
}

// setting describes a field of a hook that registration sets and compares.
type setting struct {
	name   string
	value  func(crossbar.Hook) string
	show   func(string) string // for display; nil: unchanged
	secret bool                // stored only as a digest
	known  bool                // compared only if Kazoo returns it
}

func settings() []setting {
	return []setting{
		{name: "hook", value: func(h crossbar.Hook) string { return h.Hook }},
		{name: uriField, value: func(h crossbar.Hook) string { return h.URI }, show: redactURI, secret: true},
		{name: "http_verb", value: func(h crossbar.Hook) string { return h.Verb }},
		{name: "format", value: func(h crossbar.Hook) string { return h.Format }},
		{name: "retries", value: func(h crossbar.Hook) string { return fmt.Sprint(h.Retries) }},
		{name: "custom_data", value: func(h crossbar.Hook) string { return customDataText(h.CustomData) }},
		{name: "version", value: func(h crossbar.Hook) string { return cmp.Or(h.Version, version1) }},
		{name: keyField, value: func(h crossbar.Hook) string { return string(h.SecurityKey) }, show: masked, secret: true},
		{name: legsField, known: true, value: func(h crossbar.Hook) string {
			if h.InternalLegs == nil {
				return ""
			}
			return fmt.Sprint(*h.InternalLegs)
		}},
		{name: "include_subaccounts", value: func(h crossbar.Hook) string { return fmt.Sprint(h.IncludeSubaccounts) }},
	}
}

const (
	uriField  = "uri"
	legsField = "include_internal_legs"
	keyField  = "security_settings"
)

func masked(secret string) string {
	if secret == "" {
		return ""
	}
	return "***"
}

// kept returns the form in which a setting's value may be stored.
func (s setting) kept(h crossbar.Hook) string {
	v := s.value(h)
	if s.secret && v != "" {
		return digest(v)
	}
	return v
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// differences lists the fields in which a hook differs from the wanted one, without
// Enabled: switching a hook on is a separate change.
func differences(have, want crossbar.Hook) []FieldChange {
	var out []FieldChange
	for _, s := range settings() {
		before, after := s.value(have), s.value(want)
		if before == after || s.known && before == "" {
			continue
		}
		c := FieldChange{s.name, before, after, s.kept(have), s.kept(want)}
		if s.show != nil {
			c.Before, c.After = s.show(before), s.show(after)
		}
		if c.Before == c.After {
			c.Before += " (another secret)"
		}
		out = append(out, c)
	}
	return out
}

func customDataText(data map[string]any) string {
	pairs := make([]string, 0, len(data))
	for k, v := range data {
		pairs = append(pairs, fmt.Sprintf("%s=%v", k, v))
	}
	sort.Strings(pairs)
	return strings.Join(pairs, ",")
}
