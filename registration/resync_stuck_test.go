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

var errHangs = &crossbar.Error{Op: "objects.get", Err: crossbar.ErrTimeout}

// hanging is an ObjectAPI that never answers for the objects of some accounts.
type hanging struct {
	ObjectAPI
	accounts map[string]bool
	lists    bool // their objects can be listed, but not looked up
	away     bool // it answers nothing
	asked    int  // unanswered requests
	last     string
}

func (a *hanging) Objects(ctx context.Context, account, kind string) iter.Seq2[crossbar.Object, error] {
	if !a.away && (a.lists || !a.accounts[account]) {
		return a.ObjectAPI.Objects(ctx, account, kind)
	}
	return func(yield func(crossbar.Object, error) bool) {
		a.asked, a.last = a.asked+1, account
		yield(crossbar.Object{}, errHangs)
	}
}

func (a *hanging) Object(ctx context.Context, account, kind, id string) (crossbar.Object, error) {
	if a.away || a.accounts[account] && kind != "accounts" {
		a.asked++
		return crossbar.Object{}, errHangs
	}
	return a.ObjectAPI.Object(ctx, account, kind, id)
}

// branches makes accounts with three known users each. They are in the order in which
// Kazoo lists them.
func (c *comparison) branches(t *testing.T, n int) (accounts []string, users map[string][]string) {
	t.Helper()
	c.opts.IncludeSubaccounts = true
	for i := range n {
		if _, err := c.CreateAccount(fakekazoo.Account{Name: fmt.Sprintf("branch %d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	users = map[string][]string{}
	for a, err := range c.api.Descendants(t.Context(), c.AccountID()) {
		if err != nil {
			t.Fatal(err)
		}
		accounts = append(accounts, a.ID)
		for range 3 {
			users[a.ID] = append(users[a.ID], c.create(t, fakekazoo.User{AccountID: a.ID}))
		}
	}
	c.mustPass(t)
	return accounts, users
}

// TestStuckAccountsHoldUpNoComparison: Kazoo gives no answer for two accounts that
// follow each other in every listing. All others are compared, each stuck account
// costs little, and it is compared once it answers.
func TestStuckAccountsHoldUpNoComparison(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_deleted"}, Spec{"object", "device", "doc_deleted"}, Spec{"object", "vmbox", "doc_deleted"})
	accounts, users := c.branches(t, 5)
	var first []string
	for _, a := range accounts {
		first = append(first, users[a][0])
	}
	c.deleteAll(t, first)
	api := &hanging{ObjectAPI: c.api, accounts: map[string]bool{accounts[0]: true, accounts[1]: true}}
	r := NewResyncer(api, c.store, c.opts)
	c.clock.add(time.Hour)
	if _, err := r.Run(t.Context(), c.AccountID(), Request{}); !errors.Is(err, ErrPart) {
		t.Errorf("error: %v", err)
	}
	c.want(t, "user.deleted", first[2:]...)
	if s := r.Stats(); len(s.Failing) != 6 || api.asked != 2 {
		t.Errorf("%d unanswered requests; failing: %+v", api.asked, s.Failing)
	}
	api.accounts = nil
	l := newLookups(r)
	for range 2 {
		l.retryListings(t.Context(), c.AccountID())
		c.clock.add(longestPause)
	}
	c.want(t, "user.deleted", first...)
	if s := r.Stats(); len(s.Failing) != 0 || s.LastOK.IsZero() {
		t.Errorf("stats: %+v", s)
	}

	// If Kazoo answers nothing, no more is asked, and all is compared again.
	api.away, api.asked = true, 0
	if _, err := r.Run(t.Context(), c.AccountID(), Request{}); err == nil || errors.Is(err, ErrPart) || api.asked != silentAfter+1 {
		t.Errorf("%d requests, error: %v", api.asked, err)
	}
}

// TestStuckListingsHoldUpNoLookUp: between two rounds of look-ups, only one listing that
// gets no answer is repeated. Each has its turn.
func TestStuckListingsHoldUpNoLookUp(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	accounts, users := c.branches(t, 4)
	api := &hanging{ObjectAPI: c.api, accounts: map[string]bool{}}
	for _, a := range accounts[:3] {
		api.accounts[a] = true
	}
	r := NewResyncer(api, c.store, c.opts)
	if _, err := r.Run(t.Context(), c.AccountID(), Request{}); !errors.Is(err, ErrPart) {
		t.Errorf("error: %v", err)
	}
	l := newLookups(r)
	l.retryListings(t.Context(), c.AccountID()) // they have failed just now
	turns := map[string]int{}
	for range 6 {
		c.clock.add(longestPause)
		api.asked = 0
		l.retryListings(t.Context(), c.AccountID())
		if turns[api.last]++; api.asked != 1 {
			t.Errorf("%d requests without an answer", api.asked)
		}
	}
	for _, a := range accounts[:3] {
		if turns[a] != 2 {
			t.Errorf("turns: %v", turns)
		}
	}
	c.deleteAll(t, users[accounts[2]])
	api.accounts = nil
	c.clock.add(longestPause)
	l.retryListings(t.Context(), c.AccountID())
	c.want(t, "user.deleted", users[accounts[2]]...)
}

// TestStuckLookUpsHoldUpNoComparison: Kazoo lists the objects of one account, but gives
// no answer to look-ups of them.
func TestStuckLookUpsHoldUpNoComparison(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	accounts, users := c.branches(t, 2)
	c.deleteAll(t, append(users[accounts[0]], users[accounts[1]]...))
	api := &hanging{ObjectAPI: c.api, accounts: map[string]bool{accounts[0]: true}, lists: true}
	c.clock.add(time.Hour)
	_, err := NewResyncer(api, c.store, c.opts).Run(t.Context(), c.AccountID(), Request{})
	if !errors.Is(err, ErrPart) || api.asked != silentAfter {
		t.Errorf("%d unanswered look-ups, error: %v", api.asked, err)
	}
	c.want(t, "user.deleted", users[accounts[1]]...)
}

// TestStuckAccountsHoldUpNoLookUp: the objects that wait for look-ups the longest are in
// accounts for which Kazoo gives no answer. The others are looked up in the same round.
func TestStuckAccountsHoldUpNoLookUp(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "all", "all"})
	accounts, users := c.branches(t, 6)
	for _, a := range accounts {
		c.live(t, "user", users[a][0], a, event.Edited)
	}
	api := &hanging{ObjectAPI: c.api, accounts: map[string]bool{}}
	for _, a := range accounts[:5] {
		api.accounts[a] = true
	}
	c.lookupsOver(api).drain(t.Context(), c.AccountID())
	if n := c.waiting(t); n != 5 {
		t.Errorf("%d objects wait for a look-up, want those in the accounts that don't answer", n)
	}
}
