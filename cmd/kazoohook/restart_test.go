package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"kazoohook/config"
	"kazoohook/internal/cluster"
	"kazoohook/internal/fakekazoo"
)

// TestSettingsOfARestart: a node that begins anew has the settings of then, not those
// of the start of the process. If they can't be read, it keeps the last ones in use. A
// file that changes while a node starts counts as changed.
func TestSettingsOfARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	r := &reload{load: func() (*config.Config, error) {
		return config.Load(config.Options{Need: config.Listen, Environ: []string{"ADMIN_TOKEN_FILE=" + file}})
	}}
	put(t, file, "the-token-at-the-start")
	cfg, err := r.load()
	if err != nil {
		t.Fatal(err)
	}
	r.take(cfg)
	log := &logLines{}
	l, err := (&env{}).newLogs(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	var tokens []string
	err = r.runs(t.Context(), l.Log, func(cfg *config.Config) error {
		tokens = append(tokens, cfg.AdminToken.Reveal())
		switch len(tokens) {
		case 1:
			put(t, file, "the-token-of-a-reload")
		case 2:
			if fingerprint(r.taken.SecretFiles()) != r.seen {
				t.Error("a file that has not changed since it was read counts as changed")
			}
			put(t, file, "short")
		default:
			if fingerprint(r.taken.SecretFiles()) == r.seen {
				t.Error("a change that was not taken does not count as changed")
			}
			return nil
		}
		return errors.Join(errors.New("for some reason"), cluster.ErrRestart)
	})
	l.flush()
	if err != nil || strings.Join(tokens, " ") != "the-token-at-the-start the-token-of-a-reload the-token-of-a-reload" {
		t.Errorf("%q, %v", tokens, err)
	}
	if !strings.Contains(log.String(), "the previous ones stay in use") {
		t.Errorf("%s", log)
	}
}

// TestLinesAfterARestart: when the service is started again within the process, as a
// node of a cluster does it, the new run prints its events.
func TestLinesAfterARestart(t *testing.T) {
	t.Parallel()
	kazooCtx, stopKazoo := context.WithCancel(context.WithoutCancel(t.Context()))
	f, err := newFake(kazooCtx, fakekazoo.Options{Speed: 50, Seed: 1}, "127.0.0.1:0", "127.0.0.1:0", 3)
	if err != nil {
		t.Fatal(err)
	}
	kazoo := make(chan error, 1)
	go func() { kazoo <- f.run(kazooCtx) }()
	t.Cleanup(func() {
		stopKazoo()
		if err := <-kazoo; err != nil {
			t.Error(err)
		}
	})
	public := freeAddrs(t, 1)[0]
	cfg, err := config.Load(config.Options{Need: config.All, Environ: []string{
		"KAZOO_API_URL=" + f.api, "KAZOO_API_KEY=" + fakekazoo.DefaultAPIKey, "HOOK_SECRET=" + sceneSecret,
		"PUBLIC_URL=http://" + public, "LISTEN_ADDR=" + public, "ADMIN_ADDR=off", "DATA_DIR=" + t.TempDir(), "SHUTDOWN_TIMEOUT=20s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, fake: f, public: "http://" + public, log: &logLines{}}
	l, err := (&env{}).newLogs(cfg, s.log)
	if err != nil {
		t.Fatal(err)
	}
	for run := range 2 {
		ctx, stop := context.WithCancel(t.Context())
		again := *cfg
		service, err := newServiceAgain(ctx, &again, l)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- service.run(ctx) }()
		s.until("it listens", func() bool { return s.get(s.public+"/healthz").status == http.StatusOK })
		s.deliver("object", fmt.Sprintf("id=%032x&account_id=%032x&action=doc_deleted&type=user", run, 1))
		s.until("the event of this run is printed", func() bool {
			return strings.Count(s.log.String(), `"event":"user.deleted"`) == run+1
		})
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
