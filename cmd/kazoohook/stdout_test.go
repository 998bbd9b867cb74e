package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kazoohook/internal/fakekazoo"
)

// smallPipe returns a pipe that holds one memory page.
func smallPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close() // some tests have closed it already
		_ = w.Close()
	})
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Log(err) // then it is larger
	}
	return r, w
}

// wholeLines reads the pipe after its writer has ended, without a last line that is
// incomplete because nobody read on.
func wholeLines(t *testing.T, r, w *os.File) string {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:strings.LastIndexByte(string(text), '\n')+1])
}

// TestNobodyReadsStandardOutput: requests are answered, hooks are repaired, the service
// can stop, and no event is lost.
func TestNobodyReadsStandardOutput(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	f, err := newFake(ctx, fakekazoo.Options{Speed: 50, Seed: 1}, "127.0.0.1:0", "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	const events = 400
	p := newProcess(t, "KAZOO_API_URL="+f.api, "RECONCILE_INTERVAL=1s", "KAZOO_API_RATE=10", "LOG_LEVEL=trace", "HOOKS=object:user:doc_edited")
	r, w := smallPipe(t)
	p.start(w, execServe)
	enabled := func() bool {
		hooks := f.Hooks()
		return len(hooks) > 0 && hooks[0].Enabled
	}
	p.until("the hook is registered", enabled)
	p.deliver(0, events) // much more than the pipe holds
	if err := f.DisableHook(f.Hooks()[0].ID, "too many failed attempts"); err != nil {
		t.Fatal(err)
	}
	p.until("the hook is enabled again", enabled)
	p.deliver(events, events+20)
	if got := p.send(http.MethodPost, p.public+"/kazoo/wrong/object", "id=1"); got != http.StatusNotFound { // a wrong secret makes a log line
		t.Errorf("a wrong secret was answered %d", got)
	}
	p.stop()
	p.allLogged(events+20, wholeLines(t, r, w))
}

// TestTheReaderOfStandardOutputIsAway: standard output is closed later, also with
// SIGPIPE ignored, closed before the start, or always full. The process lives, takes
// requests, and logs the events when it can.
func TestTheReaderOfStandardOutputIsAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		redirect string
		closing  bool // the reader goes away
	}{
		"goes away":                     {execServe, true},
		"goes away, SIGPIPE is ignored": {"trap '' PIPE; " + execServe, true},
		"closed at the start":           {execServe + " >&-", false},
		"closed with the input":         {execServe + " >&- <&-", false},
		"all closed":                    {execServe + " >&- <&- 2>&-", false},
		"full":                          {execServe + " >/dev/full", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t)
			r, w := smallPipe(t)
			p.start(w, c.redirect)
			if c.closing {
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
			p.deliver(0, 20)
			if got := p.send(http.MethodPost, p.public+"/kazoo/wrong/object", "id=1"); got != http.StatusNotFound {
				t.Errorf("a wrong secret was answered %d", got)
			}
			p.deliver(20, 25)
			p.stop()
			p.allLogged(25, "")
		})
	}
}

// TestDeliberatelyNoOutput: events written to /dev/null count as logged.
func TestDeliberatelyNoOutput(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.start(nil, execServe+" >/dev/null")
	p.deliver(0, 5)
	logged := func() bool {
		_, metrics := p.read(p.admin + "/metrics")
		return strings.Contains(metrics, "kazoohook_consumer_lag_events{consumer=\"log\"} 0\n")
	}
	p.until("they are logged", logged)
	p.stop()
	p.start(nil, execServe+" >/dev/null")
	p.deliver(5, 6)
	p.until("it is logged", logged)
	p.stop()
	if log := p.allLogged(0, ""); strings.Contains(log, "user.deleted") {
		t.Errorf("logged again:\n%s", log)
	}
}

// TestHangUp: SIGHUP doesn't kill, and a line says what it did.
func TestHangUp(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	log := filepath.Join(t.TempDir(), "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	p.start(out, execServe)
	p.signal(syscall.SIGHUP)
	p.until("a line says so", func() bool {
		text, err := os.ReadFile(log)
		return err == nil && strings.Contains(string(text), "settings and secrets read again")
	})
	p.deliver(0, 1)
	p.stop()
}
