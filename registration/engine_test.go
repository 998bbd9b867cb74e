package registration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal/journaltest"
)

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// eventually polls until ok, or fails the test after a while.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within three minutes: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// run starts an engine; the returned function stops it.
func run(t *testing.T, e *Engine) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e.Resume(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return sync.OnceFunc(func() { cancel(); wg.Wait() })
}

// TestEngineMissesNobody: users are deleted while everything works, while requests are
// refused, while the hook is off, and while the receiver is not running.
func TestEngineMissesNobody(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{Speed: 50})
	j := openJournal(t, journaltest.MemoryDir(t), nil)
	r := newReceiver(t, j)
	logged := &logBuffer{}
	log := zerolog.New(logged)
	users, err := c.SeedUsers("acme", 60)
	if err != nil {
		t.Fatal(err)
	}
	newEngine := func() (*Engine, func()) {
		reg := reconcilerOptions(r.url)
		reg.Interval, reg.Log = 40*time.Millisecond, log
		api := c.client(t)
		e := NewEngine(api, j, reg, RecoverOptions{Log: log}, ResyncOptions{Specs: deletedUsers, Log: log},
			EngineOptions{ResyncInterval: time.Second, Settle: 20 * time.Millisecond, Log: log})
		return e, run(t, e)
	}
	e, stop := newEngine()
	defer stop()
	eventually(t, "baseline", func() bool { return e.Overview().Resync.Runs > 0 && e.Overview().Recover.Runs > 1 })
	hook := e.Overview().Registration.Hooks[0].ID
	next := 0
	remove := func(n int) {
		t.Helper()
		for _, u := range users[next : next+n] {
			if err := c.DeleteUser(u.ID); err != nil {
				t.Fatal(err)
			}
		}
		next += n
	}
	complete := func() bool {
		got := tally(t, j)
		for _, u := range users[:next] {
			if got["user.deleted "+u.ID] != 1 {
				return false
			}
		}
		return len(got) == next
	}

	remove(5)
	eventually(t, "live", complete)
	r.status.Store(http.StatusNotFound)
	remove(4)
	if err := c.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.status.Store(0)
	eventually(t, "recovered", complete)
	eventually(t, "counted", func() bool {
		s, f := e.Overview(), e.RecentFailures()
		return s.Recover.Recovered == 4 && s.Failures[hook] == 4 && len(f) == 1 && f[0].Attempts == 4
	})
	eventually(t, "logged", func() bool {
		return strings.Contains(logged.String(), "Kazoo tries to deliver and fails: answered 404") && strings.Contains(logged.String(), "about to switch this hook off")
	})
	if err := c.DisableHook(hook, fakekazoo.ReasonTooManyFailures); err != nil {
		t.Fatal(err)
	}
	remove(6)
	eventually(t, "the hook is on again", func() bool { return e.Overview().Registration.Repairs == 1 && e.Reconciler.Status().Firing() })
	eventually(t, "resynced after the outage", complete)
	eventually(t, "the outage is told", func() bool {
		return e.Outages() > 0 && strings.Contains(logged.String(), `"last_failure":"answered 404`)
	})
	stop()
	if err := c.DisableHook(hook, fakekazoo.ReasonTooManyFailures); err != nil {
		t.Fatal(err)
	}
	remove(7)
	e, stop = newEngine()
	defer stop()
	eventually(t, "resynced after the restart", complete)
	eventually(t, "the outage of the restart is told", func() bool { return strings.Contains(logged.String(), "the receiver was not running") })
	remove(3)
	eventually(t, "live again", complete)
	if strings.Contains(logged.String(), testSecret) {
		t.Error("the log holds the secret")
	}
	e.NoteRefusal(hook)
	e.NoteRefusal("somebody else's")
	e.NoteRefusal("")
	if b := e.Budget(); b[hook] == 0 || len(b) != 1 {
		t.Errorf("budget: %v", b)
	}
}

func TestEngineInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 30*time.Second)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		b.kazoo.createErr = &crossbar.Error{Op: "hooks.create", Status: http.StatusBadRequest, Message: "invalid client URL"}
		stop := run(t, b.Engine)
		<-time.After(30 * time.Second)
		if n := b.kazoo.listings(); n != 0 {
			t.Errorf("compared %d times before the hooks are registered", n)
		}
		if ok, why := b.Reconciler.Status().Ready(); ok || why == "" {
			t.Errorf("ready: %v %s", ok, why)
		}
		<-time.After(firstResync) // the hooks can't be registered, and objects are still compared
		if n := b.kazoo.listings(); n != 1 {
			t.Errorf("compared %d times although the hooks can't be registered, want once", n)
		}
		b.kazoo.set(func() { b.kazoo.createErr = nil })
		<-time.After(45 * time.Second)
		if n := b.kazoo.listings(); n != 1 || !b.Reconciler.Status().Firing() {
			t.Errorf("compared %d times within ten minutes, want once", n)
		}
		<-time.After(10 * time.Minute)
		if n := b.kazoo.listings(); n != 2 {
			t.Errorf("compared %d times after the hooks were registered, want twice", n)
		}
		<-time.After(6*time.Hour + 20*time.Minute)
		if n := b.kazoo.listings(); n != 3 {
			t.Errorf("compared %d times after the interval, want three times", n)
		}

		// A resync that fails is tried again after growing pauses.
		b.kazoo.set(func() { b.kazoo.usersErr = errors.New("cut off") })
		b.askResync("test")
		<-time.After(time.Hour)
		if n := b.kazoo.listings(); n < 8 || n > 24 {
			t.Errorf("compared %d times within an hour of failures", n)
		}
		if !strings.Contains(b.logged.String(), "nothing was concluded") {
			t.Errorf("log:\n%s", b.logged)
		}
		b.kazoo.set(func() { b.kazoo.usersErr = nil })
		<-time.After(20 * time.Minute)
		n := b.kazoo.listings()

		// Switched off repeatedly: the pauses grow and the reason is logged.
		enabled := 0
		b.kazoo.set(func() { enabled = b.kazoo.enabled })
		for range 40 * 2 {
			b.kazoo.set(func() {
				b.kazoo.list = append(b.kazoo.list, answered(failed(fmt.Sprint("f", len(b.kazoo.list)), "u1", "doc_edited", time.Now(), true), "502"))
				b.kazoo.hooks[0].Enabled, b.kazoo.hooks[0].DisableReason = false, "too many failed attempts"
			})
			<-time.After(30 * time.Second)
		}
		b.kazoo.set(func() { enabled = b.kazoo.enabled - enabled })
		if got := enabled; got < 5 || got > 9 {
			t.Errorf("enabled %d times within 40 minutes of failures", got)
		}
		for _, want := range []string{"switched this hook off again soon", "a proxy is there but the receiver behind it was not"} {
			if !strings.Contains(b.logged.String(), want) {
				t.Errorf("the log lacks %q", want)
			}
		}
		if got := strings.Count(b.logged.String(), "Kazoo tries to deliver and fails"); got < 3 || got > 6 {
			t.Errorf("%d lines about reachability in 40 minutes", got)
		}
		if b.kazoo.listings() == n {
			t.Error("not compared after the hook was off")
		}

		// The record can't be read: that is logged now and then.
		b.kazoo.set(func() { b.kazoo.fail = func(time.Time, time.Time) error { return errors.New("cut off") } })
		<-time.After(25 * time.Minute)
		if got := strings.Count(b.logged.String(), "not all failed deliveries could be recovered"); got < 2 || got > 4 {
			t.Errorf("%d lines about the record in 25 minutes", got)
		}
		stop()
	})
}

func TestOutagesOfARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 30*time.Second)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		session := func(away time.Duration) int {
			b.renew(30 * time.Second)
			<-time.After(away)
			stop := run(t, b.Engine)
			<-time.After(time.Minute)
			stop()
			return b.Outages()
		}
		if n := session(0); n != 0 {
			t.Errorf("%d outages at the first start", n)
		}
		if n := session(time.Second); n != 1 || !strings.Contains(b.logged.String(), "the receiver was not running") {
			t.Errorf("%d outages of a quick restart:\n%s", n, b.logged)
		}
		b.logged.reset()
		if n := session(time.Hour); n != 1 || !strings.Contains(b.logged.String(), `"at_most_ms":36`) {
			t.Errorf("%d outages of an hour's absence:\n%s", n, b.logged)
		}
		// Off when we come back: one outage, from the last proof.
		b.kazoo.hooks[0].Enabled = false
		b.logged.reset()
		if n := session(time.Hour); n != 1 || !strings.Contains(b.logged.String(), "the hook was not firing: it was switched off") || !strings.Contains(b.logged.String(), `"at_most_ms":36`) {
			t.Errorf("%d outages:\n%s", n, b.logged)
		}
		// The stored state of the hooks is damaged, so nothing is proven.
		if err := b.j.SetState(t.Context(), statesKey+testAccount, "yesterday"); err != nil {
			t.Fatal(err)
		}
		b.logged.reset()
		if n := session(time.Hour); n != 1 || strings.Contains(b.logged.String(), `"at_most_ms"`) {
			t.Errorf("%d outages:\n%s", n, b.logged)
		}
		// A login fails: registration logs it, and nothing else happens.
		b.renew(time.Second)
		b.kazoo.loginErr = errors.New("wrong password")
		n := b.kazoo.listings()
		stop := run(t, b.Engine)
		<-time.After(2 * time.Minute)
		stop()
		if b.kazoo.listings() != n || !strings.Contains(b.logged.String(), "wrong password") {
			t.Error("compared without a login")
		}
	})
}

func TestReachability(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, time.Second)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		b.started = time.Now()
		<-time.After(time.Hour)
		tries := func(at time.Time) bool {
			before := b.logged.String()
			b.reachability([]crossbar.Attempt{failed("f1", "u1", "doc_deleted", at, true)}, time.Now())
			return b.logged.String() != before
		}
		now := time.Now()
		for name, tc := range map[string]struct {
			at, reached time.Time
			want        bool
		}{
			"long ago":             {now.Add(-20 * time.Minute), time.Time{}, false},
			"while we were away":   {b.started.Add(-2 * time.Second), time.Time{}, false},
			"something came since": {now.Add(-time.Minute), now, false},
			"now":                  {now, now.Add(-time.Hour), true},
		} {
			b.reached = tc.reached
			if got := tries(tc.at); got != tc.want {
				t.Errorf("%s: logged %v", name, got)
			}
		}
		if tries(time.Now()) {
			t.Error("logged twice")
		}
		if !strings.Contains(b.logged.String(), `"last_delivery"`) || strings.Contains(b.logged.String(), "former-secret") {
			t.Errorf("log: %s", b.logged)
		}
		<-time.After(logAgain)
		if !tries(time.Now()) {
			t.Error("not logged again")
		}
		b.reachability(nil, time.Now())
	})
}
