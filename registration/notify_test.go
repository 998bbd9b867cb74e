package registration

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/journaltest"
)

// keeps appends events of our own to a journal.
func keeps(t *testing.T, j *journal.Journal) Notify {
	t.Helper()
	return func(ctx context.Context, o event.Own) {
		if _, err := j.Own(ctx, o); err != nil {
			t.Error(err)
		}
	}
}

// owns returns the journal's events of our own with a name, as lines.
func owns(t *testing.T, j *journal.Journal, name string) (lines []string) {
	t.Helper()
	for _, r := range events(t, j) {
		if r.Event == name {
			lines = append(lines, string(event.Decode(r).AppendJSON(nil)))
		}
	}
	return lines
}

// TestEachSwitchOffIsOneEvent: a switch-off is one event, even if the hook can't be
// enabled for now or the service restarts meanwhile.
func TestEachSwitchOffIsOneEvent(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterOptions())
	j := openJournal(t, journaltest.MemoryDir(t), nil)
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Notify = keeps(t, j)
	r := NewReconciler(c.api, opts)
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := c.hooks(t)[0].ID
	off := func() {
		t.Helper()
		if err := c.DisableHook(id, "too many failed attempts"); err != nil {
			t.Fatal(err)
		}
	}
	if got := owns(t, j, "kazoohook.hook_disabled"); len(got) != 0 {
		t.Errorf("before it was off: %v", got)
	}
	off()
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Op: "webhooks.patch", Status: 409, Count: 3}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := r.RunOnce(t.Context()); err == nil {
			t.Fatal("the hook was enabled")
		}
		r = NewReconciler(c.api, opts)
	}
	if err := r.RunOnce(t.Context()); err != nil || !c.hooks(t)[0].Enabled {
		t.Fatal(err, c.hooks(t))
	}
	got := owns(t, j, "kazoohook.hook_disabled")
	if len(got) != 1 || !strings.Contains(got[0], `"disable_reason":"too many failed attempts"`) || !strings.Contains(got[0], `"hook_id":"`+id+`"`) ||
		!strings.Contains(got[0], `"account_id":"`+c.AccountID()+`"`) || strings.Contains(got[0], testSecret) {
		t.Fatalf("switched off once: %v", got)
	}
	off()
	r = NewReconciler(c.api, opts)
	for range 2 {
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := owns(t, j, "kazoohook.hook_disabled"); len(got) != 2 {
		t.Errorf("switched off twice: %v", got)
	}
}

// TestOutagesAreEvents: each outage is one event with its bounds. Each switch-off is
// one event, too, even of a hook without a revision.
func TestOutagesAreEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 30*time.Second)
		b.own = true
		defer func() {
			if err := b.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		stop := run(t, b.Engine)
		<-time.After(5 * time.Minute)
		if got := events(t, b.j); len(got) != 0 {
			t.Errorf("events of our own after the first start: %+v", got)
		}
		for n := 1; n <= 2; n++ {
			proven := b.proofs.known("kazoohook object user doc_deleted").Proven
			b.kazoo.set(func() { b.kazoo.hooks[0].Enabled, b.kazoo.hooks[0].DisableReason = false, "too many failed attempts" })
			<-time.After(20 * time.Minute)
			stop()
			b.renew(30 * time.Second)
			stop = run(t, b.Engine)
			<-time.After(20 * time.Minute)
			outages := owns(t, b.j, "kazoohook.outage")
			if len(outages) != 2*n { // the restart is an outage, too
				t.Fatalf("%d rounds: %q", n, outages)
			}
			if o := outages[2*n-2]; !strings.Contains(o, `"from":"`+stamp(proven)) || !strings.Contains(o, `switched off (too many failed attempts)`) ||
				!strings.Contains(o, `"at_most_seconds":`) || !strings.Contains(o, `"hooks":["kazoohook object user doc_deleted"]`) {
				t.Errorf("proven until %s: %s", proven, o)
			}
			if off := owns(t, b.j, "kazoohook.hook_disabled"); len(off) != n || !strings.Contains(off[n-1], `"last_seen_enabled":"`) {
				t.Errorf("%d rounds: %q", n, off)
			}
		}
		stop()
	})
}

// TestAnOutageFoundAgainIsOneEvent: an outage that could not be saved is found again,
// with a later end.
func TestAnOutageFoundAgainIsOneEvent(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterOptions())
	j := openJournal(t, journaltest.MemoryDir(t), nil)
	e := NewEngine(c.api, j, reconcilerOptions("http://127.0.0.1:1"), RecoverOptions{}, ResyncOptions{}, EngineOptions{Notify: keeps(t, j)})
	from := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, o := range []Outage{
		{From: from, To: from.Add(time.Minute), Hooks: []string{"a"}},
		{From: from, To: from.Add(time.Hour), Hooks: []string{"a"}},
		{From: from, To: from.Add(time.Hour), Hooks: []string{"a", "b"}},
		{To: from, Hooks: []string{"a"}},
		{To: from.Add(time.Hour), Hooks: []string{"a"}},
	} {
		e.reportOutage(t.Context(), o)
	}
	got := owns(t, j, "kazoohook.outage")
	if len(got) != 4 || !strings.Contains(got[0], `"at_most_seconds":60`) || strings.Contains(got[2], "at_most_seconds") || strings.Contains(got[2], `"from"`) {
		t.Errorf("%q", got)
	}
}

// TestHeldDeletionsAreOneEvent: held-back deletions are one event until they are
// confirmed, also over further runs and restarts.
func TestHeldDeletionsAreOneEvent(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	c.opts.MaxDeletions = 4
	c.opts.Notify = keeps(t, c.j)
	ids := c.seed(t, "acme", 30)
	c.mustPass(t)
	held := func(round int, deleted []string) {
		t.Helper()
		c.deleteAll(t, deleted)
		if rep, err := c.pass(t, Request{DryRun: true}); err != nil || !rep.Held {
			t.Fatal(rep, err)
		}
		if got := owns(t, c.j, "kazoohook.confirmation_needed"); len(got) != round-1 {
			t.Errorf("a dry run reports: %q", got)
		}
		for range 3 {
			if rep := c.mustPass(t); !rep.Held {
				t.Fatalf("%+v", rep)
			}
		}
		got := owns(t, c.j, "kazoohook.confirmation_needed")
		if len(got) != round || !strings.Contains(got[round-1], `"limit":4`) || !strings.Contains(got[round-1], `"object_type":"user"`) {
			t.Fatalf("round %d: %q", round, got)
		}
		if rep, err := c.pass(t, Request{Confirm: true}); err != nil || len(rep.Deleted) != len(deleted) {
			t.Fatal(rep, err)
		}
	}
	held(1, ids[:8])
	held(2, ids[8:16])
}
