package registration

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/journaltest"
	"kazoohook/internal/snapshot"
)

// comparison is a Resyncer over a real journal and a fake Kazoo.
type comparison struct {
	*cluster
	j      *journal.Journal
	store  SnapshotStore
	clock  *clock
	opts   ResyncOptions
	logged bytes.Buffer
}

var deletedUsers = []Spec{{"object", "user", "doc_deleted"}}

func newComparison(t *testing.T, specs ...Spec) *comparison {
	t.Helper()
	if len(specs) == 0 {
		specs = deletedUsers
	}
	c := &comparison{cluster: newCluster(t, fakekazoo.Options{}), clock: newClock()}
	c.j = openJournal(t, journaltest.MemoryDir(t), c.clock.now)
	c.store = c.j
	c.opts = ResyncOptions{Specs: specs, Log: zerolog.New(&c.logged), Now: c.clock.now}
	return c
}

// pass runs a resync two minutes later.
func (c *comparison) pass(t *testing.T, q Request) (Report, error) {
	t.Helper()
	c.clock.add(2 * time.Minute)
	return NewResyncer(c.api, c.store, c.opts).Run(t.Context(), c.AccountID(), q)
}

func (c *comparison) mustPass(t *testing.T) Report {
	t.Helper()
	r, err := c.pass(t, Request{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// seed adds users without events, as if they had always existed.
func (c *comparison) seed(t *testing.T, account string, n int) []string {
	t.Helper()
	users, err := c.SeedUsers(account, n)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, n)
	for i, u := range users {
		ids[i] = u.ID
	}
	return ids
}

func (c *comparison) deleteAll(t *testing.T, ids []string) {
	t.Helper()
	for _, id := range ids {
		if err := c.DeleteObject(id); err != nil {
			t.Fatal(err)
		}
	}
}

// live appends an event as if Kazoo had delivered it.
func (c *comparison) live(t *testing.T, typ, id, account string, a event.Action) event.Appended {
	t.Helper()
	got, err := c.j.Append(t.Context(), event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: c.clock.now().UTC(), Hook: "object", HookID: "h1",
		Method: "POST", ContentType: "application/x-www-form-urlencoded",
		Body: fmt.Appendf(nil, "id=%s&account_id=%s&action=%s&type=%s&cluster_id=c", id, account, a, typ)}))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// hidden appends an event of a user that HOOKS doesn't name.
func (c *comparison) hidden(t *testing.T, id string, a event.Action) {
	t.Helper()
	r := event.Route(event.Request{
		Source: event.SourceWebhook, ReceivedAt: c.clock.now().UTC(), Hook: "object", HookID: "h2",
		Method: "POST", ContentType: "application/x-www-form-urlencoded",
		Body: fmt.Appendf(nil, "id=%s&account_id=%s&action=%s&type=user", id, c.AccountID(), a),
	})
	r.Hidden = true
	if _, err := c.j.Append(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// lookUp looks up all waiting objects.
func (c *comparison) lookUp(t *testing.T) {
	t.Helper()
	newLookups(NewResyncer(c.api, c.store, c.opts)).drain(t.Context(), c.AccountID())
}

// known returns an object of the snapshot.
func (c *comparison) known(t *testing.T, typ, account, id string) snapshot.Object {
	t.Helper()
	o, _, err := c.j.Object(t.Context(), typ, account, id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// want compares the journal's events of a name with the wanted ones, each once.
func (c *comparison) want(t *testing.T, name string, ids ...string) {
	t.Helper()
	var got []string
	for _, r := range events(t, c.j) {
		if r.Event == name {
			got = append(got, r.ObjectID)
		}
	}
	slices.Sort(got)
	ids = slices.Sorted(slices.Values(ids))
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestResyncFindsDeletions(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "all", "all"})
	ids := c.seed(t, "acme", 120)
	device, err := c.CreateObject("devices", "acme", map[string]any{"name": "Desk", "mac_address": "00:11"})
	if err != nil {
		t.Fatal(err)
	}
	if r := c.mustPass(t); !r.Baseline || len(r.Deleted)+len(r.Created) != 0 || r.Listed != 121 {
		t.Errorf("baseline: %+v", r)
	}
	if n := len(events(t, c.j)); n != 0 {
		t.Fatalf("the baseline yields %d events", n)
	}
	c.deleteAll(t, append([]string{device}, ids[:5]...))
	fresh, err := c.CreateUser(fakekazoo.User{FirstName: "Ann", LastName: "Lee", Username: "ann", Email: "ann@x"})
	if err != nil {
		t.Fatal(err)
	}
	r := c.mustPass(t)
	if len(r.Deleted) != 6 || len(r.Created) != 1 || r.Baseline || r.Held || r.Limit != minDeletions {
		t.Errorf("second pass: %+v", r)
	}
	c.want(t, "user.deleted", ids[:5]...)
	c.want(t, "device.deleted", device)
	c.want(t, "user.created", fresh.ID)
	recs := events(t, c.j)
	for _, rec := range recs {
		e := event.Decode(rec)
		if rec.Source != event.SourceResync || rec.AccountID != c.AccountID() || e.ObjectName == "" {
			t.Errorf("event: %+v", e)
		}
		if rec.ObjectID == fresh.ID && (e.ObjectName != "Ann Lee" || e.Data["username"] != "ann" || e.Data["email"] != "ann@x") {
			t.Errorf("event of the new user: %+v", e)
		}
	}
	if r := c.mustPass(t); len(r.Deleted)+len(r.Created) != 0 || len(events(t, c.j)) != len(recs) {
		t.Errorf("third pass: %+v", r)
	}

	// A deletion that arrives late is the same event.
	if got := c.live(t, "user", ids[0], c.AccountID(), event.Deleted); !got.Duplicate {
		t.Error("a live deletion after the resync's is another event")
	}
	// If the user is restored and deleted again, it is another event.
	if err := c.Undelete(ids[1]); err != nil {
		t.Fatal(err)
	}
	c.mustPass(t)
	c.want(t, "user.created", fresh.ID, ids[1])
	c.deleteAll(t, ids[1:2])
	c.mustPass(t)
	c.want(t, "user.deleted", append(slices.Clone(ids[:5]), ids[1])...)
}

func TestUndeletedWhereOnlyDeletionsAreWatched(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	ids := c.seed(t, "acme", 3)
	c.mustPass(t)
	c.deleteAll(t, ids[:1])
	c.live(t, "user", ids[0], c.AccountID(), event.Deleted)
	c.lookUp(t)
	if err := c.Undelete(ids[0]); err != nil {
		t.Fatal(err)
	}
	// The listing shows the user, and the look-up decides.
	c.mustPass(t)
	if c.known(t, "user", c.AccountID(), ids[0]).State != snapshot.Alive {
		t.Error("the user is still deleted")
	}
	c.deleteAll(t, ids[:1])
	c.mustPass(t)
	c.want(t, "user.deleted", ids[0], ids[0])
}

// state is all that a resync could change, as text.
func (c *comparison) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, typ := range snapshot.Types() {
		for o, err := range c.j.ObjectsNotSeen(t.Context(), typ, "", 1<<60) {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%+v\n", o)
		}
		for _, account := range append([]string{""}, c.accountIDs()...) {
			v, err := c.j.State(t.Context(), snapshot.BaselineKey+typ+"."+account)
			fmt.Fprintln(&b, v, err)
		}
	}
	for _, key := range []string{ownerKey, passKey} {
		v, err := c.j.State(t.Context(), key)
		fmt.Fprintln(&b, v, err)
	}
	fmt.Fprintln(&b, len(events(t, c.j)))
	return b.String()
}

func (c *comparison) accountIDs() (ids []string) {
	for _, a := range c.Accounts() {
		ids = append(ids, a.ID)
	}
	return ids
}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "all", "all"})
	c.opts.IncludeSubaccounts = true
	ids := c.seed(t, "acme", 40)
	dry := func() Report {
		t.Helper()
		before := c.state(t)
		r, err := c.pass(t, Request{DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, c.state(t)); diff != "" {
			t.Errorf("the dry run changed something:\n%s", diff)
		}
		return r
	}
	if r := dry(); !r.Baseline || len(r.Deleted)+len(r.Created) != 0 || r.Listed != 42 {
		t.Errorf("before the baseline: %+v", r)
	}
	c.mustPass(t)
	c.deleteAll(t, ids[:3])
	account, err := c.CreateAccount(fakekazoo.Account{Name: "acme-west"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := c.CreateUser(fakekazoo.User{AccountID: account})
	if err != nil {
		t.Fatal(err)
	}
	would := dry()
	did := c.mustPass(t)
	if len(would.Deleted) != 3 || len(would.Created) != 2 || len(did.Deleted) != 3 || len(did.Created) != 2 {
		t.Errorf("would report %d and %d, did report %d and %d", len(would.Deleted), len(would.Created), len(did.Deleted), len(did.Created))
	}
	c.want(t, "user.created", u.ID)
	c.deleteAll(t, []string{u.ID})
	if err := c.DeleteAccount(account); err != nil {
		t.Fatal(err)
	}
	if r := dry(); len(r.Deleted) != 2 {
		t.Errorf("of the deleted account: %+v", r)
	}
	c.mustPass(t)
	if err := c.Undelete(ids[0]); err != nil {
		t.Fatal(err)
	}
	if r := dry(); len(r.Created) != 1 {
		t.Errorf("of the undeleted user: %+v", r)
	}
	c.opts.Specs = deletedUsers
	if r := dry(); len(r.Created) != 0 {
		t.Errorf("creations aren't watched: %+v", r)
	}
}

func TestAnotherAccountIsRefused(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	c.seed(t, "acme", 3)
	c.mustPass(t)
	_, err := NewResyncer(c.api, c.store, c.opts).Run(t.Context(), "0123456789abcdef0123456789abcdef", Request{})
	if !errors.Is(err, ErrOtherAccount) {
		t.Errorf("error: %v", err)
	}
}

func TestProgressIsLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	c := newComparison(t)
	c.seed(t, "acme", 510)
	tick := c.clock.now
	c.opts.Now = func() time.Time { c.clock.add(6 * time.Second); return tick() }
	c.mustPass(t)
	if n := strings.Count(c.logged.String(), "resync is listing"); n < 1 || n > 2 {
		t.Errorf("%d lines of progress:\n%s", n, &c.logged)
	}
	c.opts.Now = tick
	var last Progress
	if _, err := c.pass(t, Request{Progress: func(p Progress) { last = p }}); err != nil {
		t.Fatal(err)
	}
	if want := (Progress{Account: c.AccountID(), Type: "user", Listed: 510, Expected: 510}); last != want {
		t.Errorf("progress %+v, want %+v", last, want)
	}
}
