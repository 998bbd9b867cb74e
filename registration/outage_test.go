package registration

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal/journaltest"
)

// TestWhatIsAnOutage: exactly the spans of time in which a hook isn't proven to fire
// are outages. Each case happens to a hook that fires.
func TestWhatIsAnOutage(t *testing.T) {
	t.Parallel()
	other := func(id string) crossbar.Attempt {
		a := answered(failed(id, "u1", event.Edited, time.Now(), true), "404")
		a.URI = "http://elsewhere.example.com/kazoo/" + testSecret + "/object"
		return a
	}
	own := func(id string) crossbar.Attempt {
		a := failed(id, "u1", event.Edited, time.Now(), true)
		a.URI = testURL + "/kazoo/" + testSecret + "/object"
		return a
	}
	change := func(f func(*crossbar.Hook)) func(*bubble) { return func(b *bubble) { f(&b.kazoo.hooks[0]) } }
	restart := func(desire func(*Options)) func(*bubble) { return func(b *bubble) { b.desire = desire } }
	for name, tc := range map[string]struct {
		happens func(*bubble) // nil: nothing
		restart bool
		want    string // the reason; "" no outage
	}{
		"nothing": {},
		"switched off": {func(b *bubble) {
			b.kazoo.hooks[0].Enabled, b.kazoo.hooks[0].DisableReason = false, "too many failed attempts"
		}, false,
			"switched off (too many failed attempts)"},
		"removed":             {func(b *bubble) { b.kazoo.hooks = nil }, false, "missing in Kazoo"},
		"removed, made again": {change(func(h *crossbar.Hook) { h.ID = "h9" }), false, "removed and created again"},
		"address":             {change(func(h *crossbar.Hook) { h.URI = "http://elsewhere.example.com/" }), false, "uri was changed"},
		"address, our secret": {change(func(h *crossbar.Hook) { h.URI = "http://elsewhere.example.com/kazoo/" + testSecret + "/object" }), false, "uri was changed"},
		"custom data":         {change(func(h *crossbar.Hook) { h.CustomData = map[string]any{"type": "device", "action": "all"} }), false, "custom_data was changed"},
		"format":              {change(func(h *crossbar.Hook) { h.Format = "json" }), false, "format was changed"},
		"sub-accounts":        {change(func(h *crossbar.Hook) { h.IncludeSubaccounts = true }), false, "include_subaccounts was changed"},
		"address, undone":     {func(b *bubble) { b.kazoo.list = append(b.kazoo.list, other("f1")) }, false, "uri was different"},
		"verb, undone": {func(b *bubble) {
			a := own("f1")
			a.Method = "get"
			b.kazoo.list = append(b.kazoo.list, a)
		}, false, "http_verb was different"},
		"off and on again": {func(b *bubble) {
			for i := range failureLimit {
				b.kazoo.list = append(b.kazoo.list, own(fmt.Sprint("f", i)))
			}
		}, false, "enough failures to switch the hook off"},
		"five failures": {happens: func(b *bubble) {
			for i := range failureLimit - 1 {
				b.kazoo.list = append(b.kazoo.list, own(fmt.Sprint("f", i)))
			}
		}},
		"six failures in two minutes": {happens: func(b *bubble) {
			for i := range failureLimit {
				a := own(fmt.Sprint("f", i))
				a.Time = a.Time.Add(time.Duration(-25*(failureLimit-i)) * time.Second)
				b.kazoo.list = append(b.kazoo.list, a)
			}
		}},
		"API away for three passes": {func(b *bubble) { b.kazoo.away = errors.New("refused") }, false, "could not be checked for"},
		"another's hook fails":      {happens: func(b *bubble) { a := other("f1"); a.HookID = "theirs"; b.kazoo.list = append(b.kazoo.list, a) }},
		"receiver away":             {nil, true, "the receiver was not running"},
		"our own change":            {restart(func(o *Options) { o.Retries, o.PreviousSecret, o.Secret = 1, o.Secret, "a-newer-secret-0123456789" }), true, "the receiver was not running"},
		"a secret not accepted any more": {restart(func(o *Options) { o.Secret = "a-newer-secret-0123456789" }), true,
			"its address had a secret that is no longer accepted; the receiver was not running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, 30*time.Second)
				defer func() {
					if err := b.j.Close(); err != nil {
						t.Error(err)
					}
				}()
				stop := run(t, b.Engine)
				<-time.After(5 * time.Minute)
				if b.Outages() != 0 || b.kazoo.listings() != 1 {
					t.Fatalf("%d outages, %d comparisons after the first start:\n%s", b.Outages(), b.kazoo.listings(), b.logged)
				}
				if tc.restart {
					stop()
				}
				happened := time.Now()
				if tc.happens != nil {
					b.kazoo.set(func() { tc.happens(b) })
				}
				if tc.restart {
					b.renew(30 * time.Second)
					<-time.After(time.Minute)
					stop = run(t, b.Engine)
				}
				<-time.After(80 * time.Second)
				b.kazoo.set(func() { b.kazoo.away = nil })
				<-time.After(20 * time.Minute)
				stop()
				want := 0
				if tc.want != "" {
					want = 1
				}
				if b.Outages() != want || strings.Count(b.logged.String(), "outage: events may have been missed") != want || !strings.Contains(b.logged.String(), tc.want) {
					t.Errorf("%d outages, want %d (%s):\n%s", b.Outages(), want, tc.want, b.logged)
				}
				if got := b.kazoo.listings(); got != 1+want {
					t.Errorf("compared %d times, want %d", got, 1+want)
				}
				if h := b.kazoo.hooks[0]; len(b.kazoo.hooks) != 1 || !h.Enabled || !strings.HasPrefix(h.URI, testURL) || h.Format != "form-data" {
					t.Errorf("hooks: %+v", b.kazoo.hooks)
				}
				proven := b.proofs.known("kazoohook object user doc_deleted").Proven
				if time.Since(proven) > 40*time.Second || happened.After(proven) {
					t.Errorf("proven until %s, it is %s", proven, time.Now())
				}
			})
		})
	}
}

// TestOutagesAreComparedOnce: one comparison covers outages that follow each other. It
// waits until two passes have proven the hooks, for three times the settling time after
// the last change, and until ten minutes after the last comparison.
func TestOutagesAreComparedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 30*time.Second)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		started := time.Now()
		stop := run(t, b.Engine)
		<-time.After(2900 * time.Millisecond)
		if n := b.kazoo.listings(); n != 0 {
			t.Errorf("compared %d times within three seconds after the hooks were created", n)
		}
		<-time.After(2 * time.Second)
		if n := b.kazoo.listings(); n != 1 {
			t.Errorf("compared %d times, want once", n)
		}
		for range 3 {
			<-time.After(2 * time.Minute)
			b.kazoo.set(func() { b.kazoo.hooks[0].URI = "http://elsewhere.example.com/" })
		}
		<-time.After(time.Until(started.Add(10 * time.Minute)))
		if n := b.kazoo.listings(); n != 1 || b.Outages() != 3 {
			t.Errorf("compared %d times within ten minutes, %d outages", n, b.Outages())
		}
		<-time.After(10 * time.Second)
		if n := b.kazoo.listings(); n != 2 {
			t.Errorf("compared %d times, want twice", n)
		}
		<-time.After(time.Hour)
		stop()
		if n := b.kazoo.listings(); n != 2 {
			t.Errorf("compared %d times in the end, want twice", n)
		}
	})
}

// TestHooksThatWereThere: if hooks of ours exist that the journal doesn't know, as after
// a loss of the data directory, all of Kazoo's record is read.
func TestHooksThatWereThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 30*time.Second)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		h := desired(Spec{"object", "user", "doc_deleted"})[0]
		h.ID, h.URI, h.Retries = "h1", testURL+"/kazoo/"+testSecret+"/object", 3
		b.kazoo.hooks, b.kazoo.created = []crossbar.Hook{h}, 1
		for i, age := range []time.Duration{time.Hour, 24 * time.Hour, 30 * 24 * time.Hour} {
			b.kazoo.list = append(b.kazoo.list, failed(fmt.Sprint("f", i), fmt.Sprint("u", i+5), event.Deleted, time.Now().Add(-age), true))
		}
		stop := run(t, b.Engine)
		<-time.After(2 * time.Minute)
		stop()
		if got := tally(t, b.j); len(got) != 3 || got["user.deleted u7"] != 1 {
			t.Errorf("recovered %v", got)
		}
		if b.Outages() != 1 || strings.Contains(b.logged.String(), "at_most_ms") || !strings.Contains(b.logged.String(), "knows nothing of it") {
			t.Errorf("%d outages:\n%s", b.Outages(), b.logged)
		}
	})
}

// TestAMonthThatCannotBeRead: a month that can't be read delays neither the end of an
// outage nor the comparison after it, and the other months are recovered.
func TestAMonthThatCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 30*time.Second)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		<-time.After(24 * time.Hour) // until the second of January
		h := desired(Spec{"object", "user", "doc_deleted"})[0]
		h.ID, h.URI, h.Retries = "h1", testURL+"/kazoo/"+testSecret+"/object", 3
		b.kazoo.hooks, b.kazoo.created = []crossbar.Hook{h}, 1
		b.kazoo.list = append(b.kazoo.list, failed("f1", "u5", event.Deleted, time.Now().Add(-time.Hour), true))
		month := time.January
		b.kazoo.fail = func(from, _ time.Time) error {
			if from.Month() == month || month == time.January {
				return &crossbar.Error{Op: "attempts", Status: http.StatusInternalServerError}
			}
			return nil
		}
		stop := run(t, b.Engine)
		<-time.After(2 * time.Minute)
		if b.Outages() != 0 {
			t.Errorf("%d outages have ended although no month can be read", b.Outages())
		}
		b.kazoo.set(func() { month = time.December })
		<-time.After(15 * time.Minute)
		before := b.kazoo.listings()
		b.kazoo.set(func() { b.kazoo.hooks[0].Enabled = false })
		<-time.After(15 * time.Minute)
		stop()
		if got := tally(t, b.j); got["user.deleted u5"] != 1 {
			t.Errorf("recovered %v", got)
		}
		if b.Outages() != 2 || b.kazoo.listings() != before+1 || !strings.Contains(b.logged.String(), "not all failed deliveries could be recovered") {
			t.Errorf("%d outages, compared %d times, then %d:\n%s", b.Outages(), before, b.kazoo.listings(), b.logged)
		}
	})
}

// TestCheckpointBeforeTheFirstHook: no hook is created before a checkpoint is stored,
// so even its first failed deliveries are read back.
func TestCheckpointBeforeTheFirstHook(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterOptions())
	j := openJournal(t, journaltest.MemoryDir(t), nil)
	store := &flaky{Journal: j}
	e := NewEngine(c.api, store, reconcilerOptions("http://127.0.0.1:1"), RecoverOptions{}, ResyncOptions{}, EngineOptions{})
	if err := e.Reconciler.RunOnce(t.Context()); !errors.Is(err, errCrash) {
		t.Errorf("hooks were registered without a checkpoint: %v", err)
	}
	if n := len(c.hooks(t)); n != 0 {
		t.Fatalf("%d hooks", n)
	}
	store.left.Store(-1)
	if err := e.Reconciler.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	at, err := e.Recoverer.lastCheckpoint(t.Context(), c.AccountID())
	if err != nil || time.Since(at.Ours) > time.Minute {
		t.Errorf("the checkpoint is %v, %v", at, err)
	}
}

// TestKazooKeepsASettingOtherwise: a setting that reads back differently right after it
// was written is reported once, written once, and makes no outage.
func TestKazooKeepsASettingOtherwise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 30*time.Second)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		stop := run(t, b.Engine)
		<-time.After(time.Minute)
		stop()
		b.kazoo.keeps = func(h *crossbar.Hook) { h.Retries = 2 }
		b.desire = func(o *Options) { o.Retries = 4 }
		for range 2 { // also across a restart
			b.renew(30 * time.Second)
			stop = run(t, b.Engine)
			<-time.After(10 * time.Minute)
			stop()
			if n := b.Outages(); n != 1 {
				t.Errorf("%d outages, want that of the restart:\n%s", n, b.logged)
			}
		}
		if n := strings.Count(b.logged.String(), "doesn't store a setting of this hook as asked"); n != 1 || b.kazoo.replaced != 1 {
			t.Errorf("reported %d times, written %d times", n, b.kazoo.replaced)
		}
		// A later change by another client is repaired, as far as Kazoo keeps it.
		b.kazoo.set(func() { b.kazoo.hooks[0].Retries = 0 })
		b.renew(30 * time.Second)
		stop = run(t, b.Engine)
		<-time.After(time.Minute)
		stop()
		if b.kazoo.hooks[0].Retries != 2 || !strings.Contains(b.logged.String(), "its setting retries was changed in Kazoo") {
			t.Errorf("retries: %d", b.kazoo.hooks[0].Retries)
		}
	})
}

// TestReconcileNow: a pass is made at once, but at most one a second.
func TestReconcileNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, time.Hour)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		stop := run(t, b.Engine)
		<-time.After(time.Minute)
		b.kazoo.set(func() { b.kazoo.hooks[0].Enabled = false })
		for range 100 {
			b.ReconcileNow()
			<-time.After(20 * time.Millisecond)
		}
		runs := b.Reconciler.Status().Runs
		if !b.kazoo.hooks[0].Enabled || runs > 8 {
			t.Errorf("enabled: %v, after %d passes", b.kazoo.hooks[0].Enabled, runs)
		}
		stop()
	})
}
