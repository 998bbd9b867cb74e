package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kazoohook/internal/fakekazoo"
)

// reloading is a service with a fake Kazoo. Its files change while it runs.
type reloading struct {
	*process
	kazoo *fake
	dir   string // holds its files
}

func newReloading(t *testing.T) *reloading {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	f, err := newFake(ctx, fakekazoo.Options{Speed: 50, Seed: 1}, "127.0.0.1:0", "127.0.0.1:0", 3)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = f.run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	r := &reloading{newProcess(t, "KAZOO_API_URL="+f.api, "KAZOO_API_RATE=10", "RECONCILE_INTERVAL=1s", "HOOKS=object:user"), f, t.TempDir()}
	r.environ = append(r.environ, "KAZOOHOOK_CONFIG="+r.file("config.yaml", "hook_retries: 3\n"))
	return r
}

// file writes a file atomically, and returns its path.
func (r *reloading) file(name, content string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	put(r.t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// serve starts the service with further settings.
func (r *reloading) serve(environ ...string) {
	r.t.Helper()
	r.environ = append(r.environ, environ...)
	out, err := os.Create(filepath.Join(r.dir, "log"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = out.Close() })
	r.start(out, execServe)
}

// log returns what the service has logged so far.
func (r *reloading) log() string {
	raw, _ := os.ReadFile(filepath.Join(r.dir, "log")) // the file exists
	return string(raw)
}

// hangUp sends SIGHUP and waits until a text is logged once more.
func (r *reloading) hangUp(logged string) {
	r.t.Helper()
	r.changed(logged, func() { r.signal(syscall.SIGHUP) })
}

// changed calls do and waits until a text is logged once more.
func (r *reloading) changed(logged string, do func()) {
	r.t.Helper()
	before := strings.Count(r.log(), logged)
	do()
	r.until(logged, func() bool { return strings.Count(r.log(), logged) > before })
}

// TestReload changes what may change while the service runs, by SIGHUP and by the files
// alone, and what may not. Requests are answered all the time.
func TestReload(t *testing.T) {
	t.Parallel()
	p := newReloading(t)
	const password, one, two = "a-new-password-of-kazoo", "the-first-admin-token", "the-second-admin-token"
	p.file("config.yaml", "hook_retries: 3\nhook_secret: "+processSecret+"\n")
	p.serve("HOOK_SECRET=", "KAZOO_API_KEY=", "KAZOO_USERNAME="+fakekazoo.DefaultUsername, "KAZOO_ACCOUNT_NAME=acme",
		"KAZOO_PASSWORD_FILE="+p.file("password", fakekazoo.DefaultPassword), "ADMIN_TOKEN_FILE="+p.file("token", one))
	ready := func() bool { return p.get(p.public+"/readyz") == http.StatusOK }
	admin := func(token string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.admin+"/api/consumers", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			return 0
		}
		_ = resp.Body.Close() // only the status matters
		return resp.StatusCode
	}
	p.until("it is ready", ready)
	p.deliver(0, 1)

	if err := p.kazoo.SetPassword(fakekazoo.DefaultUsername, password); err != nil {
		t.Fatal(err)
	}
	p.kazoo.RevokeTokens()
	p.until("Kazoo refuses it", func() bool { return !ready() })
	p.file("password", password)
	p.hangUp(`"changed":["KAZOO_PASSWORD"]`)
	p.until("it is logged in again", ready)
	p.deliver(1, 2)

	p.file("token", two) // without a signal
	p.until("the new token is asked for", func() bool { return admin(two) == http.StatusOK })
	if got := admin(one); got != http.StatusUnauthorized {
		t.Errorf("the old token is answered %d", got)
	}

	p.file("config.yaml", "hook_retries: 4\n")
	p.hangUp(`"settings":["HOOK_RETRIES","HOOK_SECRET"]`) // the start takes another secret
	p.file("config.yaml", "hook_retries: many\n")
	p.hangUp("the settings can't be read again: the previous ones stay in use")
	if _, stderr, code := program(t, nil, "config", "--check", filepath.Join(p.dir, "config.yaml")); code != codeUsage || !strings.Contains(stderr, "HOOK_RETRIES") {
		t.Errorf("code %d, %s", code, stderr)
	}
	p.deliver(2, 3)
	p.until("it is as it was", ready)
	if got := admin(two); got != http.StatusOK {
		t.Errorf("the token is answered %d", got)
	}
	p.stop()
	for _, secret := range []string{password, one, two} {
		if strings.Contains(p.log(), secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
}

// TestConfigCheck: the command says of a file whether a start would accept it.
func TestConfigCheck(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	for text, c := range map[string]struct {
		code int
		says string
	}{
		"kazoo_api_url: http://kazoo:8000\nkazoo_username: a\nkazoo_password: b\nkazoo_account_name: c\npublic_url: https://hooks.example.com\n": {0, "no problem found"},
		"kazoo_api_url: http://kazoo:8000\n": {codeUsage, "PUBLIC_URL: is missing"},
		"kazoo_api: x\n":                     {codeUsage, "kazoo_api"},
	} {
		put(t, path, text)
		stdout, stderr, code := program(t, nil, "config", "--check", path)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%q: code %d, %s%s", text, code, stdout, stderr)
		}
	}
}
