package fakekazoo

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// control returns a client of the control handler, which expects the status want.
func control(t *testing.T, k *Kazoo) func(want int, method, path, body string) {
	t.Helper()
	srv := httptest.NewServer(k.Control())
	t.Cleanup(srv.Close)
	return func(want int, method, path, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		raw, _ := io.ReadAll(res.Body)
		if res.StatusCode != want {
			t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, raw)
		}
	}
}

// Kazoo uses a changed hook only after HookDelay. Events before that fire the hook as
// it was.
func TestHookDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now(), answers: []func(*http.Request) (*http.Response, error){says(200)}}
		k := New(Options{Transport: w, HookDelay: 50 * time.Millisecond})
		defer k.Close()
		fired := func() (where string) {
			before := len(k.Truth().Firings)
			deleteUser(t, k, "")
			if err := k.Idle(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, f := range k.Truth().Firings[before:] {
				where += f.HookID
			}
			return where
		}
		id := mustHook(t, k, objectHook("http://receiver/a"))
		if got := fired(); got != "" {
			t.Error("fired at once by", got)
		}
		time.Sleep(50 * time.Millisecond)
		if got := fired(); got != id {
			t.Errorf("fired by %q", got)
		}
		if err := k.DisableHook(id, ""); err != nil {
			t.Fatal(err)
		}
		if err := k.ChangeHook(id, map[string]any{"enabled": true}); err != nil {
			t.Fatal(err)
		}
		if err := k.DeleteHook(id); err != nil {
			t.Fatal(err)
		}
		if got := fired(); got != id {
			t.Error("a deleted hook must fire until the delay is over")
		}
		time.Sleep(50 * time.Millisecond)
		if got := fired(); got != "" {
			t.Error("fired by a hook that was deleted long ago")
		}
		mustHook(t, k, objectHook("http://receiver/a"))
		k.Restart()
		if got := fired(); got == "" {
			t.Error("a restarted application has not loaded the hooks")
		}
		k.SetHookDelay(0)
		mustHook(t, k, objectHook("http://receiver/a"))
		if got := fired(); len(got) != 2*len(id) {
			t.Errorf("fired by %q", got)
		}
	})
}

// The control handler changes hooks as another client would.
func TestForeignChangesOfHooks(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{Speed: 1000})
	do := control(t, k)
	id := mustHook(t, k, objectHook("http://receiver/a"))
	do(200, "PATCH", "/hooks/"+id, `{"fields":{"uri":"http://elsewhere/","group":null,"custom_data":{"type":"device","action":"doc_edited"},"enabled":false}}`)
	h := hookState(t, k, id)
	if h.URI != "http://elsewhere/" || h.Enabled || !strings.Contains(string(h.Detail), `"action":"doc_edited"`) {
		t.Errorf("%+v", h)
	}
	do(200, "PATCH", "/hooks/"+id, `{"fields":{"uri":"http://again/"},"for":"1ms"}`)
	eventually(t, "the change is undone", func() bool { return hookState(t, k, id).URI == "http://elsewhere/" })
	do(400, "PATCH", "/hooks/"+id, `{"fields":{},"for":"soon"}`)
	do(404, "PATCH", "/hooks/x", `{"fields":{}}`)
	do(404, "PATCH", "/hooks/x", `{"fields":{},"for":"1s"}`)
	do(200, "DELETE", "/hooks/"+id, "")
	do(404, "DELETE", "/hooks/"+id, "")
	do(200, "PUT", "/hook-delay", `{"delay":"50ms"}`)
	do(400, "PUT", "/hook-delay", `{"delay":"short"}`)
	do(200, "POST", "/restart", "")
	if len(k.Hooks()) != 0 {
		t.Error(k.Hooks())
	}
}

// The offer is empty, partial or fails for a while. Hooks that it lacks can't be
// saved, but existing ones still fire.
func TestOfferStates(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{})
	c, do := logIn(t, k), control(t, k)
	made := c.ask(201, "PUT", "/webhooks", apiHook("uri", r.URL)).obj("data").str("id")
	offer := func() (int, string) {
		status, body := c.do("GET", "/v2/webhooks", nil)
		return status, text(body)
	}
	do(200, "PUT", "/offer", `{"state":"empty"}`)
	if status, s := offer(); status != 200 || !strings.Contains(s, `"data":[]`) {
		t.Error(status, s)
	}
	c.ask(503, "PUT", "/webhooks", apiHook())
	c.ask(503, "PATCH", "/webhooks/"+made, obj("name", "x"))
	do(200, "PUT", "/offer", `{"state":"partial","missing":["sms","object:user"]}`)
	if status, s := offer(); status != 200 || strings.Contains(s, `"sms"`) || strings.Contains(s, `"user"`) || !strings.Contains(s, `"device"`) {
		t.Error(status, s)
	}
	c.ask(400, "PUT", "/webhooks", apiHook())
	do(200, "PUT", "/offer", `{"state":"failed"}`)
	if status, s := offer(); status != 500 || !strings.Contains(s, "init failed") {
		t.Error(status, s)
	}
	deleteUser(t, k, "")
	idle(t, k)
	if len(r.got) != 1 {
		t.Error("the hook did not fire")
	}
	do(400, "PUT", "/offer", `{"state":"strange"}`)
	do(400, "PUT", "/offer", `{"state":"empty","for":"long"}`)
	do(200, "PUT", "/offer", `{"state":"empty","for":"1ms"}`)
	eventually(t, "the offer is whole again", func() bool { _, s := offer(); return strings.Contains(s, `"object"`) })
	c.ask(201, "PUT", "/webhooks", apiHook())
}

// HEAD offers webhook_disabled only to the master account, but accepts it from all.
func TestOfferForSuperAdmins(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{Version: "5"})
	if err := k.AddLogin("master", "root", "toor"); err != nil {
		t.Fatal(err)
	}
	c := logIn(t, k)
	if _, body := c.do("GET", "/v2/webhooks", nil); strings.Contains(text(body), "webhook_disabled") {
		t.Error("offered to acme")
	}
	c.ask(201, "PUT", "/webhooks", apiHook("hook", "notifications", "custom_data", obj("type", "webhook_disabled")))
	_, body := c.do("PUT", "/v2/user_auth", obj("credentials", credentials("md5", "root", "toor"), "account_name", "master"))
	c.token = body.str("auth_token")
	if _, body := c.do("GET", "/v2/webhooks", nil); !strings.Contains(text(body), "webhook_disabled") {
		t.Error("not offered to the master account")
	}
}
