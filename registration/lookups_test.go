package registration

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/snapshot"
)

// troubled is an ObjectAPI that counts look-ups, and answers them with err while it is
// set.
type troubled struct {
	ObjectAPI
	err   error
	asked int
}

func (a *troubled) Object(ctx context.Context, account, kind, id string) (crossbar.Object, error) {
	a.asked++
	if a.err != nil {
		return crossbar.Object{}, a.err
	}
	return a.ObjectAPI.Object(ctx, account, kind, id)
}

var (
	errDown    = &crossbar.Error{Op: "objects.get", Err: errors.New("connection refused")}
	errRefused = &crossbar.Error{Op: "objects.get", Status: http.StatusForbidden, Message: "forbidden"}
	errBroken  = &crossbar.Error{Op: "objects.get", Status: http.StatusInternalServerError, Message: "init failed"}
)

// lookupsOver makes look-ups over an API that may fail.
func (c *comparison) lookupsOver(api ObjectAPI) *lookups {
	return newLookups(NewResyncer(api, c.store, c.opts))
}

// create makes a user and returns its id.
func (c *comparison) create(t *testing.T, u fakekazoo.User) string {
	t.Helper()
	made, err := c.CreateUser(u)
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// waiting is the number of objects that wait for a look-up.
func (c *comparison) waiting(t *testing.T) int {
	t.Helper()
	list, err := c.j.Looks(t.Context(), "", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func (c *comparison) enriched(t *testing.T, seq int64) event.Event {
	t.Helper()
	rec, err := c.j.Get(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	e := event.Decode(rec)
	Enrich(c.j)(t.Context(), &e)
	return e
}

func TestLookUpsNameWhoComesAndIsDeletedBetweenComparisons(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	c.mustPass(t)
	id := c.create(t, fakekazoo.User{FirstName: "Ann", LastName: "Lee", Username: "ann", Email: "ann@x"})
	c.live(t, "user", id, c.AccountID(), event.Created)
	c.lookUp(t)
	if err := c.EditObject(id, map[string]any{"last_name": "Ray"}); err != nil {
		t.Fatal(err)
	}
	c.live(t, "user", id, c.AccountID(), event.Edited)
	c.live(t, "user", id, c.AccountID(), event.Edited)
	c.lookUp(t)
	c.deleteAll(t, []string{id})
	deleted := c.live(t, "user", id, c.AccountID(), event.Deleted)
	c.lookUp(t)
	e := c.enriched(t, deleted.Seq)
	if e.ObjectName != "Ann Ray" || e.Data["username"] != "ann" || e.Data["email"] != "ann@x" {
		t.Errorf("enriched: %q, %v", e.ObjectName, e.Data)
	}
	// The name stays, even if another becomes known later.
	if err := c.Undelete(id); err != nil {
		t.Fatal(err)
	}
	if err := c.EditObject(id, map[string]any{"last_name": "Day"}); err != nil {
		t.Fatal(err)
	}
	c.live(t, "user", id, c.AccountID(), event.Edited)
	c.lookUp(t)
	if o := c.known(t, "user", c.AccountID(), id); o.Name != "Ann Day" {
		t.Fatalf("%+v", o)
	}
	if rec, err := c.j.Get(t.Context(), deleted.Seq); err != nil || event.Decode(rec).ObjectName != "Ann Ray" || rec.Known.Fields["email"] != "ann@x" {
		t.Errorf("%+v, %v", rec, err)
	}
	c.deleteAll(t, []string{id})
	c.live(t, "user", id, c.AccountID(), event.Deleted)
	// An object that the snapshot doesn't know is unchanged, and Kazoo's own data counts.
	stranger := c.live(t, "user", "0123", c.AccountID(), event.Deleted)
	c.lookUp(t)
	if e := c.enriched(t, stranger.Seq); e.ObjectName != "" {
		t.Errorf("a stranger has the name %q", e.ObjectName)
	}
	record := event.Record{ObjectType: "user", AccountID: c.AccountID(), ObjectID: id, Action: event.Deleted}
	named, bare := event.Event{Record: record, ObjectName: "Kazoo's"}, event.Event{Record: record}
	Enrich(c.j)(t.Context(), &named)
	Enrich(c.j)(t.Context(), &bare)
	if named.ObjectName != "Kazoo's" || named.Data != nil || bare.Data["username"] != "ann" {
		t.Errorf("enriched: %+v, %+v", named, bare)
	}
	c.mustPass(t)
	c.want(t, "user.deleted", id, id, "0123")
	c.want(t, "user.created", id)
}

// TestKnownWithoutAsking: users whose creation arrived are known even if they are
// deleted before they could be looked up.
func TestKnownWithoutAsking(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	c.mustPass(t)
	var ids []string
	for range 20 {
		id := c.create(t, fakekazoo.User{})
		c.live(t, "user", id, c.AccountID(), event.Created)
		ids = append(ids, id)
	}
	c.deleteAll(t, ids) // while the hook is off
	c.lookUp(t)
	for _, id := range ids {
		if o := c.known(t, "user", c.AccountID(), id); o.State != snapshot.Alive || o.Look != 0 {
			t.Fatalf("after a look-up that did not find it: %+v", o)
		}
	}
	c.mustPass(t)
	c.want(t, "user.deleted", ids...)
}

// TestKnownByHiddenEvents: if HOOKS names deletions only, a user that was created and
// deleted between two comparisons is reported.
func TestKnownByHiddenEvents(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	c.mustPass(t)
	created, edited := c.create(t, fakekazoo.User{}), c.create(t, fakekazoo.User{})
	c.hidden(t, created, event.Created)
	c.hidden(t, edited, event.Edited)
	if n := len(events(t, c.j)); n != 0 {
		t.Errorf("%d events that HOOKS doesn't name", n)
	}
	c.lookUp(t)
	c.deleteAll(t, []string{created, edited})
	r := c.mustPass(t)
	c.want(t, "user.deleted", created, edited)
	for _, o := range r.Deleted {
		if o.Name == "" {
			t.Errorf("no name of %+v", o)
		}
	}
}

func TestLookUpsWithoutAnswers(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "all", "all"})
	known := c.seed(t, "acme", 1)[0]
	c.mustPass(t)
	id := c.create(t, fakekazoo.User{})
	c.live(t, "user", id, c.AccountID(), event.Created)
	c.live(t, "vmbox", "v1", c.AccountID(), event.Edited)
	c.live(t, "device", "d1", southAccount, event.Edited)
	api := &troubled{ObjectAPI: c.api, err: errDown}
	l := c.lookupsOver(api)
	l.drain(t.Context(), c.AccountID())
	if api.asked > silentAfter+1 { // the last asks whether Kazoo answers at all
		t.Errorf("asked %d times although Kazoo doesn't answer", api.asked)
	}
	if o := c.known(t, "user", c.AccountID(), known); o.Name == "" {
		t.Error("the known user lost the name")
	}
	if f := l.Stats().Failing; len(f) == 0 || f[0].Error == "" || f[0].Since.IsZero() {
		t.Errorf("failing: %+v", f)
	}
	// A refusal is an answer, so other objects are asked for.
	api.err, api.asked = errRefused, 0
	c.clock.add(time.Hour)
	l.drain(t.Context(), c.AccountID())
	if api.asked != 3 {
		t.Errorf("asked %d times", api.asked)
	}
	l.drain(t.Context(), c.AccountID())
	if api.asked != 3 {
		t.Errorf("a refused look-up is repeated at once: %d", api.asked)
	}
	// A listed user needs no look-up; its name is known.
	c.live(t, "user", known, c.AccountID(), event.Edited)
	// The new user's deletion is still noticed.
	c.deleteAll(t, []string{id})
	c.mustPass(t)
	c.want(t, "user.deleted", id)
}

// TestOneStuckAccountHoldsUpNoLookUp: Kazoo answers 500 for one account only.
func TestOneStuckAccountHoldsUpNoLookUp(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	stuck, err := c.CreateUser(fakekazoo.User{AccountID: southAccount})
	if err != nil {
		t.Fatal(err)
	}
	fine := c.create(t, fakekazoo.User{FirstName: "Ann"})
	for range 2 {
		c.live(t, "user", stuck.ID, southAccount, event.Edited)
	}
	c.live(t, "user", fine, c.AccountID(), event.Created)
	api := &brokenAccount{ObjectAPI: c.api, account: southAccount}
	l := c.lookupsOver(api)
	l.drain(t.Context(), c.AccountID())
	if o := c.known(t, "user", c.AccountID(), fine); o.Name == "" || c.waiting(t) != 1 {
		t.Errorf("one account holds up another: %+v, %d wait", o, c.waiting(t))
	}
	f := l.Stats().Failing
	if len(f) != 1 || f[0].Account != southAccount || f[0].Type != "user" || !strings.Contains(f[0].Error, "init failed") {
		t.Errorf("failing: %+v", f)
	}
	since := f[0].Since
	c.clock.add(time.Hour)
	l.drain(t.Context(), c.AccountID())
	if f := l.Stats().Failing; len(f) != 1 || !f[0].Since.Equal(since) {
		t.Errorf("failing: %+v, want since %s", f, since)
	}
	api.account = ""
	c.clock.add(time.Hour)
	l.drain(t.Context(), c.AccountID())
	if f := l.Stats().Failing; len(f) != 0 || c.waiting(t) != 0 {
		t.Errorf("failing: %+v, %d wait", f, c.waiting(t))
	}
}

// brokenAccount is an ObjectAPI that fails for one account.
type brokenAccount struct {
	ObjectAPI
	account string
}

func (a *brokenAccount) Object(ctx context.Context, account, kind, id string) (crossbar.Object, error) {
	if account == a.account {
		return crossbar.Object{}, errBroken
	}
	return a.ObjectAPI.Object(ctx, account, kind, id)
}

// TestManyThatWaitAreListed: many waiting objects are listed, not looked up one by one.
func TestManyThatWaitAreListed(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	ids := c.seed(t, "acme", 700)
	c.mustPass(t)
	for _, id := range ids[:40] {
		if err := c.EditObject(id, map[string]any{"first_name": "New"}); err != nil {
			t.Fatal(err)
		}
		c.live(t, "user", id, c.AccountID(), event.Edited)
	}
	c.deleteAll(t, ids[:1]) // while the hook is off: the listing lacks it, so it is looked up
	api := &troubled{ObjectAPI: c.api}
	c.lookupsOver(api).drain(t.Context(), c.AccountID())
	if api.asked != 1 || c.waiting(t) != 0 {
		t.Errorf("asked %d times, %d wait", api.asked, c.waiting(t))
	}
	if o := c.known(t, "user", c.AccountID(), ids[39]); !strings.HasPrefix(o.Name, "New ") {
		t.Errorf("name %q", o.Name)
	}
	c.want(t, "user.deleted")
	c.mustPass(t)
	c.want(t, "user.deleted", ids[0])
}

func TestLookUpsNeedTheJournal(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "all", "all"})
	c.opts.IncludeSubaccounts = true
	ids := c.seed(t, southAccount, 2)
	c.mustPass(t)
	if err := c.DeleteAccount(southAccount); err != nil {
		t.Fatal(err)
	}
	c.live(t, "account", southAccount, southAccount, event.Deleted)
	for _, what := range []string{"Object", "Objects", "Looks"} {
		c.store = &blind{Journal: c.j, what: what}
		c.lookUp(t)
		c.want(t, "user.deleted")
	}
	c.store = c.j
	c.lookUp(t)
	c.want(t, "user.deleted", ids...)
}
