package registration

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
)

// TestAbsenceIsNoEvidence: with an empty or partial offer no hook is deleted, and the
// offer is read again.
func TestAbsenceIsNoEvidence(t *testing.T) {
	t.Parallel()
	specs := []Spec{{"object", "user", "doc_deleted"}, {"object", "device", "all"}, {Hook: "sms"}}
	full := []crossbar.OfferedHook{{ID: "object", Modifiers: map[string][]string{"type": {"device", "user"}, "action": {"doc_created", "doc_edited", "doc_deleted"}}}, {ID: "sms"}}
	kazoo := func(offered []crossbar.OfferedHook) (*stub, *Reconciler) {
		s := &stub{attemptLog: &attemptLog{now: time.Now}, offered: offered}
		opts := reconcilerOptions(testURL, specs...)
		return s, NewReconciler(s, opts)
	}
	for name, offered := range map[string][]crossbar.OfferedHook{
		"empty": {}, "one hook": {{ID: "sms"}}, "fewer types": {{ID: "object", Modifiers: map[string][]string{"type": {"device"}, "action": {"doc_deleted"}}}},
	} {
		s, r := kazoo(offered)
		if err := r.RunOnce(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if ok, why := r.Status().Ready(); ok || !strings.Contains(why, "HOOKS") {
			t.Errorf("%s: ready %v, %q", name, ok, why)
		}
		if name == "empty" && (r.Status().Firing() || len(s.hooks) != 0) {
			t.Errorf("%s: firing with %d hooks", name, len(s.hooks))
		}
		s.set(func() { s.offered = full })
		if err := r.RunOnce(t.Context()); err != nil { // at the next pass
			t.Errorf("%s: %v", name, err)
		}
		if ok, why := r.Status().Ready(); !ok || len(s.hooks) != 5 {
			t.Errorf("%s, then full: %d hooks, %s", name, len(s.hooks), why)
		}
		// A new process sees the same offer and the same hooks.
		s.set(func() { s.offered = offered; s.hooks[4].Enabled = false })
		r = NewReconciler(s, reconcilerOptions(testURL, specs...))
		changes, _, err := r.Plan(t.Context())
		if err != nil || len(changes) != 1 || changes[0].Kind != Enable {
			t.Errorf("%s: plans %v, %v", name, summary(changes), err)
		}
		if err := r.RunOnce(t.Context()); err != nil || len(s.hooks) != 5 || !s.hooks[4].Enabled {
			t.Errorf("%s: %v, left %d hooks", name, err, len(s.hooks))
		}
		for _, h := range s.hooks { // one is removed by a person meanwhile
			if h.Hook == "sms" {
				s.set(func() { s.hooks = append([]crossbar.Hook{}, s.hooks[:4]...) })
			}
		}
	}
}

// TestPartialOfferOfTypes: if several hooks cover all types, a type that the offer
// lacked is registered as soon as it is offered.
func TestPartialOfferOfTypes(t *testing.T) {
	t.Parallel()
	offer := func(types ...string) []crossbar.OfferedHook {
		return []crossbar.OfferedHook{{ID: "object", Modifiers: map[string][]string{"type": types, "action": {"doc_created", "doc_deleted"}}}}
	}
	s := &stub{attemptLog: &attemptLog{now: time.Now}, offered: offer("device")}
	r := NewReconciler(s, reconcilerOptions(testURL, Spec{"object", "all", "doc_deleted"}))
	for _, types := range [][]string{{"device"}, {"device"}, {"device", "user"}, {}, {"user"}} { // {}: without a list of types
		s.set(func() { s.offered = offer(types...) })
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(s.hooks) < len(types) {
			t.Errorf("%v offered, %d hooks", types, len(s.hooks))
		}
	}
	if len(s.hooks) != 2 {
		t.Errorf("%d hooks after all", len(s.hooks))
	}
}

// TestNotificationsThatTheOfferHides: Kazoo 5 shows two notifications to superadmins only,
// and accepts them from all accounts.
func TestNotificationsThatTheOfferHides(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{Version: "5"})
	for range 2 {
		r := NewReconciler(c.api, reconcilerOptions("http://127.0.0.1:1", Spec{Hook: "notifications", Type: "system_alert"}, switchedOff()))
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ok, why := r.Status().Ready(); !ok || len(c.hooks(t)) != 2 {
			t.Errorf("%d hooks, %s", len(c.hooks(t)), why)
		}
	}
}

// declining is a Kazoo that refuses notifications.
type declining struct {
	*stub
	tries int
}

func (d *declining) CreateHook(ctx context.Context, account string, h crossbar.Hook) (crossbar.Hook, error) {
	if h.Hook == "notifications" {
		d.tries++
		return h, &crossbar.Error{Op: "hooks.create", Status: http.StatusBadRequest}
	}
	return d.stub.CreateHook(ctx, account, h)
}

// TestDeclinedNotification: a notification that the offer hides and that Kazoo refuses is a
// problem if HOOKS names it, and isn't tried at each check.
func TestDeclinedNotification(t *testing.T) {
	t.Parallel()
	for name, hidden := range map[string]bool{"in HOOKS": false, "hidden": true} {
		d := &declining{stub: &stub{attemptLog: &attemptLog{now: time.Now}, offered: []crossbar.OfferedHook{{ID: "sms"}, {ID: "notifications", Modifiers: map[string][]string{"type": {"new_user"}}}}}}
		now := newClock()
		opts := reconcilerOptions(testURL, Spec{Hook: "sms"}, switchedOff())
		if hidden {
			opts.Specs = opts.Specs[:1]
			opts.Hidden = HiddenSpecs(opts.Specs)
		}
		opts.Now = now.now
		r := NewReconciler(d, opts)
		for range 4 {
			if err := r.RunOnce(t.Context()); err != nil {
				t.Fatal(name, err)
			}
		}
		ok, why := r.Status().Ready()
		if d.tries != 1 || len(d.hooks) != 1 || ok != hidden || !hidden && !strings.Contains(why, `no type "webhook_disabled"`) {
			t.Errorf("%s: %d tries, %d hooks, %s", name, d.tries, len(d.hooks), why)
		}
		if now.add(2 * time.Hour); r.RunOnce(t.Context()) != nil || d.tries != 2 {
			t.Errorf("%s: %d tries two hours later", name, d.tries)
		}
	}
}
