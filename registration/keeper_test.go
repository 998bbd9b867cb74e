package registration

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/crossbar/crossbartest"
	"kazoohook/internal/event"
)

// troubled is an ObjectAPI that answers with an error while there is one.
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
)

func (c *comparison) enriched(t *testing.T, seq int64) event.Event {
	t.Helper()
	rec, err := c.j.Get(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	e := event.Describe(rec)
	c.keeper().Enrich(t.Context(), &e)
	return e
}

func TestKeeperNamesWhoComesAndGoesBetweenResyncs(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	c.mustPass(t)
	u, err := c.CreateUser(crossbartest.User{FirstName: "Ann", LastName: "Lee", Username: "ann", Email: "ann@x"})
	if err != nil {
		t.Fatal(err)
	}
	c.live(t, "user", u.ID, c.AccountID(), event.Created)
	c.feed(t)
	if err := c.EditObject(u.ID, map[string]any{"last_name": "Ray"}); err != nil {
		t.Fatal(err)
	}
	c.live(t, "user", u.ID, c.AccountID(), event.Edited)
	c.live(t, "user", u.ID, c.AccountID(), event.Edited)
	c.feed(t)
	c.deleteAll(t, []string{u.ID})
	gone := c.live(t, "user", u.ID, c.AccountID(), event.Deleted)
	c.feed(t)
	e := c.enriched(t, gone.Seq)
	if e.ObjectName != "Ann Ray" || e.Data["username"] != "ann" || e.Data["email"] != "ann@x" {
		t.Errorf("enriched: %q, %v", e.ObjectName, e.Data)
	}
	// What the snapshot doesn't know stays as it is, and what Kazoo says counts.
	stranger := c.live(t, "user", "0123", c.AccountID(), event.Deleted)
	c.feed(t)
	if e := c.enriched(t, stranger.Seq); e.ObjectName != "" {
		t.Errorf("a stranger has the name %q", e.ObjectName)
	}
	named := event.Event{Record: event.Record{ObjectType: "user", ObjectID: u.ID, Action: event.Deleted}, ObjectName: "Kazoo's"}
	c.keeper().Enrich(t.Context(), &named)
	bare := event.Event{Record: event.Record{ObjectType: "user", ObjectID: u.ID, Action: event.Deleted}}
	c.keeper().Enrich(t.Context(), &bare)
	if named.ObjectName != "Kazoo's" || named.Data != nil || bare.Data["username"] != "ann" {
		t.Errorf("enriched: %+v, %+v", named, bare)
	}
	c.mustPass(t)
	c.want(t, "user.deleted", u.ID, "0123")
	c.want(t, "user.created", u.ID)
}

func TestKeeperWithoutAnswers(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "all", "all"})
	known := c.seed(t, "acme", 1)[0]
	c.mustPass(t)
	u, err := c.CreateUser(crossbartest.User{})
	if err != nil {
		t.Fatal(err)
	}
	api := &troubled{ObjectAPI: c.api, err: errDown}
	k := NewKeeper(api, c.j, c.opts.Specs, c.opts.Log, c.clock.now)
	c.live(t, "user", u.ID, c.AccountID(), event.Created)
	c.live(t, "user", known, c.AccountID(), event.Edited)
	c.live(t, "user", "stranger", c.AccountID(), event.Edited)
	if err := k.Handle(t.Context(), events(t, c.j)); err != nil {
		t.Fatal(err)
	}
	if api.asked != 1 {
		t.Errorf("asked %d times although nobody answers, want once", api.asked)
	}
	if o, ok, _ := c.j.Object(t.Context(), "user", u.ID); !ok || o.Name != "" {
		t.Errorf("the new user: %v %+v", ok, o)
	}
	if o, _, _ := c.j.Object(t.Context(), "user", known); o.Name == "" {
		t.Error("the known user lost the name")
	}
	if _, ok, _ := c.j.Object(t.Context(), "user", "stranger"); ok {
		t.Error("an edit alone made a user known")
	}
	// A refusal is an answer: others are asked about.
	api.err, api.asked = errRefused, 0
	if err := k.Handle(t.Context(), events(t, c.j)); err != nil || api.asked != 3 {
		t.Errorf("%v, asked %d times", err, api.asked)
	}
	// The new user's deletion is noticed even so.
	c.deleteAll(t, []string{u.ID})
	c.mustPass(t)
	c.want(t, "user.deleted", u.ID)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Handle(ctx, events(t, c.j)); err == nil {
		t.Error("no error although it was stopped")
	}
}

// TestKeeperThatIsBehind: it lets the names wait instead of falling behind
// further, and misses nobody.
func TestKeeperThatIsBehind(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	known := c.seed(t, "acme", 1)[0]
	c.mustPass(t)
	u, err := c.CreateUser(crossbartest.User{})
	if err != nil {
		t.Fatal(err)
	}
	c.live(t, "user", u.ID, c.AccountID(), event.Created)
	c.live(t, "user", known, c.AccountID(), event.Edited)
	c.clock.add(lookPatience + time.Second)
	api := &troubled{ObjectAPI: c.api}
	k := NewKeeper(api, c.j, c.opts.Specs, c.opts.Log, c.clock.now)
	if err := k.Handle(t.Context(), events(t, c.j)); err != nil || api.asked != 0 {
		t.Errorf("%v, asked %d times about what is long ago", err, api.asked)
	}
	if o, ok, _ := c.j.Object(t.Context(), "user", u.ID); !ok || o.Name != "" {
		t.Errorf("the new user: %v %+v", ok, o)
	}
	if o, _, _ := c.j.Object(t.Context(), "user", known); o.Name == "" {
		t.Error("the known user lost the name")
	}
	c.mustPass(t)
	if o, _, _ := c.j.Object(t.Context(), "user", u.ID); o.Name == "" {
		t.Error("the resync did not name the new user")
	}
	// What is recovered is old, but few.
	c.live(t, "user", u.ID, c.AccountID(), event.Edited)
	batch := events(t, c.j)
	last := batch[len(batch)-1:]
	last[0].Source, last[0].ReceivedAt = event.SourceRecovered, c.clock.now().Add(-time.Hour)
	if err := k.Handle(t.Context(), last); err != nil || api.asked != 1 {
		t.Errorf("%v, asked %d times about what was recovered", err, api.asked)
	}
}

func TestKeeperAndUndeletion(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_deleted"}, Spec{"object", "user", "doc_edited"})
	id := c.seed(t, "acme", 1)[0]
	c.mustPass(t)
	for round := range 2 {
		c.deleteAll(t, []string{id})
		c.live(t, "user", id, c.AccountID(), event.Deleted)
		c.feed(t)
		if err := c.Undelete(id); err != nil {
			t.Fatal(err)
		}
		// Within a minute the edit may be one from before the deletion.
		c.live(t, "user", id, c.AccountID(), event.Edited)
		c.feed(t)
		if o, _, _ := c.j.Object(t.Context(), "user", id); o.GoneAt.IsZero() {
			t.Error("brought back by an edit that may be old")
		}
		c.clock.add(2 * time.Minute)
		c.live(t, "user", id, c.AccountID(), event.Edited)
		c.feed(t)
		if o, _, _ := c.j.Object(t.Context(), "user", id); !o.GoneAt.IsZero() {
			t.Error("still gone")
		}
		c.clock.add(2 * time.Minute)
		if n := tally(t, c.j)["user.deleted "+id]; n != round+1 {
			t.Errorf("round %d: %d deletions", round, n)
		}
	}
	c.mustPass(t)
	c.deleteAll(t, []string{id})
	c.mustPass(t)
	c.want(t, "user.deleted", id, id, id)
}

func TestKeeperOfNewAccounts(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"}, Spec{"object", "account", "all"})
	c.opts.IncludeSubaccounts = true
	c.mustPass(t)
	west, err := c.CreateAccount(crossbartest.Account{Name: "acme-west"})
	if err != nil {
		t.Fatal(err)
	}
	c.live(t, "account", west, west, event.Created)
	c.feed(t)
	u, err := c.CreateUser(crossbartest.User{AccountID: west}) // nobody tells us
	if err != nil {
		t.Fatal(err)
	}
	c.mustPass(t)
	c.want(t, "user.created", u.ID)
	c.want(t, "account.created", west)
}

func TestKeeperOfDeletedAccounts(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_deleted"}, Spec{"object", "device", "doc_created"}, Spec{"object", "account", "doc_deleted"})
	c.opts.IncludeSubaccounts = true
	south := "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab51"
	ids := c.seed(t, south, 4)
	if _, err := c.CreateObject("devices", south, map[string]any{"name": "Desk"}); err != nil {
		t.Fatal(err)
	}
	c.mustPass(t)
	gone := c.live(t, "account", south, south, event.Deleted)

	// It is still there, or Kazoo won't tell: nothing is concluded.
	api := &troubled{ObjectAPI: c.api}
	k := NewKeeper(api, c.j, c.opts.Specs, c.opts.Log, c.clock.now)
	for _, api.err = range []error{nil, errRefused} {
		if err := k.Handle(t.Context(), events(t, c.j)); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(c.logged.String(), "left alone") {
		t.Errorf("log: %s", &c.logged)
	}
	if o, _, _ := c.j.Object(t.Context(), accountType, south); !o.GoneAt.IsZero() {
		t.Error("the account is noted as gone")
	}
	c.want(t, "user.deleted")
	// Nobody answers: it is asked again.
	api.err = errDown
	if err := k.Handle(t.Context(), events(t, c.j)); !errors.Is(err, errDown) {
		t.Errorf("error: %v", err)
	}
	api.err = nil
	if err := c.DeleteAccount(south); err != nil {
		t.Fatal(err)
	}
	// Killed after each write in turn; what it did is not done again.
	for n := range int64(8) {
		store := &flaky{Journal: c.j}
		store.left.Store(n)
		err := NewKeeper(api, store, c.opts.Specs, c.opts.Log, c.clock.now).Handle(t.Context(), []event.Record{c.enriched(t, gone.Seq).Record})
		if err != nil && !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
	}
	c.feed(t)
	c.want(t, "user.deleted", ids...)
	if n, _ := c.j.CountObjects(t.Context(), "device", ""); n != 0 {
		t.Errorf("%d devices of the deleted account live", n)
	}
	if r := c.mustPass(t); len(r.Deleted) != 0 {
		t.Errorf("the resync reports %+v", r.Deleted)
	}
}

func TestKeeperNeedsTheJournal(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "all", "all"})
	c.opts.IncludeSubaccounts = true
	south := "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab51"
	ids := c.seed(t, "acme", 1)
	c.mustPass(t)
	c.live(t, "user", ids[0], c.AccountID(), event.Edited)
	c.live(t, "account", south, south, event.Deleted)
	recs := events(t, c.j)
	for name, store := range map[string]SnapshotStore{
		"object": &blind{Journal: c.j, what: "Object"}, "objects": &blind{Journal: c.j, what: "Objects"}, "pass": &unreadable{Journal: c.j, key: passKey},
	} {
		if err := NewKeeper(c.api, store, c.opts.Specs, c.opts.Log, c.clock.now).Handle(t.Context(), recs); !errors.Is(err, errCrash) {
			t.Errorf("%s: %v", name, err)
		}
	}
	west, err := c.CreateAccount(crossbartest.Account{Name: "acme-west"})
	if err != nil {
		t.Fatal(err)
	}
	c.live(t, "account", west, west, event.Created)
	c.deleteAll(t, ids)
	c.live(t, "user", ids[0], c.AccountID(), event.Deleted)
	c.feed(t)
	if err := c.Undelete(ids[0]); err != nil {
		t.Fatal(err)
	}
	c.clock.add(time.Hour)
	c.live(t, "user", ids[0], c.AccountID(), event.Edited)
	tail := slices.DeleteFunc(events(t, c.j), func(r event.Record) bool { return r.Seq <= c.fed })
	store := &flaky{Journal: c.j}
	if err := NewKeeper(c.api, store, c.opts.Specs, c.opts.Log, c.clock.now).Handle(t.Context(), tail); !errors.Is(err, errCrash) {
		t.Errorf("revive: %v", err)
	}
	created := slices.DeleteFunc(events(t, c.j), func(r event.Record) bool { return r.ObjectID != west })
	fresh := newComparison(t, Spec{"object", "all", "all"})
	empty := &flaky{Journal: fresh.j}
	if err := NewKeeper(c.api, empty, c.opts.Specs, c.opts.Log, c.clock.now).Handle(t.Context(), created); !errors.Is(err, errCrash) {
		t.Errorf("adopt: %v", err)
	}
}
