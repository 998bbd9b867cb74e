//go:build real

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/config"
	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
)

// pageScene is the whole program with a fake Kazoo, for tests of the page.
type pageScene struct {
	t       *testing.T
	environ []string
	service *service
	stop    func()
}

const pageToken = "token-of-the-page-tests"

// newPageScene starts the fake Kazoo and the receiver, with its data in dir.
func newPageScene(t *testing.T, dir string, environ ...string) (*pageScene, *fake) {
	t.Helper()
	f, err := newFake(t.Context(), fakekazoo.Options{Seed: 7}, "127.0.0.1:0", "127.0.0.1:0", 5)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	addrs := freeAddrs(t, 2)
	s := &pageScene{t: t, environ: append([]string{
		"KAZOO_API_URL=" + f.api, "KAZOO_USERNAME=" + fakekazoo.DefaultUsername, "KAZOO_PASSWORD=" + fakekazoo.DefaultPassword,
		"KAZOO_ACCOUNT_NAME=acme", "HOOKS=" + demoHooks, "INCLUDE_SUBACCOUNTS=true", "KAZOO_API_RATE=10", "RECONCILE_INTERVAL=1s",
		"PUBLIC_URL=http://" + addrs[0], "LISTEN_ADDR=" + addrs[0], "ADMIN_ADDR=" + addrs[1], "DATA_DIR=" + dir, "SHUTDOWN_TIMEOUT=20s",
	}, environ...)}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s, f
}

// start runs the receiver. A second start listens at the same address.
func (s *pageScene) start() {
	s.t.Helper()
	cfg, err := config.Load(config.Options{Need: config.All, Environ: s.environ})
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := (&env{}).newLogs(cfg, io.Discard)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.service, err = newServiceAgain(s.t.Context(), cfg, l); err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.service.run(ctx) }()
	s.stop = func() {
		stop()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		s.stop = func() {}
	}
}

func (s *pageScene) url() string { return adminURL(s.service) + "/" }

// deliver posts a request as Kazoo does.
func (s *pageScene) deliver(hook string, fields ...string) {
	s.t.Helper()
	form := url.Values{"account_id": {fakekazoo.DefaultAccountID}}
	for pair := range slices.Chunk(fields, 2) {
		form.Set(pair[0], pair[1])
	}
	to := fmt.Sprintf("%s/kazoo/%s/%s", s.service.cfg.PublicURL, s.service.cfg.HookSecret.Reveal(), hook)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req) // the receiver may have been restarted
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("delivery answered %s", resp.Status)
	}
}

// row is a JavaScript expression for the row of the list that shows text.
func row(text string) string {
	return fmt.Sprintf("[...document.querySelectorAll('.row:not([hidden])')].find(r => r.textContent.includes(%q))", text)
}

// append appends an event without a delivery.
func (s *pageScene) append(i int) error {
	r := event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object", Method: "POST",
		ContentType: "application/x-www-form-urlencoded", Body: fmt.Appendf(nil, "id=many%d&type=user&action=doc_created&account_id=a1", i)})
	a, err := s.service.journal.Append(s.t.Context(), r)
	if err == nil {
		s.service.journal.Acknowledged(r, a, true)
	}
	return err
}
