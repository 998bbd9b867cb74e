package registration

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/crossbar"
)

func desired(specs ...Spec) []crossbar.Hook {
	return Desired{Owner: "kazoohook", PublicURL: "https://hooks.example.com/", Secret: "a-secret-of-many-chars", Retries: 3, InternalLegs: true}.Hooks(specs, false)
}

func as(h crossbar.Hook, id string, change func(*crossbar.Hook)) crossbar.Hook {
	h.ID = id
	if change != nil {
		change(&h)
	}
	return h
}

func summary(changes []Change) []string {
	var out []string
	for _, c := range changes {
		s := fmt.Sprintf("%s %s", c.Kind, c.Hook.Name)
		if c.Hook.ID != "" {
			s += " " + c.Hook.ID
		}
		for _, f := range c.Fields {
			s += fmt.Sprintf(" %s:%s>%s", f.Field, f.Before, f.After)
		}
		if c.Reason != "" {
			s += " (" + c.Reason + ")"
		}
		out = append(out, s)
	}
	return out
}

func TestPlan(t *testing.T) {
	t.Parallel()
	userDeleted := Spec{"object", "user", "doc_deleted"}
	want := desired(userDeleted)[0]
	sms := desired(Spec{Hook: "sms"})[0]
	drifted := func(f func(*crossbar.Hook)) []crossbar.Hook { return []crossbar.Hook{as(want, "1", f)} }

	tests := map[string]struct {
		specs  []Spec
		actual []crossbar.Hook
		want   []string
	}{
		"nothing registered": {
			specs: []Spec{userDeleted},
			want:  []string{"create kazoohook object user doc_deleted"},
		},
		"all is well": {
			specs:  []Spec{userDeleted},
			actual: []crossbar.Hook{as(want, "1", nil)},
		},
		"uri drifted, without the secret in the plan": {
			specs:  []Spec{userDeleted},
			actual: drifted(func(h *crossbar.Hook) { h.URI = "https://old.example.com/kazoo/another-secret-of-ours/object" }),
			want:   []string{"update kazoohook object user doc_deleted 1 uri:https://old.example.com/kazoo/***/object>https://hooks.example.com/kazoo/***/object"},
		},
		"only the secret drifted": {
			specs:  []Spec{userDeleted},
			actual: drifted(func(h *crossbar.Hook) { h.URI = "https://hooks.example.com/kazoo/another-secret-of-ours/object" }),
			want:   []string{"update kazoohook object user doc_deleted 1 uri:https://hooks.example.com/kazoo/***/object (another secret)>https://hooks.example.com/kazoo/***/object"},
		},
		"every other field drifted": {
			specs: []Spec{userDeleted},
			actual: drifted(func(h *crossbar.Hook) {
				h.Hook, h.Verb, h.Format, h.Retries, h.IncludeSubaccounts = "sms", "get", "json", 1, true
				h.CustomData = map[string]any{"type": "device", "action": "all"}
			}),
			want: []string{"update kazoohook object user doc_deleted 1 hook:sms>object http_verb:get>post format:json>form-data retries:1>3" +
				" custom_data:action=all,type=device>action=doc_deleted,type=user include_subaccounts:true>false"},
		},
		"auto-disabled": {
			specs:  []Spec{userDeleted},
			actual: drifted(func(h *crossbar.Hook) { h.Enabled, h.DisableReason = false, "too many failed attempts" }),
			want:   []string{"enable kazoohook object user doc_deleted 1 (too many failed attempts)"},
		},
		"duplicates: the smallest id stays, whatever the order": {
			specs:  []Spec{userDeleted},
			actual: []crossbar.Hook{as(want, "3", nil), as(want, "1", nil), as(want, "2", nil)},
			want: []string{"delete kazoohook object user doc_deleted 2 (duplicate of 1)",
				"delete kazoohook object user doc_deleted 3 (duplicate of 1)"},
		},
		"no longer wanted, after the new one is there": {
			specs:  []Spec{userDeleted},
			actual: []crossbar.Hook{as(sms, "9", nil)},
			want:   []string{"create kazoohook object user doc_deleted", "delete kazoohook sms 9 (no longer wanted)"},
		},
		"part of another": {
			specs:  []Spec{{"object", "user", "all"}},
			actual: []crossbar.Hook{as(desired(Spec{"object", "user", "all"})[0], "2", nil), as(want, "1", nil)},
			want:   []string{"delete kazoohook object user doc_deleted 1 (part of kazoohook object user all)"},
		},
		"part of another that does not fire yet": {
			specs:  []Spec{{"object", "user", "all"}},
			actual: []crossbar.Hook{as(want, "1", nil)},
			want:   []string{"create kazoohook object user all"},
		},
		"hooks of others are not touched": {
			specs: []Spec{userDeleted},
			actual: []crossbar.Hook{
				as(want, "1", nil),
				as(want, "2", func(h *crossbar.Hook) { h.Name = "billing" }),
				as(want, "3", func(h *crossbar.Hook) { h.Name = "kazoohook" }),
				as(want, "4", func(h *crossbar.Hook) { h.Name = "kazoohooks object user doc_deleted" }),
				as(want, "5", func(h *crossbar.Hook) { h.Name = "kazoohook staging object user doc_deleted" }),
				as(want, "6", func(h *crossbar.Hook) { h.Name = "kazoohook staging sms" }),
				as(want, "7", func(h *crossbar.Hook) { h.Name = "Kazoohook sms" }),
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, summary(Plan("kazoohook", desired(tc.specs...), tc.actual))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	v43 := []crossbar.OfferedHook{
		{ID: "object", Modifiers: map[string][]string{"type": {"user", "device"}, "action": {"doc_created", "doc_deleted"}}},
		{ID: "notifications"}, {ID: "sms"},
	}
	v5 := []crossbar.OfferedHook{{ID: "object", Modifiers: map[string][]string{"type": {"user", "device", "all"}, "action": {"doc_deleted", "all"}}}}
	tests := map[string]struct {
		offered  []crossbar.OfferedHook
		have     []Spec
		specs    []Spec
		want     []Spec
		problems []string
	}{
		"as offered":      {v43, nil, []Spec{{"object", "user", "doc_deleted"}}, []Spec{{"object", "user", "doc_deleted"}}, nil},
		"all where it is": {v5, nil, []Spec{{"object", "all", "all"}}, []Spec{{"object", "all", "all"}}, nil},
		"all where it is not": {v43, nil, []Spec{{"object", "all", "all"}, {"object", "user", "doc_deleted"}},
			[]Spec{{"object", "user", "doc_created"}, {"object", "user", "doc_deleted"}, {"object", "device", "doc_created"}, {"object", "device", "doc_deleted"}}, nil},
		"no modifiers listed": {v43, nil, []Spec{{"notifications", "new_user", ""}, {"sms", "", ""}}, []Spec{{"notifications", "new_user", ""}, {"sms", "", ""}}, nil},
		"the hook called all": {v43, nil, []Spec{{"all", "", ""}}, []Spec{{"all", "", ""}}, nil},
		"not offered": {v43, nil, []Spec{{"cdr", "", ""}, {"object", "fax", "doc_deleted"}, {"sms", "", ""}}, []Spec{{"sms", "", ""}},
			[]string{`HOOKS: this Kazoo offers no hook "cdr"; it offers object, notifications, sms`, `HOOKS: this Kazoo offers no type "fax" for "object"; it offers user, device`}},
		"an empty offer": {nil, []Spec{{Hook: "sms"}, {"object", "device", "doc_deleted"}}, []Spec{{Hook: "sms"}, {Hook: "cdr"}, {Hook: "mms"}, {"object", "all", "doc_deleted"}},
			[]Spec{{Hook: "sms"}, {"object", "device", "doc_deleted"}}, []string{emptyOffer}},
		"what is there is kept though the offer lacks it": {v43, []Spec{{"object", "fax", "doc_deleted"}, {"object", "fax", "doc_created"}, {Hook: "cdr"}},
			[]Spec{{Hook: "cdr"}, {"object", "all", "doc_deleted"}},
			[]Spec{{Hook: "cdr"}, {"object", "user", "doc_deleted"}, {"object", "device", "doc_deleted"}, {"object", "fax", "doc_deleted"}}, nil},
		"a wider one stays while the offer lacks the narrower": {nil, []Spec{{"object", "all", "doc_deleted"}, {"object", "all", "doc_edited"}},
			[]Spec{{"object", "user", "doc_deleted"}}, []Spec{{"object", "all", "doc_deleted"}}, []string{emptyOffer}},
		"a wider one gives way to what is offered": {v5, []Spec{{"object", "all", "doc_deleted"}}, []Spec{{"object", "user", "doc_deleted"}},
			[]Spec{{"object", "user", "doc_deleted"}}, nil},
		"all exists, the offer lacks it": {v43, []Spec{{"object", "all", "all"}}, []Spec{{"object", "all", "all"}}, []Spec{{"object", "all", "all"}}, nil},
		"narrower ones give way to all":  {v5, []Spec{{"object", "user", "doc_deleted"}}, []Spec{{"object", "all", "all"}}, []Spec{{"object", "all", "all"}}, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problems := Expand(tc.specs, tc.offered, tc.have)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("specs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.problems, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// After the changes of a plan, the next plan is empty, even with two equal hooks.
func TestPlanOfItsOwnResultIsEmpty(t *testing.T) {
	t.Parallel()
	want := desired(Spec{"object", "user", "doc_deleted"}, Spec{Hook: "sms"}, Spec{"notifications", "new_user", ""})
	actual := []crossbar.Hook{as(want[0], "b", func(h *crossbar.Hook) { h.Retries = 0; h.Enabled = false }), as(want[0], "c", nil)}
	for _, c := range Plan("kazoohook", want, actual) {
		switch c.Kind {
		case Create:
			actual = append(actual, as(c.Hook, "new-"+c.Hook.Name, nil))
		case Update, Enable:
			for i := range actual {
				if actual[i].ID == c.Hook.ID {
					actual[i] = c.Hook
				}
			}
		case Delete:
			actual = append([]crossbar.Hook(nil), actual...)
			for i := range actual {
				if actual[i].ID == c.Hook.ID {
					actual = append(actual[:i], actual[i+1:]...)
					break
				}
			}
		}
	}
	if left := Plan("kazoohook", want, actual); len(left) != 0 {
		t.Errorf("the plan of its own result: %v", summary(left))
	}
}
