package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kazoohook/bench/chaos/trial"
	"kazoohook/config"
	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
)

// process is the program as its operator runs it: a separate process.
type process struct {
	t       *testing.T
	environ []string
	public  string // URL
	admin   string // URL
	cmd     *exec.Cmd
	ended   chan error
}

const processSecret = "a-secret-of-the-process-tests"

// newProcess prepares a process with its own data directory and addresses. Unless
// environ names a Kazoo, none answers.
func newProcess(t *testing.T, environ ...string) *process {
	t.Helper()
	p := &process{t: t}
	p.environ = append(os.Environ(),
		"KAZOO_API_URL=http://127.0.0.1:1", "KAZOO_API_KEY="+fakekazoo.DefaultAPIKey, "DATA_DIR="+filepath.Join(t.TempDir(), "data"),
		"HOOK_SECRET="+processSecret, "SHUTDOWN_TIMEOUT=20s", "GORACE=atexit_sleep_ms=0")
	p.environ = append(p.environ, environ...)
	p.move()
	return p
}

// freeAddrs finds addresses for a receiver, which must know its own before it listens.
func freeAddrs(t *testing.T, n int) []string {
	t.Helper()
	addrs, err := trial.FreeAddrs(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return addrs
}

// move gives the process new addresses. Another process may take them first.
func (p *process) move() {
	p.t.Helper()
	addrs := freeAddrs(p.t, 2)
	p.public, p.admin = "http://"+addrs[0], "http://"+addrs[1]
	p.environ = append(p.environ, "PUBLIC_URL="+p.public, "LISTEN_ADDR="+addrs[0], "ADMIN_ADDR="+addrs[1])
}

// start runs serve through a shell, which may redirect its files, with the given
// standard output, and waits until it takes requests. If opening the journal takes
// seconds, it listens first, and answers 503.
func (p *process) start(stdout io.Writer, redirect string) {
	p.t.Helper()
	p.listen(stdout, redirect)
	p.until("the journal is open", func() bool {
		_, checks := p.read(p.admin + "/readyz")
		return strings.Contains(checks, `"name":"journal","ok":true`)
	})
}

// listen is start for a process that can't open its journal. It waits until the process
// listens.
func (p *process) listen(stdout io.Writer, redirect string) {
	p.t.Helper()
	const tries = 5
	for try := 1; ; try++ {
		p.launch(stdout, redirect)
		for end := time.Now().Add(3 * time.Minute); len(p.ended) == 0; time.Sleep(5 * time.Millisecond) {
			if p.get(p.public+"/healthz") == http.StatusOK {
				return
			}
			if time.Now().After(end) {
				p.t.Fatal("it doesn't listen")
			}
		}
		if try == tries {
			p.t.Fatalf("it ended %d times before it listened", try)
		}
		p.move()
	}
}

func (p *process) launch(stdout io.Writer, redirect string) {
	p.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(p.t.Context()), "sh", "-c", redirect) //nolint:gosec // the test's own
	cmd.Env, cmd.Stdout = p.environ, stdout
	cmd.WaitDelay = time.Minute // a process that another test starts may hold its output open for a moment
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.cmd, p.ended = cmd, make(chan error, 1)
	go func(ended chan<- error) { ended <- cmd.Wait() }(p.ended)
	p.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // the process may have ended
		}
	})
}

// execServe is the shell command for start.
const execServe = "exec kazoohook serve"

// signal sends the process a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// stop asks the process to end, and checks that it ends in time without an error.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.hasEnded()
}

// hasEnded waits until a process that was asked to end has ended without an error.
func (p *process) hasEnded() {
	p.t.Helper()
	begin := time.Now()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("it ended with %v", err)
		}
		p.t.Logf("it ended after %s", time.Since(begin).Round(time.Millisecond))
	case <-time.After(3 * time.Minute):
		p.t.Fatal("it doesn't end")
	}
}

func (p *process) until(what string, ok func() bool) {
	p.t.Helper()
	deadline := time.After(3 * time.Minute) // a machine may be busy
	for !ok() {
		select {
		case err := <-p.ended:
			p.t.Fatalf("it ended with %v while waiting until %s", err, what)
		case <-deadline:
			p.t.Fatalf("waited in vain until %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *process) get(url string) int { return p.send(http.MethodGet, url, "") }

// send makes a request and returns the status, 0 without an answer.
func (p *process) send(method, url, body string) int {
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close() // only the status matters
	return resp.StatusCode
}

// read gets a URL and returns the status and the body.
func (p *process) read(url string) (int, string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// deliver posts the deletions numbered from to to-1; each must be answered 200.
func (p *process) deliver(from, to int) {
	p.t.Helper()
	for i := from; i < to; i++ {
		body := fmt.Sprintf("id=%032x&account_id=%032x&action=doc_deleted&type=user&cluster_id=c", i, 1)
		if got := p.send(http.MethodPost, p.public+"/kazoo/"+processSecret+"/object", body); got != http.StatusOK {
			p.t.Fatalf("delivery %d was answered %d", i, got)
		}
	}
}

// logged counts the lines of each user's deletion in a log, which must have whole lines
// only.
func (p *process) logged(log []byte) map[string]int {
	p.t.Helper()
	out := map[string]int{}
	for line := range bytes.Lines(log) {
		var l struct {
			Event    string `json:"event"`
			ObjectID string `json:"object_id"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			p.t.Errorf("%q is no line: %v", line, err)
		}
		if l.Event == "user.deleted" {
			out[l.ObjectID]++
		}
	}
	return out
}

// kill ends the process at once.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	if err := <-p.ended; err == nil {
		p.t.Error("it was killed and ended well")
	}
}

// allLogged starts the process again with a working standard output. It waits until n
// deletions each have a line there or in earlier, and returns the new log.
func (p *process) allLogged(n int, earlier string) string {
	p.t.Helper()
	log := filepath.Join(p.t.TempDir(), "log")
	f, err := os.Create(log)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // the process has its own copy
	p.start(f, execServe)
	var text []byte
	p.until("every event is logged", func() bool {
		text, err = os.ReadFile(log)
		whole := text[:bytes.LastIndexByte(text, '\n')+1] // the last line may be incomplete
		return err == nil && len(p.logged([]byte(earlier+string(whole)))) == n
	})
	p.stop()
	return string(text)
}

// dataService is a service of which only the data directory is used.
func dataService(t *testing.T, dir string) *service {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = dir
	var e env
	l, err := e.newLogs(cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return &service{cfg: cfg, logs: l, measured: newMetrics(nil)}
}

// openData opens a service's data directory and waits for that.
func openData(t *testing.T, s *service) error {
	t.Helper()
	return s.use(<-s.opening(t.Context()))
}

// used makes a data directory with three events, of a service that was stopped or
// killed.
func used(t *testing.T, dir string, stopped bool) {
	t.Helper()
	work := dir
	if !stopped {
		work = t.TempDir()
	}
	s := dataService(t, work)
	if err := openData(t, s); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		rec := event.Route(event.Request{
			Source: event.SourceWebhook, ReceivedAt: time.Now(), Hook: "object", Method: http.MethodPost, ContentType: "application/x-www-form-urlencoded",
			Body: fmt.Appendf(nil, "id=%032x&account_id=%032x&action=doc_deleted&type=user", i, 1),
		})
		if _, err := s.journal.Append(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	if !stopped { // copy what is on disk before the journal is closed
		if err := os.CopyFS(dir, os.DirFS(work)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.journal.Close(); err != nil {
		t.Fatal(err)
	}
}
