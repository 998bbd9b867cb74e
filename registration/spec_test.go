package registration

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kazoohook/internal/crossbar"
)

// deleting is a stub that also deletes hooks.
type deleting struct{ *stub }

func (d deleting) DeleteHook(_ context.Context, _, id string) error {
	d.set(func() { d.hooks = slices.DeleteFunc(d.hooks, func(h crossbar.Hook) bool { return h.ID == id }) })
	return nil
}

// TestNamesReadBack: whatever types and actions HOOKS or the cluster names, a hook is
// found again by its name. A second pass plans nothing, and unregister removes all.
func TestNamesReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9_]{0,8}`), rapid.SampledFrom([]string{"click2call", "agent-state", "a b", "a:b", "a%2Db", "", all}))
		hook := rapid.OneOf(rapid.SampledFrom([]string{"object", "notifications", "stream", "sms"}), rapid.StringMatching(`[a-z][a-z0-9_]{0,10}`))
		spec := rapid.Custom(func(t *rapid.T) Spec {
			return Spec{hook.Draw(t, "hook"), word.Draw(t, "type"), word.Draw(t, "action")}
		})
		specs := rapid.SliceOfNDistinct(spec, 1, 5, rapid.ID).Draw(t, "specs")
		for _, s := range specs {
			if got, ok := specOfName("kazoohook", "kazoohook "+s.String()); !ok || got != s {
				t.Fatalf("%q is read as %q, %v", s, got, ok)
			}
		}
		s := &stub{attemptLog: &attemptLog{now: time.Now}}
		for _, sp := range specs { // a list without values accepts all
			s.offered = append(s.offered, crossbar.OfferedHook{ID: sp.Hook})
		}
		r := NewReconciler(deleting{s}, reconcilerOptions(testURL, specs...))
		for range 3 {
			if err := r.RunOnce(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if changes, problems, err := r.Plan(context.Background()); err != nil || len(changes)+len(problems) != 0 || s.created > len(specs) {
			t.Fatalf("%d hooks created; planned again: %v, %v, %v", s.created, summary(changes), problems, err)
		}
		if _, err := r.Unregister(context.Background()); err != nil || len(s.hooks) != 0 {
			t.Fatalf("%d hooks are left: %v", len(s.hooks), err)
		}
	})
}

// TestOfferedTypesAreFoundAgain: types that only the cluster names make one hook each,
// however often they are checked.
func TestOfferedTypesAreFoundAgain(t *testing.T) {
	t.Parallel()
	s := &stub{attemptLog: &attemptLog{now: time.Now}, offered: []crossbar.OfferedHook{
		{ID: "object", Modifiers: map[string][]string{"type": {"user", "click2call"}, "action": {"doc_deleted"}}},
		{ID: "qubicle_queue", Modifiers: map[string][]string{"type": {"agent-state", "Member State"}}},
		{ID: "other", Modifiers: map[string][]string{"action": {"made"}}},
	}}
	r := NewReconciler(deleting{s}, reconcilerOptions(testURL, Spec{"object", all, all}, Spec{Hook: "qubicle_queue"}, Spec{Hook: "other"}))
	for range 3 {
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.hooks) != 5 {
		t.Errorf("%d hooks, want 5", len(s.hooks))
	}
	if removed, err := r.Unregister(t.Context()); err != nil || len(removed) != 5 || len(s.hooks) != 0 {
		t.Errorf("removed %v, left %d: %v", summary(removed), len(s.hooks), err)
	}
}

// TestUnreadableNameIsAProblem: a hook that could not be found again is not created.
func TestUnreadableNameIsAProblem(t *testing.T) {
	t.Parallel()
	odd := Spec{Hook: "Not a hook"}
	s := &stub{attemptLog: &attemptLog{now: time.Now}, offered: []crossbar.OfferedHook{{ID: odd.Hook}, {ID: "sms"}}}
	r := NewReconciler(s, reconcilerOptions(testURL, odd, Spec{Hook: "sms"}))
	for range 2 {
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, why := r.Status().Ready(); len(s.hooks) != 1 || !strings.Contains(why, "could not be recognised") {
		t.Errorf("%d hooks; %s", len(s.hooks), why)
	}
	if changes := Plan("kazoohook", desired(odd), nil); len(changes) != 0 {
		t.Errorf("planned: %v", summary(changes))
	}
}

// TestNamesStay: names that existing hooks have are written as before.
func TestNamesStay(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Spec{
		"object user doc_deleted": {"object", "user", "doc_deleted"}, "notifications new_user": {"notifications", "new_user", ""},
		"stream all": {"stream", all, ""}, "sms": {Hook: "sms"}, "qubicle_queue:a1:b": {"qubicle_queue", "a1", "b"},
	} {
		if s.String() != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
	for _, foreign := range []string{"staging sms", "object user", "object User doc deleted", "sms:a:b:c", "sms:", "x:%zz", "object:user:doc_deleted"} {
		if s, ok := specOfName("kazoohook", "kazoohook "+foreign); ok {
			t.Errorf("%q is taken for ours: %q", foreign, s)
		}
	}
}
