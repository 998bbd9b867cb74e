package registration

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar/crossbartest"
)

func TestRestartsLeaveOneHook(t *testing.T) {
	t.Parallel()
	c := newCluster(t, crossbartest.Options{})
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
	c := newCluster(t, crossbartest.Options{})
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
	// The slowest to create may do so after all others have looked: their next
	// pass settles it.
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
		c := newCluster(t, crossbartest.Options{Version: version})
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
	c := newCluster(t, crossbartest.Options{})
	other, err := c.CreateHook("acme", map[string]any{"name": "billing", "uri": "http://127.0.0.1:1/kazoo/" + testSecret + "/object", "hook": "object",
		"custom_data": map[string]any{"type": "user", "action": "doc_deleted"}})
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	now := newClock()
	var repairs []Repair
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Log, opts.Now, opts.OnRepaired = zerolog.New(&logged), now.now, func(r Repair) { repairs = append(repairs, r) }
	r := NewReconciler(c.api, opts)
	run := func() {
		t.Helper()
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run()
	id := r.Status().Hooks[0].ID
	lastGood := now.now()

	now.add(time.Minute)
	if err := c.DisableHook(id, "too many failed attempts"); err != nil {
		t.Fatal(err)
	}
	run()
	if ok, why := r.Status().Ready(); !ok {
		t.Errorf("not ready after the repair: %s", why)
	}
	if len(repairs) != 1 || !repairs[0].LastGood.Equal(lastGood) || repairs[0].Reason != "too many failed attempts" {
		t.Errorf("repairs: %+v", repairs)
	}
	for _, want := range []string{`"disable_reason":"too many failed attempts"`, `"off_at_most_ms":60000`} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, logged.String())
		}
	}

	// Switched off again at once: the next try waits, the one after waits longer.
	for _, wait := range []time.Duration{repairPause, 2 * repairPause, 4 * repairPause} {
		if err := c.DisableHook(id, "too many failed attempts"); err != nil {
			t.Fatal(err)
		}
		n := len(repairs)
		now.add(wait - time.Second)
		run()
		if len(repairs) != n {
			t.Errorf("enabled again %s after it had been enabled", wait-time.Second)
		}
		if ok, _ := r.Status().Ready(); ok {
			t.Error("ready although the hook is off")
		}
		now.add(time.Second)
		run()
		if len(repairs) != n+1 {
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

func TestRemovedHookComesBackAsAGap(t *testing.T) {
	t.Parallel()
	c := newCluster(t, crossbartest.Options{})
	var repairs []Repair
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.OnRepaired = func(r Repair) { repairs = append(repairs, r) }
	r := NewReconciler(c.api, opts)
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
	if len(repairs) != 2 {
		t.Errorf("%d repairs, want 2: %+v", len(repairs), repairs)
	}
}

func TestUnreachableKazooIsAnErrorAndNotReady(t *testing.T) {
	t.Parallel()
	c := newCluster(t, crossbartest.Options{})
	if _, err := c.Inject(crossbartest.Fault{Kind: crossbartest.FaultDown}); err != nil {
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
	c := newCluster(t, crossbartest.Options{})
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
