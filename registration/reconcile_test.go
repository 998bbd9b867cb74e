package registration

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/fakekazoo"
)

func TestRestartsLeaveOneHook(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	for range 10 {
		if err := NewReconciler(c.client(t), reconcilerOptions("http://127.0.0.1:1")).RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	hooks := c.hooks(t)
	if len(hooks) != 1 {
		t.Fatalf("%d hooks after ten starts, want 1", len(hooks))
	}
	h := hooks[0]
	if h.Name != "kazoohook object user doc_deleted" || h.URI != "http://127.0.0.1:1/kazoo/"+testSecret+"/object" || h.Verb != "post" ||
		h.Format != "form-data" || h.Retries != 3 || customDataText(h.CustomData) != "action=doc_deleted,type=user" || !h.Enabled {
		t.Errorf("registered hook: %+v", h)
	}
}

func TestConcurrentStartsSettleOnOneHook(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	var wg sync.WaitGroup
	reconcilers := make([]*Reconciler, 8)
	for i := range reconcilers {
		reconcilers[i] = NewReconciler(c.client(t), reconcilerOptions("http://127.0.0.1:1"))
	}
	for _, r := range reconcilers {
		wg.Go(func() {
			if err := r.RunOnce(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// The slowest may create its hook after all others have listed: the next pass
	// of the others corrects that.
	for _, r := range reconcilers {
		if err := r.RunOnce(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := len(c.hooks(t)); n != 1 {
		t.Fatalf("%d hooks after eight starts at once, want 1", n)
	}
}

func TestOlderKazooGetsAHookPerTypeAndAction(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{"4.3": 30, "5": 1} {
		c := newCluster(t, fakekazoo.Options{Version: version})
		r := NewReconciler(c.api, reconcilerOptions("http://127.0.0.1:1", Spec{"object", "all", "all"}))
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(c.hooks(t)); n != want {
			t.Errorf("kazoo %s: %d hooks, want %d", version, n, want)
		}
		if ok, why := r.Status().Ready(); !ok {
			t.Errorf("kazoo %s: not ready: %s", version, why)
		}
	}
}

func TestRepairsAndLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	other, err := c.CreateHook("acme", map[string]any{"name": "billing", "uri": "http://127.0.0.1:1/kazoo/" + testSecret + "/object", "hook": "object",
		"custom_data": map[string]any{"type": "user", "action": "doc_deleted"}})
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	now := newClock()
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Log, opts.Now = zerolog.New(&logged), now.now
	r := NewReconciler(c.api, opts)
	run := func() {
		t.Helper()
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run()
	id := r.Status().Hooks[0].ID
	repairs := func() int { return r.Status().Repairs }

	now.add(time.Minute)
	if err := c.DisableHook(id, "too many failed attempts"); err != nil {
		t.Fatal(err)
	}
	run()
	if ok, why := r.Status().Ready(); !ok {
		t.Errorf("not ready after the repair: %s", why)
	}
	if n := repairs(); n != 1 {
		t.Errorf("%d repairs, want 1", n)
	}
	for _, want := range []string{`"disable_reason":"too many failed attempts"`, `"off_at_most_ms":60000`} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, logged.String())
		}
	}

	// Switched off again at once: the next try waits, and each further one longer.
	for _, wait := range []time.Duration{repairPause, 2 * repairPause, 4 * repairPause} {
		if err := c.DisableHook(id, "too many failed attempts"); err != nil {
			t.Fatal(err)
		}
		n := repairs()
		now.add(wait - time.Second)
		run()
		if repairs() != n {
			t.Errorf("enabled again %s after it had been enabled", wait-time.Second)
		}
		if ok, _ := r.Status().Ready(); ok {
			t.Error("ready although the hook is off")
		}
		now.add(time.Second)
		run()
		if repairs() != n+1 {
			t.Errorf("not enabled %s after it had been enabled", wait)
		}
	}

	for _, h := range c.hooks(t) {
		switch h.ID {
		case other:
			if h.Name != "billing" || h.Retries != -1 && h.Retries != 2 {
				t.Errorf("the hook of somebody else was changed: %+v", h)
			}
		case id:
			if !h.Enabled {
				t.Error("our hook is still off")
			}
		default:
			t.Errorf("unexpected hook %+v", h)
		}
	}
	if strings.Contains(logged.String(), testSecret) {
		t.Errorf("the log holds the secret:\n%s", logged.String())
	}

	removed, err := r.Unregister(t.Context())
	if err != nil || len(removed) != 1 {
		t.Fatalf("unregister: %v, %v", removed, err)
	}
	if hooks := c.hooks(t); len(hooks) != 1 || hooks[0].ID != other {
		t.Errorf("after unregister: %+v", hooks)
	}
}

func TestRemovedHookIsRegisteredAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	r := NewReconciler(c.api, reconcilerOptions("http://127.0.0.1:1"))
	for range 2 {
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.api.DeleteHook(t.Context(), c.AccountID(), r.Status().Hooks[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.Status().Repairs; n != 2 {
		t.Errorf("%d repairs, want 2", n)
	}
}

func TestUnreachableKazooIsAnErrorAndNotReady(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultDown}); err != nil {
		t.Fatal(err)
	}
	r := NewReconciler(c.api, reconcilerOptions("http://127.0.0.1:1"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := r.RunOnce(ctx); err == nil {
		t.Fatal("no error from a Kazoo that is down")
	}
	if ok, why := r.Status().Ready(); ok || why == "" {
		t.Errorf("ready: %v, %q", ok, why)
	}
	c.ClearFaults()
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ok, why := r.Status().Ready(); !ok {
		t.Errorf("not ready after Kazoo came back: %s", why)
	}
}

func TestNotOfferedIsTold(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	r := NewReconciler(c.api, reconcilerOptions("http://127.0.0.1:1", Spec{Hook: "cdr"}, Spec{"object", "user", "doc_deleted"}))
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ok, why := r.Status().Ready(); ok || !strings.Contains(why, `no hook "cdr"`) {
		t.Errorf("ready: %v, %q", ok, why)
	}
	if n := len(c.hooks(t)); n != 1 {
		t.Errorf("%d hooks, want the one that is offered", n)
	}
}
