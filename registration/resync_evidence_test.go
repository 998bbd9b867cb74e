package registration

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/snapshot"
)

// TestLaggingViewMakesNoSecondDeletion: listings still show a deleted user for more
// than a minute.
func TestLaggingViewMakesNoSecondDeletion(t *testing.T) {
	t.Parallel()
	for name, specs := range map[string][]Spec{"deletions": deletedUsers, "everything": {{"object", "user", "all"}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newComparison(t, specs...)
			ids := c.seed(t, "acme", 5)
			c.mustPass(t)
			c.SetViewLag(time.Hour)
			c.deleteAll(t, ids[:2])
			c.live(t, "user", ids[0], c.AccountID(), event.Deleted) // the hook doesn't fire for the other
			for range 3 {
				c.mustPass(t)
				c.live(t, "user", ids[0], c.AccountID(), event.Deleted) // saved again
			}
			c.want(t, "user.deleted", ids[0])
			c.want(t, "user.created")
			c.SetViewLag(0)
			c.mustPass(t)
			c.mustPass(t)
			c.want(t, "user.deleted", ids[:2]...)
			c.want(t, "user.created")
		})
	}
}

// TestListingThatLagsBehindACreation: a listing lacks a user that exists.
func TestListingThatLagsBehindACreation(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	c.seed(t, "acme", 5)
	c.mustPass(t)
	c.SetViewLag(time.Hour)
	id := c.create(t, fakekazoo.User{})
	c.hidden(t, id, event.Created)
	if r := c.mustPass(t); len(r.Deleted) != 0 {
		t.Errorf("%+v", r)
	}
	if o := c.known(t, "user", c.AccountID(), id); o.State != snapshot.Alive || o.Name == "" {
		t.Errorf("%+v", o)
	}
}

// counting is an ObjectAPI that counts look-ups and pages, and notes which objects
// were looked up.
type counting struct {
	ObjectAPI
	pages, looks int
	asked        []string
}

func (a *counting) Objects(ctx context.Context, account, kind string) iter.Seq2[crossbar.Object, error] {
	return func(yield func(crossbar.Object, error) bool) {
		n := 0
		for o, err := range a.ObjectAPI.Objects(ctx, account, kind) {
			n++
			if !yield(o, err) {
				return
			}
		}
		a.pages += max(1, (n+listedAtOnce-1)/listedAtOnce)
	}
}

func (a *counting) Object(ctx context.Context, account, kind, id string) (crossbar.Object, error) {
	a.looks++
	a.asked = append(a.asked, id)
	return a.ObjectAPI.Object(ctx, account, kind, id)
}

// TestRepairCostsNoNeedlessRequest: after an outage with 700 recovered deletions and 51
// without a trace, Kazoo is asked only for the pages of its listings and for the 51.
func TestRepairCostsNoNeedlessRequest(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"}, Spec{"object", "device", "all"})
	c.opts.MaxDeletions = 100
	c.opts.IncludeSubaccounts = true
	ids := c.seed(t, "acme", 1300)
	c.mustPass(t)
	c.deleteAll(t, ids[:751])
	at := c.clock.now()
	c.clock.add(time.Hour)
	for i, id := range ids[:700] {
		rec := event.Route(event.Request{
			Source: event.SourceRecovered, ReceivedAt: at.Add(time.Duration(i) * time.Second), Hook: "object", HookID: "h1", Method: "POST",
			ContentType: "application/x-www-form-urlencoded",
			Body:        []byte("id=" + id + "&account_id=" + c.AccountID() + "&action=doc_deleted&type=user"),
			Firing:      event.Firing{ID: id, First: at, Last: at},
		})
		if _, err := c.j.Append(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	var created []string // recovered, too: they are known without a look-up
	for range 20 {
		created = append(created, c.create(t, fakekazoo.User{}))
	}
	for _, id := range created {
		rec := event.Route(event.Request{
			Source: event.SourceRecovered, ReceivedAt: c.clock.now(), Hook: "object", HookID: "h1", Method: "POST",
			ContentType: "application/x-www-form-urlencoded",
			Body:        []byte("id=" + id + "&account_id=" + c.AccountID() + "&action=doc_created&type=user"),
			Firing:      event.Firing{ID: id, First: c.clock.now(), Last: c.clock.now()},
		})
		if _, err := c.j.Append(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	api := &counting{ObjectAPI: c.api}
	newLookups(NewResyncer(api, c.store, c.opts)).drain(t.Context(), c.AccountID())
	if api.looks+api.pages != 0 {
		t.Errorf("%d look-ups and %d pages for recovered objects", api.looks, api.pages)
	}
	if _, err := NewResyncer(api, c.store, c.opts).Run(t.Context(), c.AccountID(), Request{}); err != nil {
		t.Fatal(err)
	}
	if api.looks != 51 || api.pages != 2+5 { // two for acme's 569 users, one for each other listing
		t.Errorf("%d look-ups and %d pages", api.looks, api.pages)
	}
	for _, id := range ids[700:751] {
		if !slices.Contains(api.asked, id) {
			t.Errorf("%s was not asked for", id)
		}
	}
	c.want(t, "user.deleted", ids[:751]...)
	c.want(t, "user.created", created...)

	// For each deleted object that a listing still shows there is one look-up.
	c.SetViewLag(time.Hour)
	c.deleteAll(t, ids[800:803])
	for _, id := range ids[800:803] {
		c.live(t, "user", id, c.AccountID(), event.Deleted)
	}
	api.looks = 0
	if _, err := NewResyncer(api, c.store, c.opts).Run(t.Context(), c.AccountID(), Request{}); err != nil || api.looks != 3 {
		t.Errorf("%d look-ups, %v", api.looks, err)
	}
}

// TestSilentlyDeletedAccount: in Kazoo's HEAD the parent's hooks don't fire.
func TestSilentlyDeletedAccount(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_deleted"}, Spec{"object", "account", "doc_deleted"})
	c.opts.IncludeSubaccounts = true
	c.opts.MaxDeletions = 10
	ids := c.seed(t, southAccount, 9)
	c.seed(t, "acme", 3)
	c.mustPass(t)
	if err := c.DeleteAccount(southAccount); err != nil {
		t.Fatal(err)
	}
	api := &counting{ObjectAPI: c.api}
	r := NewResyncer(api, c.store, c.opts)
	r.compareAccounts(t.Context(), c.AccountID())
	c.want(t, "user.deleted", ids...)
	c.want(t, "account.deleted", southAccount)
	if api.looks != 1 || api.pages != 0 {
		t.Errorf("%d look-ups and %d pages of objects", api.looks, api.pages)
	}
	r.compareAccounts(t.Context(), c.AccountID())
	newLookups(r).drain(t.Context(), c.AccountID())
	if s := r.Stats(); api.looks != 1 || s.Runs != 0 || s.Deleted != 10 {
		t.Errorf("%d look-ups, stats %+v", api.looks, s)
	}
	// More than may be reported wait for confirmation, with the account.
	north := "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab50"
	many := c.seed(t, north, 11)
	c.mustPass(t)
	if err := c.DeleteAccount(north); err != nil {
		t.Fatal(err)
	}
	r.compareAccounts(t.Context(), c.AccountID())
	c.want(t, "account.deleted", southAccount)
	if s := r.Stats(); s.AwaitingConfirm != 12 {
		t.Errorf("stats: %+v", s)
	}
	if _, err := r.Run(t.Context(), c.AccountID(), Request{Confirm: true}); err != nil {
		t.Fatal(err)
	}
	c.want(t, "user.deleted", append(ids, many...)...)
	c.want(t, "account.deleted", southAccount, north)
}

// TestEventsOutrankAnswers: an event outranks an answer whose request was sent earlier.
func TestEventsOutrankAnswers(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	ids := c.seed(t, "acme", 3)
	c.mustPass(t)
	// The user is deleted and the event arrives while a look-up is under way.
	c.live(t, "user", ids[0], c.AccountID(), event.Edited)
	slow := &interrupted{ObjectAPI: c.api, then: func() {
		c.deleteAll(t, ids[:1])
		c.live(t, "user", ids[0], c.AccountID(), event.Deleted)
	}}
	c.lookupsOver(slow).drain(t.Context(), c.AccountID())
	if o := c.known(t, "user", c.AccountID(), ids[0]); o.State != snapshot.Deleted {
		t.Errorf("an old answer makes the user alive: %+v", o)
	}
	// A user is missing, and restored while the 404 is under way.
	c.deleteAll(t, ids[1:2])
	slow.then = func() {
		if err := c.Undelete(ids[1]); err != nil {
			t.Error(err)
		}
		c.live(t, "user", ids[1], c.AccountID(), event.Edited)
	}
	c.clock.add(time.Hour)
	if _, err := NewResyncer(slow, c.store, c.opts).Run(t.Context(), c.AccountID(), Request{}); err != nil {
		t.Fatal(err)
	}
	c.mustPass(t)
	c.want(t, "user.deleted", ids[0])
}

// interrupted is an ObjectAPI that calls then once, during a look-up.
type interrupted struct {
	ObjectAPI
	then func()
}

func (a *interrupted) Object(ctx context.Context, account, kind, id string) (crossbar.Object, error) {
	o, err := a.ObjectAPI.Object(ctx, account, kind, id)
	if a.then != nil {
		a.then()
		a.then = nil
	}
	return o, err
}

// TestEachListingIsConcludedByItself: objects missing in one listing are reported before
// the next account is listed. The limit counts over the whole run.
func TestEachListingIsConcludedByItself(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	c.opts.IncludeSubaccounts, c.opts.MaxDeletions = true, 3
	ids, inSouth := c.seed(t, "acme", 6), c.seed(t, southAccount, 6)
	c.mustPass(t)
	c.deleteAll(t, ids[:2])
	c.deleteAll(t, inSouth[:2])
	watched := &beforeListing{ObjectAPI: c.api, account: southAccount, then: func() { c.want(t, "user.deleted", ids[:2]...) }}
	r := NewResyncer(watched, c.store, c.opts)
	c.clock.add(time.Hour)
	rep, err := r.Run(t.Context(), c.AccountID(), Request{})
	if err != nil || !rep.Held || rep.Limit != 3 || len(rep.Deleted) != 2 || watched.then != nil {
		t.Errorf("%+v, %v", rep, err)
	}
	if s := r.Stats(); s.AwaitingConfirm != 2 || s.Deleted != 2 {
		t.Errorf("stats: %+v", s)
	}
	c.want(t, "user.deleted", ids[:2]...)
	// Held-back deletions are not reported bit by bit.
	c.deleteAll(t, inSouth[2:4])
	for range 2 {
		rep, err := r.Run(t.Context(), c.AccountID(), Request{})
		if err != nil || !rep.Held || len(rep.Deleted) != 4 {
			t.Errorf("%+v, %v", rep, err)
		}
	}
	if err := c.Undelete(inSouth[0]); err != nil {
		t.Fatal(err)
	}
	// Some were restored, so the rest is within the limit.
	if rep, err := r.Run(t.Context(), c.AccountID(), Request{}); err != nil || rep.Held || len(rep.Deleted) != 3 {
		t.Errorf("%+v, %v", rep, err)
	}
	c.want(t, "user.deleted", slices.Concat(ids[:2], inSouth[1:4])...)
	c.deleteAll(t, ids[2:6])
	for _, confirm := range []bool{false, true} {
		if rep, err := r.Run(t.Context(), c.AccountID(), Request{Confirm: confirm}); err != nil || rep.Held == confirm || len(rep.Deleted) != 4 {
			t.Errorf("confirmed %v: %+v, %v", confirm, rep, err)
		}
	}
	c.want(t, "user.deleted", slices.Concat(ids[:6], inSouth[1:4])...)
}

// beforeListing is an ObjectAPI that calls a function before one account is listed.
type beforeListing struct {
	ObjectAPI
	account string
	then    func()
}

func (a *beforeListing) Objects(ctx context.Context, account, kind string) iter.Seq2[crossbar.Object, error] {
	if account == a.account && a.then != nil {
		a.then()
		a.then = nil
	}
	return a.ObjectAPI.Objects(ctx, account, kind)
}

// TestKnownMeanwhileIsNotAskedFor: the deletion of a missing user arrives before the
// user is looked up.
func TestKnownMeanwhileIsNotAskedFor(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	ids := c.seed(t, "acme", 5)
	c.mustPass(t)
	c.deleteAll(t, ids[:3])
	api := &troubled{ObjectAPI: &interrupted{ObjectAPI: c.api, then: func() {
		for _, id := range ids[:3] {
			c.live(t, "user", id, c.AccountID(), event.Deleted)
		}
	}}}
	if _, err := NewResyncer(api, c.store, c.opts).Run(t.Context(), c.AccountID(), Request{}); err != nil || api.asked != 1 {
		t.Errorf("asked %d times, %v", api.asked, err)
	}
	c.want(t, "user.deleted", ids[:3]...)
}
