package registration

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
)

func TestPlanByHand(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.AccountID = "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab50" // an account below the login's
	r := NewReconciler(c.api, opts)
	for range 2 {
		plan, problems, err := r.Plan(t.Context())
		if err != nil || len(plan) != 1 || plan[0].Kind != Create || len(problems) != 0 {
			t.Fatalf("%+v, %v, %v", plan, problems, err)
		}
	}
	if n := len(c.Hooks()); n != 0 {
		t.Errorf("planning made %d hooks", n)
	}
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if plan, _, err := r.Plan(t.Context()); err != nil || len(plan) != 0 {
		t.Errorf("%+v, %v", plan, err)
	}
	if hooks := c.Hooks(); len(hooks) != 1 || hooks[0].AccountID != opts.AccountID {
		t.Errorf("hooks: %+v", hooks)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := NewReconciler(c.client(t), opts)
	if _, _, err := fresh.Plan(ctx); err == nil {
		t.Error("planned without a login")
	}
	if _, err := fresh.Unregister(ctx); err == nil {
		t.Error("unregistered without a login")
	}
	if _, _, err := r.Plan(ctx); err == nil {
		t.Error("planned without a listing")
	}
	if _, err := r.Unregister(ctx); err == nil {
		t.Error("unregistered without a listing")
	}
}

func TestDriftIsRepaired(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	var logged bytes.Buffer
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Log = zerolog.New(&logged)
	r := NewReconciler(c.api, opts)
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := c.hooks(t)[0]
	h.URI, h.Retries, h.Format, h.Enabled = "http://127.0.0.1:1/kazoo/another-secret-0000/object", 1, "json", false
	if _, err := c.api.ReplaceHook(t.Context(), c.AccountID(), h); err != nil {
		t.Fatal(err)
	}
	// The details are read in turn, so a change is also found by a process that
	// already knew the hook.
	for range 2 {
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h = c.hooks(t)[0]
	if !h.Enabled || h.Retries != 3 || h.Format != "form-data" || !strings.Contains(h.URI, testSecret) {
		t.Errorf("repaired: %+v", h)
	}
	for _, want := range []string{"(another secret)", `"last_failure":"unknown`, "switched off by hand"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, &logged)
		}
	}
	if r.Status().Repairs != 1 {
		t.Errorf("%d repairs", r.Status().Repairs)
	}
	// A second hook is deleted.
	if _, err := c.api.CreateHook(t.Context(), c.AccountID(), h); err != nil {
		t.Fatal(err)
	}
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(c.hooks(t)); n != 1 || !strings.Contains(logged.String(), "hook deleted") {
		t.Errorf("%d hooks; log:\n%s", n, &logged)
	}
}

func TestLostAnswersAndRefusals(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	// The hook is created but the answer is lost: it is found, not created again.
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultLose, Op: "webhooks.create", Count: 1}); err != nil {
		t.Fatal(err)
	}
	r := NewReconciler(c.api, reconcilerOptions("http://127.0.0.1:1", Spec{"object", "user", "doc_deleted"}, Spec{"object", "device", "doc_deleted"}))
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(c.hooks(t)); n != 2 {
		t.Errorf("%d hooks, want 2", n)
	}
	// No hook can be enabled: that is an error, and the hooks don't fire.
	for _, h := range c.hooks(t) {
		if err := c.DisableHook(h.ID, fakekazoo.ReasonTooManyFailures); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Op: "webhooks.patch", Status: 409, Count: 2}); err != nil {
		t.Fatal(err)
	}
	if err := r.RunOnce(t.Context()); err == nil || !strings.Contains(err.Error(), "enable hook") {
		t.Errorf("error: %v", err)
	}
	if s := r.Status(); s.Firing() || s.Failures != 1 || s.Runs != 2 || s.Repairs != 0 {
		t.Errorf("status: %+v", s)
	}
	if err := r.RunOnce(t.Context()); err != nil || !r.Status().Firing() {
		t.Errorf("%v, %+v", err, r.Status())
	}
	for op, call := range map[string]func() error{
		"webhooks.delete": func() error { _, err := r.Unregister(t.Context()); return err },
		"webhooks.get": func() error {
			return NewReconciler(c.client(t), reconcilerOptions("http://127.0.0.1:1")).RunOnce(t.Context())
		},
		"webhooks.list": func() error { return r.RunOnce(t.Context()) },
	} {
		c.ClearFaults()
		if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Op: op, Status: 409}); err != nil {
			t.Fatal(err)
		}
		if err := call(); err == nil {
			t.Errorf("%s refused: no error", op)
		}
	}
}

func TestExpandOffers(t *testing.T) {
	t.Parallel()
	offered := []crossbar.OfferedHook{{ID: "object", Modifiers: map[string][]string{"type": {"user", "device"}, "action": {"doc_deleted"}}}, {ID: "sms"},
		{ID: "notifications", Modifiers: map[string][]string{"type": {"new_user"}}}}
	got, problems := Expand([]Spec{{Hook: "all"}, {Hook: "sms"}, {Hook: "sms"}, {"object", "all", "doc_deleted"}, {"notifications", "all", ""},
		{"object", "fish", "doc_deleted"}, {"object", "user", "eaten"}, {Hook: "cdr"}}, offered, nil)
	want := []Spec{{Hook: "all"}, {Hook: "sms"}, {"object", "user", "doc_deleted"}, {"object", "device", "doc_deleted"}, {"notifications", "new_user", ""}}
	if !slices.Equal(got, want) {
		t.Errorf("expanded: %v", got)
	}
	if len(problems) != 3 || !strings.Contains(problems[0], `no type "fish"`) || !strings.Contains(problems[1], `no action "eaten"`) || !strings.Contains(problems[2], `no hook "cdr"`) {
		t.Errorf("problems: %q", problems)
	}
	for spec, yes := range map[Spec]bool{{Hook: "all"}: true, {"object", "all", "all"}: true, {"object", "device", "all"}: false, {Hook: "sms"}: false} {
		if spec.Watches("user", "doc_deleted") != yes {
			t.Errorf("%v watches users' deletion: %v", spec, !yes)
		}
	}
}

// TestByHandAndByLoopAtOnce: the loop, a plan and an unregistration work at the same
// time.
func TestByHandAndByLoopAtOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	r := NewReconciler(c.api, reconcilerOptions("http://127.0.0.1:1"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := r.RunOnce(t.Context()); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, _, err := r.Plan(t.Context()); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := r.Unregister(t.Context()); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() { r.Status().Ready(); r.Has("h1") })
	}
	wg.Wait()
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(c.hooks(t)); n != 1 {
		t.Errorf("%d hooks", n)
	}
}

// TestFiringTwinStaysUntilTheOtherFires: of two hooks with one name, the one that stays
// is switched off and has to wait until it is enabled. Meanwhile the other one fires.
func TestFiringTwinStaysUntilTheOtherFires(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	now := newClock()
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Now = now.now
	r := NewReconciler(c.api, opts)
	run := func() {
		t.Helper()
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	disable := func(id string) {
		t.Helper()
		if err := c.DisableHook(id, fakekazoo.ReasonTooManyFailures); err != nil {
			t.Fatal(err)
		}
	}
	run()
	h := c.hooks(t)[0]
	disable(h.ID)
	run() // it is enabled at once; from now on there are pauses
	twin, err := c.api.CreateHook(t.Context(), c.AccountID(), h)
	if err != nil {
		t.Fatal(err)
	}
	stays, fires := min(h.ID, twin.ID), max(h.ID, twin.ID)
	disable(stays)
	run()
	if hooks := c.hooks(t); len(hooks) != 2 || !slices.ContainsFunc(hooks, func(h crossbar.Hook) bool { return h.ID == fires && h.Enabled }) {
		t.Errorf("no hook fires: %+v", hooks)
	}
	now.add(repairPause)
	run()
	if hooks := c.hooks(t); len(hooks) != 1 || hooks[0].ID != stays || !hooks[0].Enabled {
		t.Errorf("hooks: %+v", hooks)
	}
}
