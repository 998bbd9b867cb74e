package registration

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar/crossbartest"
)

func TestListingsThatLie(t *testing.T) {
	t.Parallel()
	for _, kind := range []crossbartest.FaultKind{crossbartest.FaultOmit, crossbartest.FaultRepeat, crossbartest.FaultCutList, crossbartest.FaultTruncate,
		crossbartest.FaultGarbage, crossbartest.FaultStatus} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := newComparison(t)
			ids := c.seed(t, "acme", 600)
			c.mustPass(t)
			c.deleteAll(t, ids[:3])
			if _, err := c.Inject(crossbartest.Fault{Kind: kind, Op: "users.list", Count: 3, Status: 400}); err != nil {
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
	if _, err := c.Inject(crossbartest.Fault{Kind: crossbartest.FaultStatus, Op: "users.get", Status: 403}); err != nil {
		t.Fatal(err)
	}
	r := NewResyncer(c.api, c.store, c.opts)
	c.clock.add(time.Hour)
	if _, err := r.Run(t.Context(), c.AccountID(), Request{}); err == nil {
		t.Error("no error although nobody confirmed")
	}
	if s := r.Stats(); s.Runs != 1 || s.Failures != 1 || s.Deleted != 0 || !s.LastOK.IsZero() {
		t.Errorf("stats: %+v", s)
	}
	c.want(t, "user.deleted")
	// A few that a listing left out are found to be there.
	c.ClearFaults()
	few := newComparison(t)
	few.seed(t, "acme", 10)
	few.mustPass(t)
	if _, err := few.Inject(crossbartest.Fault{Kind: crossbartest.FaultOmit, Op: "users.list"}); err != nil {
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
		t.Fatalf("%d events without a person's word", n)
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
	// A tenth of many is more than the default's 20.
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
	if _, err := c.Inject(crossbartest.Fault{Kind: crossbartest.FaultStatus, Op: "callflows.list", Status: 400}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.pass(t, Request{}); err == nil || !strings.Contains(err.Error(), "callflows") {
		t.Errorf("error: %v", err)
	}
	c.want(t, "user.deleted", ids[0])

	c.opts.IncludeSubaccounts = true
	if _, err := c.Inject(crossbartest.Fault{Kind: crossbartest.FaultStatus, Op: "accounts.descendants", Status: 400}); err != nil {
		t.Fatal(err)
	}
	c.deleteAll(t, ids[1:2])
	if _, err := c.pass(t, Request{}); err == nil || !strings.Contains(err.Error(), "accounts") {
		t.Errorf("error: %v", err)
	}
	c.want(t, "user.deleted", ids[:2]...)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Inject(crossbartest.Fault{Kind: crossbartest.FaultDown}); err != nil {
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

// TestOneObjectThatCannotBeAskedFor holds up no other.
func TestOneObjectThatCannotBeAskedFor(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	ids := c.seed(t, "acme", 30)
	c.mustPass(t)
	c.deleteAll(t, ids[:8])
	if _, err := c.CreateUser(crossbartest.User{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inject(crossbartest.Fault{Kind: crossbartest.FaultStatus, Op: "users.get", Status: 403, Count: 2}); err != nil {
		t.Fatal(err)
	}
	r, err := c.pass(t, Request{})
	if err == nil || !strings.Contains(err.Error(), "403") || len(r.Deleted) != 7 || len(r.Created) != 0 {
		t.Errorf("%d deleted, %d created, %v", len(r.Deleted), len(r.Created), err)
	}
	if r := c.mustPass(t); len(r.Deleted) != 1 || len(r.Created) != 1 {
		t.Errorf("next time: %+v", r)
	}
	c.want(t, "user.deleted", ids[:8]...)

	// Where nobody answers it is not tried with each.
	c.deleteAll(t, ids[8:12])
	if _, err := c.CreateUser(crossbartest.User{}); err != nil {
		t.Fatal(err)
	}
	api := &troubled{ObjectAPI: c.api, err: errDown}
	c.clock.add(time.Hour)
	if _, err := NewResyncer(api, c.j, c.opts).Run(t.Context(), c.AccountID(), Request{}); err == nil || api.asked > 2 {
		t.Errorf("asked %d times, %v", api.asked, err)
	}
}
