package fakekazoo

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestAutoDisable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now(), answers: []func(*http.Request) (*http.Response, error){breaks}}
		k := New(Options{Transport: w})
		defer k.Close()
		id := mustHook(t, k, objectHook("http://receiver/hook", "retries", 3))
		said := mustHook(t, k, map[string]any{"hook": "notifications", "uri": "http://receiver/n", "retries": 1,
			"custom_data": map[string]any{"type": "webhook_disabled"}})

		// Two undeliverable events of three tries each are six failures.
		deleteUser(t, k, "")
		time.Sleep(10 * time.Millisecond)
		deleteUser(t, k, "")
		if err := k.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h := hookState(t, k, id); h.Failures != 6 || !h.Enabled {
			t.Fatalf("before the check: %+v", h)
		}
		time.Sleep(failureCheck)
		synctest.Wait()
		h := hookState(t, k, id)
		if h.Enabled || h.DisableReason != ReasonTooManyFailures || h.Failures != 0 {
			t.Fatalf("after the check: %+v", h)
		}
		if k.AttemptCount(said) != 1 {
			t.Error("no notification about the disabled hook was tried")
		}
		if k.Truth().AutoDisabled != 1 {
			t.Error("the truth doesn't count the disabled hook")
		}

		// A disabled hook doesn't fire, and no attempt is recorded.
		before := k.AttemptCount(id)
		deleteUser(t, k, "")
		if err := k.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if k.AttemptCount(id) != before {
			t.Error("a disabled hook fired")
		}
	})
}

// Failures within one millisecond count once: nine failures of three events at once
// count three times.
func TestFailuresOfOneMillisecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now(), answers: []func(*http.Request) (*http.Response, error){breaks}}
		k := New(Options{Transport: w})
		defer k.Close()
		id := mustHook(t, k, objectHook("http://receiver/hook", "retries", 3))
		for range 3 {
			deleteUser(t, k, "")
		}
		if err := k.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(failureCheck)
		synctest.Wait()
		if h := hookState(t, k, id); !h.Enabled || h.Failures != 3 || h.Attempts != 9 {
			t.Errorf("%+v", h)
		}
	})
}

func TestFailuresExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now(), answers: []func(*http.Request) (*http.Response, error){says(500)}}
		k := New(Options{Transport: w})
		defer k.Close()
		id := mustHook(t, k, objectHook("http://receiver/hook"))
		for range 20 { // one every 12.5 s: never six in a minute
			deleteUser(t, k, "")
			time.Sleep(12500 * time.Millisecond)
		}
		if h := hookState(t, k, id); !h.Enabled {
			t.Fatalf("disabled by %d failures", h.Failures)
		}
		time.Sleep(failureWindow)
		if n := k.FailureCount(id); n != 0 {
			t.Errorf("%d failures still count", n)
		}
	})
}

func TestAutoDisableOfADeletedHook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := New(Options{Transport: &wire{start: time.Now(), answers: []func(*http.Request) (*http.Response, error){says(500)}}})
		defer k.Close()
		id := mustHook(t, k, objectHook("http://receiver/hook"))
		for range 7 {
			deleteUser(t, k, "")
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		k.mu.Lock()
		delete(k.hooks, id) // the application doesn't know of this yet
		k.mu.Unlock()
		time.Sleep(failureCheck)
		synctest.Wait()
		if n := k.FailureCount(id); n != 0 {
			t.Errorf("%d failures of a deleted hook", n)
		}
	})
}

func hookState(t *testing.T, k *Kazoo, id string) HookState {
	t.Helper()
	for _, h := range k.Hooks() {
		if h.ID == id {
			return h
		}
	}
	t.Fatalf("no hook %s", id)
	return HookState{}
}
