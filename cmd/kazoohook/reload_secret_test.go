package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"kazoohook/internal/fakekazoo"
)

// TestReloadHookSecret changes the hooks' secret three times while the service runs:
// with the previous one named, without it, and by the file alone. Requests arrive all
// the time, on one open connection, and Kazoo sends events. None is refused or lost,
// and there is no outage.
func TestReloadHookSecret(t *testing.T) {
	t.Parallel()
	p := newReloading(t)
	secrets := []string{processSecret, "the-second-secret-of-hooks", "the-third-secret-of-hooks", "the-fourth-secret-of-hooks"}
	p.serve("HOOK_SECRET=", "HOOK_SECRET_FILE="+p.file("secret", secrets[0]))
	moved := func(secret string) {
		t.Helper()
		p.until("the hooks have "+secret, func() bool {
			hooks := p.kazoo.Hooks()
			return len(hooks) > 0 && !slices.ContainsFunc(hooks, func(h fakekazoo.HookState) bool { return !strings.Contains(h.URI, "/kazoo/"+secret+"/") })
		})
	}
	moved(secrets[0])
	p.until("the first comparison is done", func() bool { return strings.Contains(p.log(), "is the baseline") })

	// Further requests, not from Kazoo, with the current or the previous secret.
	var oldest, newest, sent atomic.Int64
	enough := make(chan struct{})
	var streams sync.WaitGroup
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	streams.Go(func() {
		in := bufio.NewReader(conn)
		for n := 0; ; n++ {
			select {
			case <-enough:
				return
			default:
			}
			secret := secrets[oldest.Load()]
			if n%2 == 0 {
				secret = secrets[newest.Load()]
			}
			body := fmt.Sprintf("id=%032x&account_id=%032x&action=doc_deleted&type=user&cluster_id=c", n, 1)
			_, _ = fmt.Fprintf(conn, "POST /kazoo/%s/object HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", secret, len(body), body)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Errorf("request %d: %v", n, err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK || resp.Close {
				t.Errorf("request %d was answered %s, closes %v", n, resp.Status, resp.Close)
				return
			}
			sent.Add(1)
		}
	})
	progress := func() {
		t.Helper()
		from := sent.Load()
		p.until("more requests", func() bool { return sent.Load() >= from+20 })
		u, err := p.kazoo.CreateUser(fakekazoo.User{AccountID: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		p.until("Kazoo's event", func() bool { return strings.Contains(p.log(), u.ID) })
	}
	progress()
	for i, change := range []func(){
		func() {
			p.file("config.yaml", "hook_retries: 3\nhook_secret_previous: "+secrets[0]+"\n")
			p.file("secret", secrets[1])
			p.signal(syscall.SIGHUP)
		},
		func() { // without naming the previous one, which is still accepted
			p.file("config.yaml", "hook_retries: 3\n")
			p.file("secret", secrets[2])
			p.signal(syscall.SIGHUP)
		},
		func() { p.file("secret", secrets[3]) },
	} {
		oldest.Store(int64(i))
		progress()                                    // no request uses an older secret any longer
		p.changed(`"changed":["HOOK_SECRET"`, change) // not that of HOOK_SECRET_PREVIOUS alone
		newest.Store(int64(i + 1))
		moved(secrets[i+1])
		progress()
	}
	if n := strings.Count(p.log(), "is still accepted"); n != 2 {
		t.Errorf("said %d times that the former one is accepted", n)
	}
	close(enough)
	streams.Wait()
	if got := p.send(http.MethodPost, p.public+"/kazoo/"+secrets[0]+"/object", "id=1"); got != http.StatusNotFound {
		t.Errorf("the first secret is answered %d", got)
	}
	logged := func() int64 { return int64(strings.Count(p.log(), `"event":"user.deleted"`)) }
	p.until("every request is logged", func() bool { return logged() >= sent.Load() })
	p.stop()
	for _, bad := range append(secrets, "outage: events may have been missed", "Kazoo tries to deliver and fails", "recovered_seq") {
		if strings.Contains(p.log(), bad) {
			t.Errorf("%q is in the log", bad)
		}
	}
	if n := logged(); n != sent.Load() {
		t.Errorf("%d requests, %d events", sent.Load(), n)
	}
	t.Logf("%d requests", sent.Load())
}

// TestFirstHookSecret: a HOOK_SECRET that is given while a generated one is in use is
// taken like any other, and the generated one stays accepted.
func TestFirstHookSecret(t *testing.T) {
	t.Parallel()
	p := newReloading(t)
	p.serve("HOOK_SECRET=")
	var generated string
	registered := func(ok func(uri string) bool) func() bool {
		return func() bool {
			hooks := p.kazoo.Hooks()
			return len(hooks) > 0 && !slices.ContainsFunc(hooks, func(h fakekazoo.HookState) bool { return !ok(h.URI) })
		}
	}
	p.until("the hooks have a generated secret", registered(func(uri string) bool {
		_, after, _ := strings.Cut(uri, "/kazoo/")
		generated, _, _ = strings.Cut(after, "/")
		return generated != ""
	}))
	const given = "the-first-given-secret-of-hooks"
	p.file("config.yaml", "hook_retries: 3\nhook_secret: "+given+"\n")
	p.hangUp(`"changed":["HOOK_SECRET"]`)
	p.until("the hooks have the given secret", registered(func(uri string) bool { return strings.Contains(uri, "/kazoo/"+given+"/") }))
	for _, secret := range []string{generated, given} {
		if got := p.send(http.MethodPost, p.public+"/kazoo/"+secret+"/object", "id=1&account_id=2&action=doc_deleted&type=user"); got != http.StatusOK {
			t.Errorf("a secret is answered %d", got)
		}
	}
	p.stop()
	for _, secret := range []string{generated, given} {
		if strings.Contains(p.log(), secret) {
			t.Error("a secret is in the log")
		}
	}
}
