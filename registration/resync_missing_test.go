package registration

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
)

func TestListingsThatLie(t *testing.T) {
	t.Parallel()
	for _, kind := range []fakekazoo.FaultKind{fakekazoo.FaultOmit, fakekazoo.FaultRepeat, fakekazoo.FaultCutList, fakekazoo.FaultTruncate,
		fakekazoo.FaultGarbage, fakekazoo.FaultStatus} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := newComparison(t)
			ids := c.seed(t, "acme", 600)
			c.mustPass(t)
			c.deleteAll(t, ids[:3])
			if _, err := c.Inject(fakekazoo.Fault{Kind: kind, Op: "users.list", Count: 3, Status: 400}); err != nil {
				t.Fatal(err)
			}
			r, err := c.pass(t, Request{Confirm: true})
			t.Logf("%+v, %v", r.Limit, err)
			for _, rec := range events(t, c.j) {
				if !slices.Contains(ids[:3], rec.ObjectID) {
					t.Fatalf("a living user is reported: %+v", rec)
				}
			}
			c.ClearFaults()
			c.mustPass(t)
			c.want(t, "user.deleted", ids[:3]...)
		})
	}
}

func TestEachDeletionNeedsItsOwn404(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	ids := c.seed(t, "acme", 30)
	c.mustPass(t)
	c.deleteAll(t, ids[:2])
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Op: "users.get", Status: 403}); err != nil {
		t.Fatal(err)
	}
	r := NewResyncer(c.api, c.store, c.opts)
	c.clock.add(time.Hour)
	if _, err := r.Run(t.Context(), c.AccountID(), Request{}); err == nil {
		t.Error("no error although Kazoo didn't confirm the deletions")
	}
	if s := r.Stats(); s.Runs != 1 || s.Failures != 1 || s.Deleted != 0 || !s.LastOK.IsZero() {
		t.Errorf("stats: %+v", s)
	}
	c.want(t, "user.deleted")
	// A few users that a listing left out are found to exist.
	c.ClearFaults()
	few := newComparison(t)
	few.seed(t, "acme", 10)
	few.mustPass(t)
	if _, err := few.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultOmit, Op: "users.list"}); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		if rep, err := few.pass(t, Request{DryRun: dry}); err != nil || len(rep.Deleted) != 0 {
			t.Errorf("dry run %v: %+v, %v", dry, rep, err)
		}
	}
}

func TestTooManyDeletionsWaitForAPerson(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_deleted"}, Spec{"object", "device", "doc_deleted"})
	c.opts.MaxDeletions = 4
	ids := c.seed(t, "acme", 30)
	device, err := c.CreateObject("devices", "acme", map[string]any{"name": "Desk"})
	if err != nil {
		t.Fatal(err)
	}
	c.mustPass(t)
	c.deleteAll(t, append([]string{device}, ids[:8]...))
	before := c.state(t)
	r := NewResyncer(c.api, c.store, c.opts)
	for _, dry := range []bool{true, false} {
		c.clock.add(time.Hour)
		rep, err := r.Run(t.Context(), c.AccountID(), Request{DryRun: dry})
		if err != nil || !rep.Held || len(rep.Deleted) != 9 || rep.Limit != 4 {
			t.Fatalf("%+v, %v", rep, err)
		}
		if dry && c.state(t) != before {
			t.Error("the dry run changed something")
		}
	}
	if s := r.Stats(); s.AwaitingConfirm != 9 || s.Deleted != 0 {
		t.Errorf("stats: %+v", s)
	}
	if n := len(events(t, c.j)); n != 0 {
		t.Fatalf("%d events without confirmation", n)
	}
	if !strings.Contains(c.logged.String(), "kazoohook resync --confirm") {
		t.Errorf("log: %s", &c.logged)
	}
	c.clock.add(time.Hour)
	if rep, err := r.Run(t.Context(), c.AccountID(), Request{Confirm: true}); err != nil || rep.Held || len(rep.Deleted) != 9 {
		t.Fatalf("%+v, %v", rep, err)
	}
	c.want(t, "user.deleted", ids[:8]...)
	c.want(t, "device.deleted", device)
	if s := r.Stats(); s.AwaitingConfirm != 0 || s.Deleted != 9 {
		t.Errorf("stats: %+v", s)
	}
	// For many users the default limit is a tenth, which is more than 20.
	big := newComparison(t)
	many := big.seed(t, "acme", 250)
	big.mustPass(t)
	big.deleteAll(t, many[:25])
	if rep := big.mustPass(t); rep.Held || rep.Limit != 25 || len(rep.Deleted) != 25 {
		t.Errorf("a tenth: held %v, limit %d, %d deleted", rep.Held, rep.Limit, len(rep.Deleted))
	}
}

func TestOneTypeThatFailsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "all", "doc_deleted"})
	ids := c.seed(t, "acme", 3)
	c.mustPass(t)
	c.deleteAll(t, ids[:1])
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Op: "callflows.list", Status: 400}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.pass(t, Request{}); err == nil || !strings.Contains(err.Error(), "callflows") {
		t.Errorf("error: %v", err)
	}
	c.want(t, "user.deleted", ids[0])

	c.opts.IncludeSubaccounts = true
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Op: "accounts.descendants", Status: 400}); err != nil {
		t.Fatal(err)
	}
	c.deleteAll(t, ids[1:2])
	if _, err := c.pass(t, Request{}); err == nil || !strings.Contains(err.Error(), "accounts") {
		t.Errorf("error: %v", err)
	}
	c.want(t, "user.deleted", ids[:2]...)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultDown}); err != nil {
		t.Fatal(err)
	}
	if _, err := NewResyncer(c.api, c.store, c.opts).Run(ctx, c.AccountID(), Request{}); err == nil {
		t.Error("no error from a Kazoo that is down")
	}
}

func TestWhereDeletionsAreNotWatched(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_created"})
	ids := c.seed(t, "acme", 60)
	c.mustPass(t)
	c.deleteAll(t, ids[:50])
	if r := c.mustPass(t); r.Held || len(r.Deleted) != 0 {
		t.Errorf("%+v", r)
	}
	if n, err := c.j.CountObjects(t.Context(), "user", ""); err != nil || n != 10 {
		t.Errorf("%d users in the snapshot, %v", n, err)
	}
	if n := len(events(t, c.j)); n != 0 {
		t.Errorf("%d events", n)
	}
}

// TestOneObjectThatCannotBeAskedFor: an object whose look-up fails delays no other.
func TestOneObjectThatCannotBeAskedFor(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	ids := c.seed(t, "acme", 30)
	c.mustPass(t)
	c.deleteAll(t, ids[:8])
	if _, err := c.CreateUser(fakekazoo.User{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Op: "users.get", Status: 403, Count: 2}); err != nil {
		t.Fatal(err)
	}
	r, err := c.pass(t, Request{})
	if err == nil || !strings.Contains(err.Error(), "403") || len(r.Deleted) != 6 || len(r.Created) != 1 {
		t.Errorf("%d deleted, %d created, %v", len(r.Deleted), len(r.Created), err)
	}
	if r := c.mustPass(t); len(r.Deleted) != 2 || len(r.Created) != 0 {
		t.Errorf("next time: %+v", r)
	}
	c.want(t, "user.deleted", ids[:8]...)

	// If Kazoo doesn't answer, not every object is tried.
	c.deleteAll(t, ids[8:12])
	if _, err := c.CreateUser(fakekazoo.User{}); err != nil {
		t.Fatal(err)
	}
	api := &troubled{ObjectAPI: c.api, err: errDown}
	c.clock.add(time.Hour)
	if _, err := NewResyncer(api, c.j, c.opts).Run(t.Context(), c.AccountID(), Request{}); err == nil || api.asked > silentAfter+1 { // the last asks whether Kazoo answers at all
		t.Errorf("asked %d times, %v", api.asked, err)
	}
}

// during calls f once, after the first complete listing of objects.
type during struct {
	ObjectAPI
	f func()
}

func (d *during) Objects(ctx context.Context, account, kind string) iter.Seq2[crossbar.Object, error] {
	return func(yield func(crossbar.Object, error) bool) {
		for o, err := range d.ObjectAPI.Objects(ctx, account, kind) {
			if !yield(o, err) {
				return
			}
		}
		if f := d.f; f != nil {
			d.f = nil
			f()
		}
	}
}

// TestImportDuringAListing: many users are created while a listing is read. It can't
// show them, and is believed nevertheless.
func TestImportDuringAListing(t *testing.T) {
	t.Parallel()
	const imported = 2 * maxUnconfirmed
	for name, tc := range map[string]struct {
		held      bool // deletions are held back
		recovered bool // the creations are read back from Kazoo's record
		lookUps   int
	}{
		"requests":                {lookUps: 1},
		"deletions are held back": {held: true, lookUps: 1},
		"recovered":               {recovered: true, lookUps: 1 + imported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newComparison(t)
			ids := c.seed(t, "acme", 100)
			c.mustPass(t)
			c.deleteAll(t, ids[99:])
			if tc.held {
				if err := c.j.SetState(t.Context(), heldKey, "since"); err != nil {
					t.Fatal(err)
				}
			}
			counted := &troubled{ObjectAPI: c.api}
			api := &during{ObjectAPI: counted, f: func() {
				for range imported {
					id := c.create(t, fakekazoo.User{})
					if !tc.recovered {
						c.hidden(t, id, event.Created)
						continue
					}
					c.readBack(t, id, event.Created)
				}
			}}
			c.clock.add(time.Hour)
			if _, err := NewResyncer(api, c.store, c.opts).Run(t.Context(), c.AccountID(), Request{}); err != nil || counted.asked != tc.lookUps {
				t.Errorf("%d look-ups, error: %v", counted.asked, err)
			}
			c.want(t, "user.deleted", ids[99])
		})
	}
}

// TestRecoveredDuringAListing: an old edit of a deleted user is read back while a
// listing is read. The user is still missing.
func TestRecoveredDuringAListing(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	ids := c.seed(t, "acme", 3)
	c.mustPass(t)
	c.deleteAll(t, ids[:1])
	c.clock.add(time.Hour)
	api := &during{ObjectAPI: c.api, f: func() { c.readBack(t, ids[0], event.Edited) }}
	if _, err := NewResyncer(api, c.store, c.opts).Run(t.Context(), c.AccountID(), Request{}); err != nil {
		t.Error(err)
	}
	c.want(t, "user.deleted", ids[0])
}

// readBack appends a user's hidden event that was read from Kazoo's record.
func (c *comparison) readBack(t *testing.T, id string, a event.Action) {
	t.Helper()
	at := c.clock.now().Add(-time.Minute).UTC()
	r := event.Route(event.Request{
		Source: event.SourceRecovered, ReceivedAt: at, Hook: "object", HookID: "h2",
		Method: "POST", ContentType: "application/x-www-form-urlencoded",
		Body:   fmt.Appendf(nil, "id=%s&account_id=%s&action=%s&type=user", id, c.AccountID(), a),
		Firing: event.Firing{ID: id, First: at, Last: at},
	})
	r.Hidden = true
	if _, err := c.j.Append(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}
