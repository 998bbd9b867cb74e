package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/fakekazoo"
	"kazoohook/registration"
)

// byHandKazoo returns a fake Kazoo, and the settings with which commands use it.
func byHandKazoo(t *testing.T, version string) (*fake, []string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	f, err := newFake(ctx, fakekazoo.Options{Version: version, Speed: 50}, "127.0.0.1:0", "127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- f.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return f, []string{"KAZOO_API_URL=" + f.api, "KAZOO_API_KEY=" + fakekazoo.DefaultAPIKey, "PUBLIC_URL=http://127.0.0.1:1",
		"DATA_DIR=" + t.TempDir(), "KAZOO_API_RATE=10", "ADMIN_ADDR=off", "LISTEN_ADDR=127.0.0.1:1"}
}

// TestPlanAndRegister checks exit codes and output while Kazoo's offer of hooks
// changes.
func TestPlanAndRegister(t *testing.T) {
	t.Parallel()
	f, environ := byHandKazoo(t, "4.3")
	command := func(name string, code int, want []string, settings ...string) {
		t.Helper()
		var out, diagnostics bytes.Buffer
		err := run(t.Context(), []string{name, "--timeout", "1m"}, slices.Concat(environ, settings), strings.NewReader(""), &out, &diagnostics)
		text := fmt.Sprint(out.String(), err)
		if exitCode(err) != code {
			t.Errorf("%s %v: exit code %d, want %d: %s", name, settings, exitCode(err), code, text)
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s %v: lacks %q:\n%s", name, settings, w, text)
			}
		}
	}
	offer := func(o fakekazoo.Offer) {
		t.Helper()
		if err := f.SetOffer(o); err != nil {
			t.Fatal(err)
		}
	}
	command("plan", codePending, []string{"would create: kazoohook object user doc_deleted\n", "would create: kazoohook object user doc_created [for the snapshot]",
		"would create: kazoohook notifications webhook_disabled [to learn of hooks that Kazoo switches off]"})
	offer(fakekazoo.Offer{State: "empty"})
	command("plan", codeFailed, []string{"Kazoo's list of hooks is empty", "sup kapps_controller start_app webhooks"})
	command("register", codeFailed, []string{"Kazoo's list of hooks is empty"})
	offer(fakekazoo.Offer{})
	command("register", 0, []string{"registered: kazoohook object user doc_edited ("})
	command("plan", 0, []string{"nothing to change"})
	for _, o := range []fakekazoo.Offer{{State: "empty"}, {State: "failed"}, {State: "partial", Missing: []string{"object", "notifications"}}} {
		offer(o)
		command("plan", 0, []string{"nothing to change"})
		command("register", 0, nil)
		if n := len(f.Hooks()); n != 4 {
			t.Errorf("%d hooks after %s, want 4", n, o.State)
		}
	}
	offer(fakekazoo.Offer{})
	command("plan", codeFailed, []string{`this Kazoo offers no hook "qubicle_queue"; it offers channel_answer`}, "HOOKS=object:user:doc_deleted,qubicle_queue")
}

// TestSignedRequests: on Kazoo 5, hooks are registered with a key. Each line says that
// its request was verified. A forged request is kept, and its line says that it is not.
func TestSignedRequests(t *testing.T) {
	t.Parallel()
	s := newSceneOf(t, "5")
	u, err := s.CreateUser(fakekazoo.User{AccountID: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	verified := func(text string, want bool) {
		t.Helper()
		s.until(text+" to be judged", func() bool {
			for line := range strings.Lines(s.log.String()) {
				if strings.Contains(line, text) && strings.Contains(line, `"event":"user.`) {
					return strings.Contains(line, map[bool]string{true: `"verified":true`, false: `"verified":false`}[want])
				}
			}
			return false
		})
	}
	verified(u.ID, true)
	const forged = "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0"
	body := `{"action":"event","name":"doc_deleted","data":{"id":"` + forged + `","account_id":"a","type":"user","action":"doc_deleted"},"timestamp":63907712980,"hmac":"bm8="}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.public+"/kazoo/"+sceneSecret+"/object", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hook-Id", s.service.leading().engine.Reconciler.Status().Hooks[0].ID)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	verified(forged, false)
}

// TestSwitchedOffIsRepairedAtOnce: Kazoo's notification triggers a check at once.
func TestSwitchedOffIsRepairedAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RECONCILE_INTERVAL=1h", "HOOKS=object:user:doc_deleted")
	hooks := s.service.leading().engine.Reconciler.Status().Hooks
	started := time.Now()
	if err := s.DisableHook(hooks[0].ID, fakekazoo.ReasonTooManyFailures); err != nil {
		t.Fatal(err)
	}
	if err := s.Notify("acme", "webhook_disabled", map[string]any{"hook_id": hooks[0].ID}); err != nil {
		t.Fatal(err)
	}
	s.logged("hook was switched off in Kazoo and is enabled again")
	if time.Since(started) > 30*time.Minute {
		t.Error("not before its time")
	}
	if strings.Contains(s.log.String(), `"event":"notification.webhook_disabled"`) {
		t.Error("the hidden event has a line")
	}
}

// TestPlanWarns: a user whose plan is refused also gets the warnings about the
// settings.
func TestPlanWarns(t *testing.T) {
	t.Parallel()
	_, environ := byHandKazoo(t, "4.3")
	for _, name := range []string{"plan", "register", "unregister"} {
		stdout, stderr, code := program(t, append(environ[:1:1], append(environ[2:], "KAZOO_USERNAME=admin", `KAZOO_PASSWORD="a b c d 5 6"`, "KAZOO_ACCOUNT_NAME=acme", "KAZOO_API_ULR=x")...), name)
		if code != 1 || stdout != "" || strings.Contains(stderr, "a b c d") {
			t.Errorf("%s: %d %s", name, code, stdout)
		}
		for _, want := range []string{
			"kazoohook: warning: KAZOO_PASSWORD: begins and ends with a quote", "kazoohook: warning: KAZOO_API_ULR: is not a setting and has no effect; did you mean KAZOO_API_URL?", "401 invalid_credentials",
		} {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s lacks %q: %s", name, want, stderr)
			}
		}
	}
}

// TestNewKeyNeedsKazoo: while Kazoo is away, register --new-key changes no key, however
// often it is repeated.
func TestNewKeyNeedsKazoo(t *testing.T) {
	t.Parallel()
	_, environ := byHandKazoo(t, "5")
	dir := strings.TrimPrefix(environ[slices.IndexFunc(environ, func(e string) bool { return strings.HasPrefix(e, "DATA_DIR=") })], "DATA_DIR=")
	register := func(timeout string, settings ...string) error {
		var out, diagnostics bytes.Buffer
		return run(t.Context(), []string{"register", "--new-key", "--timeout", timeout}, slices.Concat(environ, settings), strings.NewReader(""), &out, &diagnostics)
	}
	keys := func() string {
		text, err := os.ReadFile(filepath.Join(dir, registration.KeyFile))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if err := register("1m"); err != nil {
		t.Fatal(err)
	}
	before := keys()
	for range 2 {
		if err := register("1s", "KAZOO_API_URL=http://127.0.0.1:1"); err == nil {
			t.Error("no error without Kazoo")
		}
	}
	if keys() != before {
		t.Error("the keys were exchanged without Kazoo")
	}
	if err := register("1m"); err != nil || keys() == before {
		t.Errorf("the key was not exchanged with Kazoo: %v", err)
	}
}
