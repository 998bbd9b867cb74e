package registration

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/snapshot"
)

func TestSubaccounts(t *testing.T) {
	t.Parallel()
	for name, specs := range map[string][]Spec{
		"users":              deletedUsers,
		"users and accounts": {{"object", "user", "doc_deleted"}, {"object", "account", "doc_deleted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newComparison(t, specs...)
			c.opts.IncludeSubaccounts = true
			north, south := "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab50", "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab51"
			inNorth, inSouth := c.seed(t, north, 5), c.seed(t, south, 7)
			c.mustPass(t)
			c.deleteAll(t, inNorth[:1])
			if err := c.DeleteAccount(south); err != nil {
				t.Fatal(err)
			}
			c.mustPass(t)
			c.mustPass(t)
			c.want(t, "user.deleted", append([]string{inNorth[0]}, inSouth...)...)
			watched := len(specs) > 1
			if watched {
				c.want(t, "account.deleted", south)
			} else {
				c.want(t, "account.deleted")
			}

			// The deletion of the other account also arrives as an event.
			if err := c.DeleteAccount(north); err != nil {
				t.Fatal(err)
			}
			c.clock.add(2 * time.Minute)
			c.live(t, "account", north, north, event.Deleted)
			var wg sync.WaitGroup
			wg.Go(func() { c.lookUp(t) })
			wg.Go(func() {
				if _, err := NewResyncer(c.api, c.store, c.opts).Run(t.Context(), c.AccountID(), Request{}); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			c.lookUp(t)
			c.mustPass(t)
			c.want(t, "user.deleted", slices.Concat(inNorth, inSouth)...)
			if watched {
				c.want(t, "account.deleted", north, south)
			}
		})
	}
}

func TestAccountThatGoesDuringThePass(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	c.opts.IncludeSubaccounts = true
	south := "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab51"
	ids := c.seed(t, south, 3)
	c.mustPass(t)
	once := sync.OnceFunc(func() {
		if err := c.DeleteAccount(south); err != nil {
			t.Error(err)
		}
	})
	if _, err := c.pass(t, Request{Progress: func(p Progress) { // after the accounts were listed
		if p.Type == "user" {
			once()
		}
	}}); err != nil {
		t.Errorf("the pass fails because an account was deleted: %v", err)
	}
	c.mustPass(t)
	c.want(t, "user.deleted", ids...)
}

func TestLiveDeletionDuringThePass(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"}, Spec{"object", "device", "doc_deleted"})
	ids := c.seed(t, "acme", 700)
	c.mustPass(t)
	u, err := c.CreateUser(fakekazoo.User{ID: strings.Repeat("f", 32)}) // on the last page, without an event
	if err != nil {
		t.Fatal(err)
	}
	c.clock.add(time.Hour)
	step := 0
	_, err = c.pass(t, Request{Progress: func(p Progress) {
		switch step++; step {
		case 1: // half of the listing was read
			deleted := append(slices.Clone(ids[:10]), u.ID)
			c.deleteAll(t, deleted)
			for _, id := range deleted {
				c.live(t, "user", id, c.AccountID(), event.Deleted)
			}
			c.lookUp(t)
		case 2:
			c.deleteAll(t, ids[10:12])
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.mustPass(t)
		c.lookUp(t)
	}
	c.want(t, "user.deleted", append(slices.Clone(ids[:12]), u.ID)...)
	for n := range tally(t, c.j) {
		if strings.HasPrefix(n, "user.created") && !strings.HasSuffix(n, u.ID) {
			t.Errorf("unexpected %s", n)
		}
	}
}

// TestResyncCutShortAnywhere kills a pass at its n-th write, for every n. The next pass
// loses and doubles nothing.
func TestResyncCutShortAnywhere(t *testing.T) {
	t.Parallel()
	const writes = 10 // of the pass
	for n := range int64(writes + 1) {
		t.Run(strconv.FormatInt(n, 10), func(t *testing.T) {
			t.Parallel()
			if cut := cutShort(t, n); (cut == nil) != (n == writes) {
				t.Errorf("cut short after %d writes: %v", n, cut)
			}
		})
	}
}

func cutShort(t *testing.T, n int64) error {
	t.Helper()
	south := "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab51"
	c := newComparison(t, Spec{"object", "user", "all"}, Spec{"object", "account", "all"})
	c.opts.IncludeSubaccounts = true
	ids, inSouth := c.seed(t, "acme", 6), c.seed(t, south, 2)
	c.mustPass(t)
	c.deleteAll(t, ids[:3])
	if err := c.DeleteAccount(south); err != nil {
		t.Fatal(err)
	}
	west, err := c.CreateAccount(fakekazoo.Account{Name: "acme-west"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := c.CreateUser(fakekazoo.User{AccountID: west})
	if err != nil {
		t.Fatal(err)
	}
	store := &flaky{Journal: c.j}
	store.left.Store(n)
	c.store = store
	_, cut := c.pass(t, Request{})
	if cut != nil && !errors.Is(cut, errCrash) {
		t.Fatal(cut)
	}
	store.left.Store(-1)
	c.mustPass(t)
	c.want(t, "user.deleted", slices.Concat(ids[:3], inSouth)...)
	c.want(t, "account.deleted", south)
	c.want(t, "account.created", west)
	c.want(t, "user.created", u.ID)
	return cut
}

func TestBaselineCutShort(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	ids := c.seed(t, "acme", 1100)
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Op: "users.list", Status: 400}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.pass(t, Request{}); err == nil {
		t.Fatal("no error")
	}
	c.ClearFaults()
	store := &flaky{Journal: c.j}
	store.left.Store(3) // in the middle of the listing
	c.store = store
	if _, err := c.pass(t, Request{}); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	store.left.Store(-1)
	if r := c.mustPass(t); !r.Baseline || r.Listed != len(ids) {
		t.Errorf("baseline: %+v", r)
	}
	if n := len(events(t, c.j)); n != 0 {
		t.Errorf("%d events of the baseline", n)
	}
}

func TestClockSetBackBetweenPasses(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	ids := c.seed(t, "acme", 3)
	c.mustPass(t)
	c.clock.add(-48 * time.Hour)
	c.deleteAll(t, ids[:1])
	c.mustPass(t)
	c.want(t, "user.deleted", ids[0])
	// The deletion seems to be in the future; the user is still restored.
	c.clock.add(-48 * time.Hour)
	if err := c.Undelete(ids[0]); err != nil {
		t.Fatal(err)
	}
	c.mustPass(t)
	c.deleteAll(t, ids[:1])
	c.mustPass(t)
	c.want(t, "user.deleted", ids[0], ids[0])
}

// TestSnapshotStoreFails: each failed read is an error, and nothing is concluded.
func TestSnapshotStoreFails(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	ids := c.seed(t, "acme", 3)
	c.mustPass(t)
	c.deleteAll(t, ids[:1])
	for _, key := range []string{ownerKey, passKey, snapshot.BaselineKey + "user." + c.AccountID()} {
		c.store = &unreadable{Journal: c.j, key: key}
		if _, err := c.pass(t, Request{}); !errors.Is(err, errCrash) {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, what := range []string{"Object", "Objects", "CountObjects", "NewestPass", "ObjectsNotSeen"} {
		for after := range 2 {
			c.store = &blind{Journal: c.j, what: what, after: after}
			if _, err := c.pass(t, Request{DryRun: what == "Objects"}); err != nil && !errors.Is(err, errCrash) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if err := c.j.SetState(t.Context(), passKey, "many"); err != nil {
		t.Fatal(err)
	}
	c.store = c.j
	if _, err := c.pass(t, Request{}); err == nil || !strings.Contains(err.Error(), "number of the last pass") {
		t.Errorf("error: %v", err)
	}
	if err := c.j.SetState(t.Context(), passKey, "9"); err != nil {
		t.Fatal(err)
	}
	c.mustPass(t)
	c.want(t, "user.deleted", ids[0])
}

// TestLostPassNumber: a salvaged journal holds the objects but not its state, because
// that is one page. Comparisons still find what is missing, at once.
func TestLostPassNumber(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	ids := c.seed(t, "acme", 5)
	for range 3 {
		c.mustPass(t)
	}
	for _, key := range []string{ownerKey, passKey, snapshot.BaselineKey + "user." + c.AccountID()} {
		if err := c.j.SetState(t.Context(), key, ""); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		c.deleteAll(t, ids[i:i+1]) // no hook fires
		c.mustPass(t)
		c.want(t, "user.deleted", ids[:i+1]...)
	}
}
