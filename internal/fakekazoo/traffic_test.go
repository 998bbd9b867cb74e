package fakekazoo

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTrafficRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := New(Options{Seed: 1, Transport: &wire{answers: []func(*http.Request) (*http.Response, error){says(200)}}})
		defer k.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		mustHook(t, k, map[string]any{"hook": "all", "uri": "http://x/", "include_subaccounts": true, "http_verb": "post"})
		if err := k.Traffic(ctx, 0.5); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := k.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(k.Truth().Firings); n < 20 {
			t.Errorf("%d firings in 100 s", n)
		}
	})
}

// The same seed makes the same history.
func TestSeed(t *testing.T) {
	t.Parallel()
	history := func(seed uint64) []Deletion {
		k := newKazoo(t, Options{Seed: seed, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
		k.Happen(500)
		return k.Deleted("user")
	}
	if diff := cmp.Diff(history(7), history(7)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(history(7), history(8)) {
		t.Error("two seeds make the same history")
	}
}

// Everything at once, for the race detector: users are created and deleted, the hook
// is disabled and enabled, faults come and end, listings are read. At the end the
// truth is consistent.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{Speed: 1000})
	c := logIn(t, k)
	id := mustHook(t, k, objectHook(r.URL, "include_subaccounts", true))
	if _, err := k.SeedUsers("", 100); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, do := range []func(i int){
		func(int) { k.Happen(5) },
		func(int) { _, _ = k.DeleteRandomUser("") },
		func(i int) {
			_, _ = k.Inject(Fault{Kind: []FaultKind{FaultRefuse, FaultLoseAnswer, FaultSlowDelivery, FaultAppDown}[i%4], Probability: 0.3, Count: 5})
		},
		func(i int) {
			if i%20 == 0 {
				_ = k.DisableHook(id, "test")
			}
			c.ask(200, "PATCH", "/webhooks/"+id, obj("enabled", true))
		},
		func(int) { c.ask(200, "GET", "/users", nil) },
		func(int) { c.ask(200, "GET", "/webhooks/attempts", nil) },
		func(int) { _ = k.State() },
	} {
		wg.Go(func() {
			for i := range 60 {
				do(i)
			}
		})
	}
	wg.Wait()
	k.ClearFaults()
	deleteUser(t, k, "") // once more, while the hook is enabled
	idle(t, k)
	truth := k.Truth()
	total := 0
	for _, n := range truth.Outcomes {
		total += n
	}
	if total != len(truth.Firings) || total == 0 {
		t.Errorf("%d outcomes, %d firings", total, len(truth.Firings))
	}
	living := map[string]bool{}
	for _, id := range k.Living("users", "") {
		living[id] = true
	}
	for _, d := range k.Deleted("user") {
		if living[d.ID] {
			t.Errorf("user %s is deleted and alive", d.ID)
		}
	}
}
