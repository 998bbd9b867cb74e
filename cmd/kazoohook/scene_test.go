package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kazoohook/config"
	"kazoohook/internal/fakekazoo"
)

// scene is a fake Kazoo and the whole service, over real sockets.
type scene struct {
	*fake
	t             *testing.T
	service       *service
	public, admin string // URLs
	log           *logLines
}

const sceneSecret = "the-secret-of-the-scene"

// newScene starts both and waits until the hooks are registered. environ has further
// settings.
func newScene(t *testing.T, environ ...string) *scene {
	t.Helper()
	return newSceneOf(t, "4.3", environ...)
}

// newSceneOf is newScene with a version of Kazoo.
func newSceneOf(t *testing.T, version string, environ ...string) *scene {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	f, err := newFake(ctx, fakekazoo.Options{Version: version, Speed: 50, Seed: 1}, "127.0.0.1:0", "127.0.0.1:0", 3)
	if err != nil {
		t.Fatal(err)
	}
	public := freeAddrs(t, 1)[0]
	cfg, err := config.Load(config.Options{Need: config.All, Environ: append([]string{
		"KAZOO_API_URL=" + f.api, "KAZOO_API_KEY=" + fakekazoo.DefaultAPIKey,
		"PUBLIC_URL=http://" + public, "LISTEN_ADDR=" + public, "ADMIN_ADDR=127.0.0.1:0", "HOOK_SECRET=" + sceneSecret,
		"DATA_DIR=" + t.TempDir(), "RECONCILE_INTERVAL=1s", "RESYNC_INTERVAL=10s", "SHUTDOWN_TIMEOUT=20s", "HOOKS=object:user,channel_create,notifications",
	}, environ...)})
	if err != nil {
		t.Fatal(err)
	}
	cfg.KazooAPIRate = 1000 // the fake Kazoo is fast, too
	s := &scene{fake: f, t: t, log: &logLines{}}
	l, err := (&env{}).newLogs(cfg, s.log)
	if err != nil {
		t.Fatal(err)
	}
	if s.service, err = newService(ctx, cfg, l); err != nil {
		t.Fatal(err)
	}
	s.public, s.admin = "http://"+public, adminURL(s.service)
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{f.run, s.service.run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("%v\n%s", err, s.log)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	s.until("ready", func() bool {
		resp := s.get(s.public + "/readyz")
		return resp.status == http.StatusOK
	})
	return s
}

// newServiceAgain is newService at the address of a service that has just ended in this
// process. A program that another test is starting may hold that one's listeners for a
// moment.
func newServiceAgain(ctx context.Context, cfg *config.Config, l logs) (s *service, err error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if s, err = newService(ctx, cfg, l); !errors.Is(err, syscall.EADDRINUSE) || pause(ctx, 10*time.Millisecond) != nil {
			break
		}
	}
	return s, err
}

// until waits for a condition, for three minutes at most.
func (s *scene) until(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.After(3 * time.Minute) // a machine may be busy
	for !ok() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			s.t.Fatalf("waited in vain until %s; the log:\n%s", what, s.log)
		}
	}
}

// logged waits for a piece of text in the log.
func (s *scene) logged(text string) {
	s.t.Helper()
	s.until("the log says "+text, func() bool { return strings.Contains(s.log.String(), text) })
}

type response struct {
	status int
	header http.Header
	body   string
}

func (s *scene) get(url string) response { s.t.Helper(); return s.send(http.MethodGet, url, "", "") }

// send makes one request. Without an answer, the status is 0.
func (s *scene) send(method, url, contentType, body string) response {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return response{}
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return response{}
	}
	return response{resp.StatusCode, resp.Header, string(raw)}
}

// deliver posts a request as Kazoo might, and expects a 200.
func (s *scene) deliver(hook, body string) {
	s.t.Helper()
	got := s.send(http.MethodPost, s.public+"/kazoo/"+sceneSecret+"/"+hook, "application/x-www-form-urlencoded", body)
	if got.status != http.StatusOK {
		s.t.Errorf("a delivery was answered %d %s", got.status, got.body)
	}
}

// logLines is a log that can be read while it is written.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
