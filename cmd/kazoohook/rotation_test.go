package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
)

// TestPreviousSecretHasServed: a line comes once the previous secret was unused for
// long enough and every hook has moved. It comes again each time that the secret was
// used in between.
func TestPreviousSecretHasServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &logLines{}
		var moved atomic.Bool
		r := &rotation{moved: moved.Load, quiet: rotationQuiet, check: rotationCheck, now: time.Now, log: zerolog.New(log)}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.run(ctx) }()
		after := func(d time.Duration, lines int, text string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := log.String(); strings.Count(got, "\n") != lines || !strings.Contains(got, text) {
				t.Errorf("want %d lines and %q:\n%s", lines, text, got)
			}
		}
		after(2*rotationQuiet, 0, "") // the hooks have not moved
		moved.Store(true)
		after(rotationQuiet-time.Second, 0, "") // not long enough
		after(3*rotationQuiet, 1, "not used since the start")
		r.used()
		last := time.Now().UTC().Format(time.RFC3339)
		after(rotationQuiet-time.Second, 1, "")
		after(3*rotationQuiet, 2, `"last_used":"`+last+`","message":"the previous hook secret is no longer used`)
		r.used()
		moved.Store(false) // a hook has its old URI again
		after(3*rotationQuiet, 2, "")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// rotating is a receiver that restarts with other secrets at the same address, with the
// same data.
type rotating struct {
	t       *testing.T
	environ []string
	service *service
	log     *logLines
	stop    func()
}

func (r *rotating) start(secrets ...string) {
	r.t.Helper()
	cfg, err := config.Load(config.Options{Need: config.All, Environ: append(secrets, r.environ...)})
	if err != nil {
		r.t.Fatal(err)
	}
	cfg.KazooAPIRate = 1000 // the fake Kazoo is fast, too
	l, err := (&env{}).newLogs(cfg, r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.service, err = newServiceAgain(r.t.Context(), cfg, l); err != nil {
		r.t.Fatal(err)
	}
	if r.service.rotation != nil {
		r.service.rotation.quiet, r.service.rotation.check = 50*time.Millisecond, 10*time.Millisecond
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(r.t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.service.run(ctx) }()
	r.stop = func() {
		stop()
		if err := <-done; err != nil {
			r.t.Errorf("%v\n%s", err, r.log)
		}
		r.stop = func() {}
	}
}

// TestHookSecretRotation deletes users without a pause. The receiver restarts with a
// new secret, the hook moves, and the receiver restarts without the old secret. Every
// deletion is one event.
func TestHookSecretRotation(t *testing.T) {
	t.Parallel()
	const first, second = "the-first-secret-of-all", "the-second-secret-of-all"
	kazooCtx, stopKazoo := context.WithCancel(context.WithoutCancel(t.Context()))
	f, err := newFake(kazooCtx, fakekazoo.Options{Speed: 10, Seed: 3}, "127.0.0.1:0", "127.0.0.1:0", 3)
	if err != nil {
		t.Fatal(err)
	}
	users, err := f.SeedUsers("acme", 1000)
	if err != nil {
		t.Fatal(err)
	}
	public := freeAddrs(t, 1)[0]
	kazoo := make(chan error, 1)
	go func() { kazoo <- f.run(kazooCtx) }()
	r := &rotating{t: t, log: &logLines{}, stop: func() {}, environ: []string{
		"KAZOO_API_URL=" + f.api, "KAZOO_API_KEY=" + fakekazoo.DefaultAPIKey,
		"PUBLIC_URL=http://" + public, "LISTEN_ADDR=" + public, "ADMIN_ADDR=off", "DATA_DIR=" + t.TempDir(),
		"RECONCILE_INTERVAL=1s", "SHUTDOWN_TIMEOUT=10s", "HOOK_RETRIES=4", "RESYNC_MAX_DELETIONS=1000", "RESYNC_INTERVAL=5s",
	}}
	t.Cleanup(func() {
		r.stop()
		stopKazoo()
		if err := <-kazoo; err != nil {
			t.Error(err)
		}
	})
	s := &scene{t: t, log: r.log, fake: f}
	ready := func(text string) {
		t.Helper()
		s.until("the hook has "+text, func() bool {
			ok, _ := r.service.leading().engine.Reconciler.Status().Ready()
			hooks := f.Hooks()
			return ok && len(hooks) > 0 && !slices.ContainsFunc(hooks, func(h fakekazoo.HookState) bool { return !strings.Contains(h.URI, "/kazoo/"+text+"/") })
		})
	}
	r.start("HOOK_SECRET=" + first)
	ready(first)
	// On a slow machine Kazoo gets no answer for so long that it switches the hook off.
	// What happens then is found by a comparison.
	s.logged("is the baseline")

	var deleted []string
	var happening sync.WaitGroup
	enough := make(chan struct{})
	happening.Go(func() {
		for _, u := range users {
			if err := f.DeleteUser(u.ID); err != nil {
				t.Error(err)
				return
			}
			deleted = append(deleted, u.ID)
			select {
			case <-enough:
				return
			case <-time.After(20 * time.Millisecond): // the interval between deletions
			}
		}
	})
	progress := func(n int64) {
		t.Helper()
		from, _ := r.service.journal.Last(t.Context())
		s.until(fmt.Sprint(n, " more events"), func() bool {
			last, err := r.service.journal.Last(t.Context())
			return err == nil && last >= from+n
		})
	}
	progress(10)
	r.stop()
	r.start("HOOK_SECRET="+second, "HOOK_SECRET_PREVIOUS="+first)
	ready(second)
	progress(10)
	s.logged("HOOK_SECRET_PREVIOUS can be removed")
	r.stop()
	r.start("HOOK_SECRET=" + second)
	ready(second)
	progress(10)
	close(enough)
	happening.Wait()
	if err := f.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}

	times := map[string]int{}
	count := func() int {
		clear(times)
		var after int64
		for {
			records, err := r.service.journal.Read(t.Context(), after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if len(records) == 0 {
				return len(times)
			}
			for _, rec := range records {
				after = rec.Seq
				if rec.Event == "user.deleted" {
					times[rec.ObjectID]++
				}
			}
		}
	}
	for end := time.Now().Add(4 * time.Minute); count() < len(deleted) && time.Now().Before(end); {
		<-time.After(20 * time.Millisecond)
	}
	for _, id := range deleted {
		if times[id] != 1 {
			t.Errorf("%d events of the deletion of %s", times[id], id)
		}
	}
	if len(times) != len(deleted) {
		t.Errorf("%d users were deleted, %d are said to be", len(deleted), len(times))
	}
	records, _, err := r.service.journal.Query(t.Context(), event.Query{Events: []string{event.Unknown}, Limit: 1})
	if err != nil || len(records) > 0 {
		t.Errorf("not understood: %v %v", records, err)
	}
	for _, secret := range []string{first, second} {
		if strings.Contains(r.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
	t.Logf("%d deletions", len(deleted))
}
