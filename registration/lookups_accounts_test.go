package registration

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/snapshot"
)

const southAccount = "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab51"

func TestLookUpsOfNewAccounts(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"}, Spec{"object", "account", "all"})
	c.opts.IncludeSubaccounts = true
	c.mustPass(t)
	west, err := c.CreateAccount(fakekazoo.Account{Name: "acme-west"})
	if err != nil {
		t.Fatal(err)
	}
	c.live(t, "account", west, west, event.Created)
	c.lookUp(t)
	id := c.create(t, fakekazoo.User{AccountID: west}) // no webhook reports it
	c.mustPass(t)
	c.want(t, "user.created", id)
	c.want(t, "account.created", west)
}

func TestLookUpsOfDeletedAccounts(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_deleted"}, Spec{"object", "device", "doc_created"}, Spec{"object", "account", "doc_deleted"})
	c.opts.IncludeSubaccounts = true
	ids := c.seed(t, southAccount, 30)
	if _, err := c.CreateObject("devices", southAccount, map[string]any{"name": "Desk"}); err != nil {
		t.Fatal(err)
	}
	c.mustPass(t)
	c.live(t, "account", southAccount, southAccount, event.Deleted)

	// The account still exists, or the look-up fails: nothing is reported.
	api := &troubled{ObjectAPI: c.api}
	l := c.lookupsOver(api)
	for _, api.err = range []error{nil, errRefused, errBroken, errDown} {
		l.drain(t.Context(), c.AccountID())
		c.clock.add(30 * time.Second)
	}
	if !strings.Contains(c.logged.String(), "are not reported as deleted") {
		t.Errorf("log: %s", &c.logged)
	}
	c.want(t, "user.deleted")
	if err := c.DeleteAccount(southAccount); err != nil {
		t.Fatal(err)
	}
	// It is killed after each write in turn; no work is done twice.
	for n := range int64(40) {
		store := &flaky{Journal: c.j}
		store.left.Store(n)
		c.store = store
		c.lookUp(t)
	}
	c.want(t, "user.deleted", ids...)
	c.want(t, "account.deleted", southAccount)
	if n, _ := c.j.CountObjects(t.Context(), "device", ""); n != 0 || c.waiting(t) != 0 {
		t.Errorf("%d devices of the deleted account are alive, %d objects wait", n, c.waiting(t))
	}
	c.store = c.j
	if r := c.mustPass(t); len(r.Deleted) != 0 {
		t.Errorf("the resync reports %+v", r.Deleted)
	}
}

// TestAccountThatWasNotDeleted: an event reported the deletion of an account that Kazoo
// still has. Kazoo is believed when it says so twice.
func TestAccountThatWasNotDeleted(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_deleted"}, Spec{"object", "account", "doc_deleted"})
	c.opts.IncludeSubaccounts = true
	c.seed(t, southAccount, 3)
	c.mustPass(t)
	c.live(t, "account", southAccount, southAccount, event.Deleted)
	l := c.lookupsOver(c.api)
	for _, want := range []snapshot.State{snapshot.Deleted, snapshot.Deleted, snapshot.Alive} {
		l.drain(t.Context(), c.AccountID())
		if o := c.known(t, accountType, southAccount, southAccount); o.State != want {
			t.Errorf("%+v, want state %d", o, want)
		}
		c.clock.add(40 * time.Second)
	}
	c.mustPass(t)
	c.want(t, "user.deleted")
	c.want(t, "account.deleted", southAccount)
}

// TestFollow: Follow looks objects up, repeats a failed listing, and compares the
// sub-accounts.
func TestFollow(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_deleted"}, Spec{"object", "account", "doc_deleted"})
	c.opts.IncludeSubaccounts, c.opts.AccountsInterval, c.opts.Now = true, 10*time.Millisecond, nil
	ids, south := c.seed(t, "acme", 5), c.seed(t, southAccount, 3)
	c.mustPass(t)
	c.deleteAll(t, ids[:1])
	fault, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Op: "users.list", Account: c.AccountID(), Status: 400})
	if err != nil {
		t.Fatal(err)
	}
	r := NewResyncer(c.api, c.store, c.opts)
	if _, err := r.Run(t.Context(), c.AccountID(), Request{}); !errors.Is(err, ErrPart) {
		t.Fatalf("error: %v", err)
	}
	s := r.Stats()
	if len(s.Failing) != 1 || s.Failing[0].Account != c.AccountID() || s.Failing[0].Type != "user" || !s.LastOK.IsZero() {
		t.Fatalf("stats: %+v", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Follow(ctx, c.AccountID) }()
	c.hidden(t, ids[1], event.Edited)
	eventually(t, "the edited user was looked up", func() bool { return c.waiting(t) == 0 })
	if err := c.DeleteAccount(southAccount); err != nil { // the parent's hooks don't fire
		t.Fatal(err)
	}
	eventually(t, "the deleted account was found", func() bool { return tally(t, c.j)["account.deleted "+southAccount] == 1 })
	c.want(t, "user.deleted", south...)
	c.ClearFault(fault)
	eventually(t, "the listing was tried again", func() bool { return !r.Stats().LastOK.IsZero() })
	c.want(t, "user.deleted", append(slices.Clone(south), ids[0])...)
	if s := r.Stats(); len(s.Failing) != 0 || s.Deleted != 5 {
		t.Errorf("stats: %+v", s)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
