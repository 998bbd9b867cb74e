//go:build linux

package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kazoohook/config"
	"kazoohook/internal/fakekazoo"
)

// hungStart is a service whose start hangs while it reads its data directory: the hooks'
// secret there is a pipe into which nobody writes.
type hungStart struct {
	*scene
	pipe  string
	stop  context.CancelFunc
	ended chan error // of newService
}

func newHungStart(t *testing.T) *hungStart {
	t.Helper()
	dir, public := t.TempDir(), freeAddrs(t, 1)[0]
	h := &hungStart{scene: &scene{t: t, public: "http://" + public, log: &logLines{}}, pipe: filepath.Join(dir, config.SecretFile), ended: make(chan error, 1)}
	if err := unix.Mkfifo(h.pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{Need: config.All, Environ: []string{
		"KAZOO_API_URL=http://127.0.0.1:1", "KAZOO_API_KEY=" + fakekazoo.DefaultAPIKey, "PUBLIC_URL=http://" + public, "LISTEN_ADDR=" + public,
		"ADMIN_ADDR=off", "DATA_DIR=" + dir, "SHUTDOWN_TIMEOUT=20s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&env{}).newLogs(cfg, h.log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	h.stop = stop
	t.Cleanup(stop)
	go func() {
		var err error
		h.service, err = newService(ctx, cfg, l)
		h.ended <- err
	}()
	return h
}

// answers makes what reads the secret go on, with a secret.
func (h *hungStart) answers(secret string) {
	h.t.Helper()
	pipe, err := os.OpenFile(h.pipe, os.O_WRONLY, 0) // it returns once the secret is being read
	if err != nil {
		h.t.Fatal(err)
	}
	put(h.t, h.pipe+".new", secret)
	if err := os.Rename(h.pipe+".new", h.pipe); err != nil {
		h.t.Fatal(err)
	}
	_, err = pipe.WriteString(secret)
	if err = errors.Join(err, pipe.Close()); err != nil {
		h.t.Fatal(err)
	}
}

// TestStartOnAHungDisk: the service listens, asks Kazoo to resend whatever the secret is,
// and goes on when the disk answers. If it never does, a stop ends all the same.
func TestStartOnAHungDisk(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]bool{"it answers": true, "it is stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHungStart(t)
			h.until("it listens", func() bool { return h.get(h.public+"/healthz").status == http.StatusOK })
			got := h.send(http.MethodPost, h.public+"/kazoo/"+sceneSecret+"/object", "application/x-www-form-urlencoded", "id=1")
			if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
				t.Errorf("a request was answered %d, %v", got.status, got.header)
			}
			if ready := h.get(h.public + "/readyz"); ready.status != http.StatusServiceUnavailable {
				t.Errorf("readyz answered %d %s", ready.status, ready.body)
			}
			h.logged("still being opened")
			if !answers {
				h.stop()
				if err := <-h.ended; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "the stop did not wait for the data directory") {
					t.Errorf("the start ended with %v", err)
				}
				h.answers("invalid") // the rest of the start ends, and writes nothing
				return
			}
			h.answers(sceneSecret)
			if err := <-h.ended; err != nil {
				t.Fatal(err)
			}
			h.deliver("object", "id=00000000000000000000000000000001&account_id=00000000000000000000000000000002&action=doc_deleted&type=user")
			if err := errors.Join(h.service.endServing(), h.service.endJournal()); err != nil {
				t.Error(err)
			}
		})
	}
}
