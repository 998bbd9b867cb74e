package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
)

// blackHole returns the URL of a listener that never answers.
func blackHole(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return "http://" + ln.Addr().String()
}

// TestKazooIsAway: commands end within their --timeout, and print one sentence.
func TestKazooIsAway(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"silent": blackHole(t), "refused": "http://127.0.0.1:1"} {
		for _, command := range []string{"plan", "register", "unregister"} {
			t.Run(command+" "+name, func(t *testing.T) {
				t.Parallel()
				environ := []string{
					"KAZOO_API_URL=" + url, "KAZOO_USERNAME=a", "KAZOO_PASSWORD=the-password", "KAZOO_ACCOUNT_NAME=c", "PUBLIC_URL=http://127.0.0.1:2",
					"DATA_DIR=" + t.TempDir(), "ADMIN_ADDR=127.0.0.1:1", "LISTEN_ADDR=127.0.0.1:2",
				}
				begin := time.Now()
				stdout, stderr, code := program(t, environ, command, "--timeout", "1s")
				sentence := lastLine(stderr)
				want := "kazoohook: no login to Kazoo at " + url + " within 1s: "
				atOnce := "kazoohook: logging in to Kazoo (PUT " + url // a refused connection needs no full second
				if code != codeFailed || stdout != "" || !strings.HasPrefix(sentence, want) && (name != "refused" || !strings.HasPrefix(sentence, atOnce)) {
					t.Errorf("code %d, %q, %q", code, stdout, stderr)
				}
				if took := time.Since(begin); took > time.Minute { // however busy the machine is
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}

// TestKazooFallsSilent: the time limit also holds after the login, and the error is one
// sentence.
func TestKazooFallsSilent(t *testing.T) {
	t.Parallel()
	f, environ := byHandKazoo(t, "4.3")
	if _, err := f.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultSlow, Op: "webhooks.list", Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"plan", "register", "unregister"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := program(t, environ, command, "--timeout", "2s")
			if code != codeFailed || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "failed: no answer in time; Kazoo is down or slow") {
				t.Errorf("code %d, %q, %q", code, stdout, stderr)
			}
		})
	}
}

// lastLine returns the last line of a text.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestDefaultTimeouts: every command ends within 15 s if Kazoo is away.
func TestDefaultTimeouts(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"plan", "register", "unregister", "resync"} {
		stdout, _, _ := program(t, nil, command, "-h")
		if !strings.Contains(stdout, "--timeout=12s") {
			t.Errorf("%s:\n%s", command, stdout)
		}
	}
	if stdout, _, _ := program(t, nil, "doctor", "-h"); !strings.Contains(stdout, "--timeout=10s") {
		t.Error(stdout)
	}
}

// TestAdviceAboutSilence: if Kazoo gave no answer in time, the advice is not to look at the login.
func TestAdviceAboutSilence(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err    error
		advice string
	}{
		{context.DeadlineExceeded, "Kazoo is down or slow, or a firewall drops our packets: check the login"},
		{fmt.Errorf("no turn under KAZOO_API_RATE: %w", context.DeadlineExceeded), "check the login"},
		{io.ErrUnexpectedEOF, "check the login"},
	} {
		if f := apiFailed(&crossbar.Error{Op: "login", Err: tc.err}, "check the login"); f.Advice != tc.advice {
			t.Errorf("%v: %q", tc.err, f.Advice)
		}
	}
}

// TestResyncOfAServiceWhoseKazooIsAway: the command ends, too.
func TestResyncOfAServiceWhoseKazooIsAway(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	if _, err := s.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultSlow, Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := program(t, []string{"ADMIN_ADDR=" + strings.TrimPrefix(s.admin, "http://")}, "resync", "--timeout", "1s")
	if code != codeFailed || stdout != "" || !strings.HasPrefix(lastLine(stderr), "kazoohook: the comparison has made no progress for 1s; this command no longer waits") {
		t.Errorf("code %d, %q, %q", code, stdout, stderr)
	}
}

// TestUnregisterBesideTheService: the command warns that the hooks will come back.
func TestUnregisterBesideTheService(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	environ := []string{
		"KAZOO_API_URL=" + s.api, "KAZOO_API_KEY=" + fakekazoo.DefaultAPIKey, "PUBLIC_URL=" + s.public, "DATA_DIR=" + t.TempDir(),
		"ADMIN_ADDR=" + strings.TrimPrefix(s.admin, "http://"), "LISTEN_ADDR=127.0.0.1:2",
	}
	stdout, stderr, code := program(t, environ, "unregister", "--timeout", "1m")
	if code != 0 || !strings.Contains(stdout, "delete") || !strings.Contains(stderr, "registers its hooks again within 30s; stop it first") {
		t.Errorf("code %d, %q, %q", code, stdout, stderr)
	}
	s.until("they are registered again", func() bool { return s.get(s.public+"/readyz").status == http.StatusOK && len(s.Hooks()) > 0 })
	environ = append(environ, "ADMIN_ADDR=127.0.0.1:1")
	if _, stderr, code = program(t, environ, "unregister"); code != 0 || strings.Contains(stderr, "note:") {
		t.Errorf("alone: code %d, %q", code, stderr)
	}
}

// TestOfflineQueriesWriteNothing: a query of a stopped service changes no file in its
// data directory, and adds none.
func TestOfflineQueriesWriteNothing(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.start(nil, execServe+" >/dev/null")
	p.deliver(0, 3)
	p.stop()
	dir := ""
	for _, line := range p.environ {
		if v, ok := strings.CutPrefix(line, "DATA_DIR="); ok {
			dir = v
		}
	}
	files := func() map[string]string {
		out := map[string]string{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out[e.Name()] = string(raw)
		}
		return out
	}
	before := files()
	for _, args := range [][]string{{"events"}, {"events", "--format", "json", "--since", "1d"}, {"replay", "--from", "1", "--dry-run"}, {"resync", "--dry-run"}} {
		stdout, stderr, code := program(t, p.environ, args...)
		if args[0] == "events" && (code != 0 || strings.Count(stdout, "user.deleted") != 3) {
			t.Errorf("%v: code %d, %q %q", args, code, stdout, stderr)
		}
	}
	if diff := cmp.Diff(before, files()); diff != "" {
		t.Errorf("changed:\n%.2000s", diff)
	}
}
