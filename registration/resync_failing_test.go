package registration

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
)

// TestOneStuckAccountHoldsUpNoComparison: Kazoo always answers 500 for one account.
func TestOneStuckAccountHoldsUpNoComparison(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_deleted"}, Spec{"object", "device", "doc_deleted"}, Spec{"object", "account", "doc_deleted"})
	c.opts.IncludeSubaccounts = true
	ids, inSouth := c.seed(t, "acme", 4), c.seed(t, southAccount, 4)
	c.mustPass(t)
	c.deleteAll(t, []string{ids[0], inSouth[0]})
	broken := &brokenListing{ObjectAPI: c.api, account: southAccount}
	r := NewResyncer(broken, c.store, c.opts)
	c.clock.add(time.Hour)
	_, err := r.Run(t.Context(), c.AccountID(), Request{})
	if !errors.Is(err, ErrPart) || !strings.Contains(err.Error(), southAccount) {
		t.Errorf("error: %v", err)
	}
	c.want(t, "user.deleted", ids[0])
	s := r.Stats()
	if len(s.Failing) != 2 || s.Failing[0].Type != "device" || s.Failing[1].Type != "user" || s.Failing[0].Account != southAccount {
		t.Errorf("failing: %+v", s.Failing)
	}
	since := s.Failing[0].Since
	// It is tried again, and nothing else is listed for that.
	l := newLookups(r)
	for range 3 {
		l.retryListings(t.Context(), c.AccountID())
		c.clock.add(longestPause)
	}
	if s := r.Stats(); len(s.Failing) != 2 || !s.Failing[0].Since.Equal(since) || broken.others != 4 {
		t.Errorf("failing: %+v; %d listings of other accounts", s.Failing, broken.others)
	}
	broken.account = ""
	l.retryListings(t.Context(), c.AccountID())
	if s := r.Stats(); len(s.Failing) != 0 || s.LastOK.IsZero() {
		t.Errorf("stats: %+v", s)
	}
	c.want(t, "user.deleted", ids[0], inSouth[0])

	// The accounts themselves can't be listed: the known ones are compared.
	broken.account, broken.noAccounts = "", true
	c.deleteAll(t, inSouth[1:2])
	if _, err := r.Run(t.Context(), c.AccountID(), Request{}); !errors.Is(err, ErrPart) {
		t.Errorf("error: %v", err)
	}
	c.want(t, "user.deleted", ids[0], inSouth[0], inSouth[1])
}

// brokenListing is an ObjectAPI whose listings fail for one account.
type brokenListing struct {
	ObjectAPI
	account    string
	noAccounts bool
	others     int // listings of other accounts
}

func (a *brokenListing) Objects(ctx context.Context, account, kind string) iter.Seq2[crossbar.Object, error] {
	if account == a.account {
		return func(yield func(crossbar.Object, error) bool) { yield(crossbar.Object{}, errBroken) }
	}
	a.others++
	return a.ObjectAPI.Objects(ctx, account, kind)
}

func (a *brokenListing) Descendants(ctx context.Context, account string) iter.Seq2[crossbar.Account, error] {
	if a.noAccounts {
		return func(yield func(crossbar.Account, error) bool) { yield(crossbar.Account{}, errBroken) }
	}
	return a.ObjectAPI.Descendants(ctx, account)
}

// TestConfirmationThatFailsIsTriedAgain: a listing lacks a user, and the look-up of the
// user fails.
func TestConfirmationThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	ids := c.seed(t, "acme", 4)
	c.mustPass(t)
	c.deleteAll(t, ids[:1])
	api := &troubled{ObjectAPI: c.api, err: errBroken}
	r := NewResyncer(api, c.store, c.opts)
	c.clock.add(time.Hour)
	if _, err := r.Run(t.Context(), c.AccountID(), Request{}); !errors.Is(err, ErrPart) {
		t.Errorf("error: %v", err)
	}
	l := newLookups(r)
	l.retryListings(t.Context(), c.AccountID())
	c.clock.add(time.Minute)
	api.err = nil
	l.retryListings(t.Context(), c.AccountID())
	c.want(t, "user.deleted", ids[0])
	if s := r.Stats(); len(s.Failing) != 0 || s.LastOK.IsZero() {
		t.Errorf("stats: %+v", s)
	}
}
