package registration

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
	"kazoohook/internal/snapshot"
)

// TestRestoredAndDeletedAgain: a user is restored, which Kazoo reports by an edit only,
// and deleted again between two comparisons.
func TestRestoredAndDeletedAgain(t *testing.T) {
	t.Parallel()
	for name, answered := range map[string]bool{"look-up answered": true, "API away": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newComparison(t)
			id := c.seed(t, "acme", 1)[0]
			c.mustPass(t)
			for range 3 {
				c.deleteAll(t, []string{id})
				c.live(t, "user", id, c.AccountID(), event.Deleted)
				if err := c.Undelete(id); err != nil {
					t.Fatal(err)
				}
				c.hidden(t, id, event.Edited)
				if answered {
					c.lookUp(t)
				} else {
					c.clock.add(61 * time.Second)
				}
			}
			c.lookUp(t)
			if o := c.known(t, "user", c.AccountID(), id); o.State != snapshot.Alive {
				t.Errorf("%+v", o)
			}
			c.mustPass(t)
			c.deleteAll(t, []string{id})
			c.mustPass(t)
			c.want(t, "user.deleted", id, id, id, id)
		})
	}
}

// TestDeletionRecoveredAfterTheReturn: a deletion is recovered after its object was
// restored. If the clock of a Kazoo node is wrong, it may be the known deletion or
// another one. Kazoo is asked until it answers.
func TestDeletionRecoveredAfterTheReturn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		again  bool          // the object was deleted again
		at     time.Duration // the recovered firing's time
		away   bool          // the API fails at first
		listed bool          // a comparison runs meanwhile
	}{
		"the known one, fast clock":                 {at: 0},
		"the known one, slow clock":                 {at: -50 * time.Minute},
		"the known one, API away":                   {at: 0, away: true},
		"another one":                               {again: true, at: -time.Minute},
		"another one, slow clock":                   {again: true, at: -50 * time.Minute},
		"another one, API away":                     {again: true, at: -time.Minute, away: true},
		"another one, found by a comparison":        {again: true, at: -time.Minute, away: true, listed: true},
		"the known one, and a comparison meanwhile": {at: 0, away: true, listed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newComparison(t)
			id := c.seed(t, "acme", 1)[0]
			c.mustPass(t)
			c.deleteAll(t, []string{id})
			c.live(t, "user", id, c.AccountID(), event.Deleted)
			if err := c.Undelete(id); err != nil {
				t.Fatal(err)
			}
			c.clock.add(5 * time.Minute)
			c.hidden(t, id, event.Edited)
			c.lookUp(t)
			c.clock.add(10 * time.Minute)
			want := []string{id}
			if test.again {
				c.deleteAll(t, want)
				want = append(want, id)
			}
			if got := c.recovered(t, id, test.at); !got.Duplicate {
				t.Error("reported before Kazoo was asked")
			}
			if test.away {
				c.lookupsOver(&troubled{ObjectAPI: c.api, err: errDown}).drain(t.Context(), c.AccountID())
			}
			if test.listed {
				c.mustPass(t)
			}
			c.lookUp(t)
			if o := c.known(t, "user", c.AccountID(), id); (o.State == snapshot.Deleted) != test.again || o.Look != 0 {
				t.Errorf("%+v", o)
			}
			c.mustPass(t)
			c.want(t, "user.deleted", want...)
		})
	}
}

// recovered appends a user's deletion that Kazoo could not deliver, as read from its
// record.
func (c *comparison) recovered(t *testing.T, id string, at time.Duration) event.Appended {
	t.Helper()
	end := c.clock.now().Add(at).UTC()
	got, err := c.j.Append(t.Context(), event.Route(event.Request{
		Source: event.SourceRecovered, ReceivedAt: end, Hook: "object", HookID: "h1",
		Method: "POST", ContentType: "application/x-www-form-urlencoded",
		Body:   fmt.Appendf(nil, "id=%s&account_id=%s&action=doc_deleted&type=user", id, c.AccountID()),
		Firing: event.Firing{ID: "f", First: end.Add(-4 * time.Second), Last: end, End: event.FiringUnanswered, Tries: 3},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestCreationAfterTheDeletion: a creation arrives late, while the API is down.
func TestCreationAfterTheDeletion(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	c.mustPass(t)
	id := c.create(t, fakekazoo.User{})
	c.deleteAll(t, []string{id})
	c.live(t, "user", id, c.AccountID(), event.Deleted)
	c.clock.add(2 * time.Minute)
	c.live(t, "user", id, c.AccountID(), event.Created)
	c.lookupsOver(&troubled{ObjectAPI: c.api, err: errDown}).drain(t.Context(), c.AccountID())
	c.clock.add(time.Hour)
	c.mustPass(t)
	c.lookUp(t)
	c.mustPass(t)
	c.want(t, "user.deleted", id)
	c.want(t, "user.created", id)
}

// TestRestoredIsReported: a restored object is a creation, if edits aren't watched.
func TestRestoredIsReported(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "doc_deleted"}, Spec{"object", "user", "doc_created"})
	id := c.seed(t, "acme", 1)[0]
	c.mustPass(t)
	c.deleteAll(t, []string{id})
	c.live(t, "user", id, c.AccountID(), event.Deleted)
	if err := c.Undelete(id); err != nil {
		t.Fatal(err)
	}
	c.hidden(t, id, event.Edited)
	c.lookUp(t)
	c.mustPass(t)
	c.want(t, "user.created", id)
	c.want(t, "user.deleted", id)
}

// TestRestoredIsReportedOnce: edits are watched, so an edit reports that a user was
// restored. Only if its request is missed, a comparison reports a creation.
func TestRestoredIsReportedOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before, during bool // when the edit comes: before the comparison, or after its listing
		lookUp         bool // the look-up comes before the comparison
		created        int
	}{
		"look-up, comparison":    {before: true, lookUp: true},
		"comparison, look-up":    {before: true},
		"edit after the listing": {during: true},
		"the edit is missed":     {created: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newComparison(t, Spec{"object", "user", "all"})
			id := c.seed(t, "acme", 3)[0]
			c.mustPass(t)
			c.deleteAll(t, []string{id})
			c.live(t, "user", id, c.AccountID(), event.Deleted)
			if err := c.Undelete(id); err != nil {
				t.Fatal(err)
			}
			edit := sync.OnceFunc(func() { c.live(t, "user", id, c.AccountID(), event.Edited) })
			if tc.before {
				edit()
			}
			if tc.lookUp {
				c.lookUp(t)
			}
			if _, err := c.pass(t, Request{Progress: func(Progress) { // the listing is stored
				if tc.during {
					edit()
				}
			}}); err != nil {
				t.Error(err)
			}
			c.lookUp(t)
			c.mustPass(t)
			c.want(t, "user.created", slices.Repeat([]string{id}, tc.created)...)
		})
	}
}

// intruder is a journal that calls f once, after an object was read.
type intruder struct {
	*journal.Journal
	f func()
}

func (i *intruder) Object(ctx context.Context, typ, account, id string) (snapshot.Object, bool, error) {
	o, ok, err := i.Journal.Object(ctx, typ, account, id)
	if f := i.f; f != nil && typ == "user" {
		i.f = nil
		f()
	}
	return o, ok, err
}

// TestEditBetweenSnapshotAndKazoo: the edit that restores a user arrives after the user
// was read from the snapshot and before Kazoo is asked. The answer is not used.
func TestEditBetweenSnapshotAndKazoo(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	id := c.seed(t, "acme", 3)[0]
	c.mustPass(t)
	c.deleteAll(t, []string{id})
	c.live(t, "user", id, c.AccountID(), event.Deleted)
	if err := c.Undelete(id); err != nil {
		t.Fatal(err)
	}
	c.store = &intruder{c.j, func() { c.live(t, "user", id, c.AccountID(), event.Edited) }}
	c.mustPass(t)
	c.store = c.j
	c.lookUp(t)
	c.mustPass(t)
	c.want(t, "user.created")
}

// TestPromptsOfTwoAccounts: media prompts of two accounts have the same id.
func TestPromptsOfTwoAccounts(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "media", "all"})
	c.opts.IncludeSubaccounts = true
	c.mustPass(t)
	const prompt = "en-us/vm-enter_pass"
	for _, account := range []string{c.AccountID(), southAccount} {
		if got := c.live(t, "media", prompt, account, event.Created); got.Duplicate {
			t.Errorf("the prompt of %s is taken for another account's", account)
		}
	}
	c.live(t, "media", prompt, southAccount, event.Deleted)
	if o := c.known(t, "media", c.AccountID(), prompt); o.State != snapshot.Alive {
		t.Errorf("deleted with another account's: %+v", o)
	}
	c.mustPass(t) // neither prompt exists
	c.want(t, "media.deleted", prompt, prompt)
}
