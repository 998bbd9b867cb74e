package registration

import (
	"bytes"
	"context"
	"iter"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
)

// TestOneStuckHookHoldsUpNoOther: Kazoo answers 500 for the settings of one of our hooks,
// or not at all. The others are still repaired and proven, and that hook is named.
func TestOneStuckHookHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	broken := error(&crossbar.Error{Op: "hooks.get", Status: http.StatusInternalServerError})
	for name, tc := range map[string]struct {
		err     error
		restart bool
	}{
		"read before": {err: broken}, "never read": {err: broken, restart: true},
		"read before, no answer": {err: errHangs}, "never read, no answer": {err: errHangs, restart: true},
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
				b.desire = func(o *Options) {
					o.Specs = []Spec{{"object", "user", "doc_deleted"}, {"object", "device", "doc_deleted"}}
				}
				b.renew(30 * time.Second)
				stop := run(t, b.Engine)
				<-time.After(15 * time.Minute)
				b.kazoo.set(func() {
					b.kazoo.stuck = map[string]error{"h1": tc.err}
				})
				if tc.restart {
					stop()
					b.renew(30 * time.Second)
					stop = run(t, b.Engine)
					<-time.After(2 * time.Minute)
				}
				before := b.Outages()
				off := func(i int) {
					t.Helper()
					b.kazoo.set(func() { b.kazoo.hooks[i].Enabled = false })
					<-time.After(2 * time.Minute)
					if !b.kazoo.hooks[i].Enabled {
						t.Errorf("hook %d stays off:\n%s", i, b.logged)
					}
				}
				off(1)
				if b.Outages() != before+1 {
					t.Errorf("%d outages, want %d", b.Outages(), before+1)
				}
				off(0) // its state is in the listing
				if s := b.Reconciler.Status(); !strings.Contains(s.Error, `read hook "kazoohook object user doc_deleted"`) || s.OKAt.Equal(s.CheckedAt) {
					t.Errorf("status: %q", s.Error)
				}
				if len(b.kazoo.hooks) != 2 || b.kazoo.replaced != 0 {
					t.Errorf("%d hooks, %d were written anew", len(b.kazoo.hooks), b.kazoo.replaced)
				}
				b.kazoo.set(func() { b.kazoo.stuck = nil })
				<-time.After(2 * time.Minute)
				stop()
				if b.Outages() != before+2 || b.Reconciler.Status().Error != "" {
					t.Errorf("%d outages, want %d; %q", b.Outages(), before+2, b.Reconciler.Status().Error)
				}
			})
		})
	}
}

// TestHookThatCannotBeSeenHoldsUpNoOther: after a restart Kazoo neither lists nor reads
// a hook that was there before. The others are repaired, and it is not created again.
func TestHookThatCannotBeSeenHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 30*time.Second)
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		b.desire = func(o *Options) {
			o.Specs = []Spec{{"object", "user", "doc_deleted"}, {"object", "device", "doc_deleted"}}
		}
		b.renew(30 * time.Second)
		stop := run(t, b.Engine)
		<-time.After(5 * time.Minute)
		stop()
		b.kazoo.set(func() {
			b.kazoo.stuck, b.kazoo.unlisted = map[string]error{"h1": errBroken}, "h1"
			b.kazoo.hooks[1].Enabled = false
		})
		b.renew(30 * time.Second)
		stop = run(t, b.Engine)
		<-time.After(2 * time.Minute)
		if s := b.Reconciler.Status(); !b.kazoo.hooks[1].Enabled || len(b.kazoo.hooks) != 2 || !strings.Contains(s.Error, "init failed") {
			t.Errorf("hooks: %+v; error %q", b.kazoo.hooks, s.Error)
		}
		if hooks := b.Reconciler.Status().Hooks; len(hooks) != 2 || !hooks[0].LastGood.IsZero() {
			t.Errorf("it counts as seen: %+v", hooks)
		}
		b.kazoo.set(func() { b.kazoo.hooks, b.kazoo.stuck = b.kazoo.hooks[1:], nil }) // it was deleted
		<-time.After(2 * time.Minute)
		stop()
		if len(b.kazoo.hooks) != 2 || b.Reconciler.Status().Error != "" {
			t.Errorf("hooks: %+v; error %q", b.kazoo.hooks, b.Reconciler.Status().Error)
		}
	})
}

// hangingHooks is a HookAPI that gives no answer for the settings of some hooks.
type hangingHooks struct {
	HookAPI
	stuck map[string]bool
	lists int // listings that are still answered
	asked int // unanswered requests for settings
}

func (a *hangingHooks) Hooks(ctx context.Context, account string) ([]crossbar.HookSummary, error) {
	if a.lists--; a.lists < 0 {
		return nil, errHangs
	}
	return a.HookAPI.Hooks(ctx, account)
}

func (a *hangingHooks) Hook(ctx context.Context, account, id string) (crossbar.Hook, error) {
	if a.stuck[id] {
		a.asked++
		return crossbar.Hook{}, errHangs
	}
	return a.HookAPI.Hook(ctx, account, id)
}

// TestManyStuckHooksHoldUpNoOther: Kazoo gives no answer for the settings of all hooks
// but one, which is switched off. That one is repaired. If Kazoo doesn't list hooks
// either, no more settings are asked for.
func TestManyStuckHooksHoldUpNoOther(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
	var specs []Spec
	for _, typ := range []string{"user", "device", "vmbox", "callflow", "faxbox"} {
		specs = append(specs, Spec{"object", typ, "doc_deleted"})
	}
	api := &hangingHooks{HookAPI: c.api, lists: 100}
	r := NewReconciler(api, reconcilerOptions("http://127.0.0.1:1", specs...))
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	hooks := c.hooks(t)
	off := hooks[len(hooks)-1].ID
	if err := c.DisableHook(off, fakekazoo.ReasonTooManyFailures); err != nil {
		t.Fatal(err)
	}
	api.stuck = map[string]bool{}
	for _, h := range hooks[:len(hooks)-1] {
		api.stuck[h.ID] = true
	}
	if err := r.RunOnce(t.Context()); err == nil {
		t.Error("no error although settings could not be read")
	}
	if h, err := c.api.Hook(t.Context(), c.AccountID(), off); err != nil || !h.Enabled || api.asked != len(api.stuck) {
		t.Errorf("asked %d times; the hook stays off: %+v, %v", api.asked, h, err)
	}
	api.lists, api.asked = 1, 0
	if err := r.RunOnce(t.Context()); err == nil || api.asked != silentAfter {
		t.Errorf("asked %d times, %v", api.asked, err)
	}
}

// stuckRecord is a HookAPI whose record of failed attempts can't be read within the
// minute for which the client tries.
type stuckRecord struct {
	HookAPI
	err error
}

func (a stuckRecord) Attempts(ctx context.Context, _, _ string, _, _ time.Time) iter.Seq2[crossbar.Attempt, error] {
	return func(yield func(crossbar.Attempt, error) bool) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
		yield(crossbar.Attempt{}, a.err)
	}
}

// TestStuckRecordHoldsUpNoRepair: all hooks are off, and Kazoo's record, which gives the
// reasons, can't be read.
func TestStuckRecordHoldsUpNoRepair(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"no answer": errHangs,
		"an error":  &crossbar.Error{Op: "attempts", Status: http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { repairsWithoutRecord(t, err) })
		})
	}
}

func repairsWithoutRecord(t *testing.T, unread error) {
	kazoo := &stub{attemptLog: &attemptLog{now: time.Now}, offered: []crossbar.OfferedHook{{ID: "object"}}}
	var logged bytes.Buffer
	opts := reconcilerOptions(testURL, Spec{"object", "user", "doc_deleted"}, Spec{"object", "device", "doc_deleted"}, Spec{"object", "vmbox", "doc_deleted"})
	opts.Notify, opts.Log = func(context.Context, event.Own) {}, zerolog.New(&logged)
	r := NewReconciler(stuckRecord{kazoo, unread}, opts)
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // at once, and after a pause
		for i := range kazoo.hooks {
			kazoo.hooks[i].Enabled = false
		}
		<-time.After(repairPause)
		began, enabled := time.Now(), kazoo.enabled
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); kazoo.enabled != enabled+3 || took > lookTimeout {
			t.Errorf("%d hooks are enabled after %s", kazoo.enabled-enabled, took)
		}
	}
	if !strings.Contains(logged.String(), unreadRecord) {
		t.Errorf("log:\n%s", &logged)
	}
}
