package registration

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
)

// TestUsersOfAnAccountThatIsKnownAsDeleted: the deletion of an account was concluded
// while the listing of users could not be trusted. The account's users must not be
// forgotten with it.
func TestUsersOfAnAccountThatIsKnownAsDeleted(t *testing.T) {
	t.Parallel()
	for name, specs := range map[string][]Spec{
		"users":              deletedUsers,
		"users and accounts": {{"object", "user", "doc_deleted"}, {"object", "account", "doc_deleted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newComparison(t, specs...)
			c.opts.IncludeSubaccounts = true
			south := "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab51"
			c.seed(t, "acme", 100)
			inSouth := c.seed(t, south, 3)
			c.mustPass(t)
			if err := c.DeleteAccount(south); err != nil {
				t.Fatal(err)
			}
			lie, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultOmit, Op: "users.list"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.pass(t, Request{}); err == nil {
				t.Error("a listing that leaves out half of the users is trusted")
			}
			c.ClearFault(lie)
			c.mustPass(t)
			c.want(t, "user.deleted", inSouth...)
			c.mustPass(t)
			c.want(t, "user.deleted", inSouth...)
		})
	}
}

// TestUsersOfAnAccountThatWasNeverListed: the creation of a user was received, and its
// account was deleted before the first listing.
func TestUsersOfAnAccountThatWasNeverListed(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	c.opts.IncludeSubaccounts = true
	south := "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab51"
	c.seed(t, "acme", 10)
	young := c.seed(t, south, 2)
	for _, id := range young {
		c.live(t, "user", id, south, event.Created)
	}
	if err := c.DeleteAccount(south); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.mustPass(t)
		c.want(t, "user.deleted", young...)
	}
}

// TestUsersOfAnAccountThatNobodyListed: a sub-account is created and deleted between two
// listings of the accounts, without an event of its own. Only events of its objects
// have shown it.
func TestUsersOfAnAccountThatNobodyListed(t *testing.T) {
	t.Parallel()
	for name, specs := range map[string][]Spec{
		"users":              deletedUsers,
		"users and accounts": {{"object", "user", "doc_deleted"}, {"object", "account", "doc_deleted"}},
	} {
		for _, listed := range []bool{true, false} { // whether the accounts were listed before
			t.Run(fmt.Sprint(name, listed), func(t *testing.T) {
				t.Parallel()
				c := newComparison(t, specs...)
				c.opts.IncludeSubaccounts = true
				c.seed(t, "acme", 3)
				if listed {
					c.mustPass(t)
				}
				fresh := c.branch(t)
				ids := c.seed(t, fresh, 3)
				for i, a := range []event.Action{event.Created, event.Edited, event.Created} {
					c.live(t, "user", ids[i], fresh, a)
				}
				if err := c.DeleteAccount(fresh); err != nil {
					t.Fatal(err)
				}
				r := NewResyncer(c.api, c.store, c.opts)
				for range 2 {
					c.clock.add(2 * time.Minute)
					r.compareAccounts(t.Context(), c.AccountID())
					c.want(t, "user.deleted", ids...)
					if len(specs) > 1 {
						c.want(t, "account.deleted", fresh)
					}
				}
			})
		}
	}
}

// TestAccountsThatCannotBeListed: the objects of an account that only events have shown
// are compared even so.
func TestAccountsThatCannotBeListed(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	c.opts.IncludeSubaccounts = true
	c.mustPass(t)
	fresh := c.branch(t)
	ids := c.seed(t, fresh, 2)
	for _, id := range ids {
		c.live(t, "user", id, fresh, event.Created)
	}
	c.deleteAll(t, ids[:1])
	r := NewResyncer(noAccounts{c.api}, c.store, c.opts)
	for range 2 {
		c.clock.add(2 * time.Minute)
		if _, err := r.Run(t.Context(), c.AccountID(), Request{}); !errors.Is(err, ErrPart) {
			t.Errorf("the accounts can't be listed, but the error is %v", err)
		}
		c.want(t, "user.deleted", ids[0])
	}
}

// noAccounts is a Kazoo that answers 500 for the list of accounts.
type noAccounts struct{ ObjectAPI }

func (noAccounts) Descendants(context.Context, string) iter.Seq2[crossbar.Account, error] {
	return func(yield func(crossbar.Account, error) bool) {
		yield(crossbar.Account{}, &crossbar.Error{Op: "accounts.descendants", Status: 500})
	}
}

// branch creates a sub-account.
func (c *comparison) branch(t *testing.T) string {
	t.Helper()
	id, err := c.CreateAccount(fakekazoo.Account{Name: "branch"})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestUsersOfADeletedAccountAreAskedForAgain: no listing shows the users of a deleted
// account. If their look-ups fail, they are repeated nevertheless, and until then the
// comparison isn't complete.
func TestUsersOfADeletedAccountAreAskedForAgain(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	c.opts.IncludeSubaccounts = true
	c.seed(t, "acme", 3)
	inSouth := c.seed(t, southAccount, 2)
	c.mustPass(t)
	if err := c.DeleteAccount(southAccount); err != nil {
		t.Fatal(err)
	}
	c.live(t, "account", southAccount, southAccount, event.Deleted)
	api := &troubled{ObjectAPI: c.api, err: errBroken}
	r := NewResyncer(api, c.store, c.opts)
	c.clock.add(time.Hour)
	if _, err := r.Run(t.Context(), c.AccountID(), Request{}); !errors.Is(err, ErrPart) {
		t.Errorf("error: %v", err)
	}
	l := newLookups(r)
	for range 3 {
		l.retryListings(t.Context(), c.AccountID())
		c.clock.add(longestPause)
	}
	if s := r.Stats(); len(s.Failing) != 1 || !s.LastOK.IsZero() {
		t.Errorf("stats: %+v", s)
	}
	api.err = nil
	l.retryListings(t.Context(), c.AccountID())
	if s := r.Stats(); len(s.Failing) != 0 || s.LastOK.IsZero() {
		t.Errorf("stats: %+v", s)
	}
	c.want(t, "user.deleted", inSouth...)
}
