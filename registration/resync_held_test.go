package registration

import (
	"errors"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
)

// heldBack returns a comparison that has held back the deletion of the first six of
// twenty users; do runs it again.
func heldBack(t *testing.T) (c *comparison, r *Resyncer, do func(Request) (Report, error), ids []string) {
	t.Helper()
	c = newComparison(t)
	c.opts.MaxDeletions = 2
	ids = c.seed(t, "acme", 20)
	c.mustPass(t)
	c.deleteAll(t, ids[:6])
	r = NewResyncer(c.api, c.store, c.opts)
	do = func(q Request) (Report, error) {
		c.clock.add(time.Hour)
		return r.Run(t.Context(), c.AccountID(), q)
	}
	if rep, err := do(Request{}); err != nil || !rep.Held {
		t.Fatalf("%+v, %v", rep, err)
	}
	return c, r, do, ids
}

// TestConfirmByName: a person confirms the deletions that were shown. Later deletions
// still count towards the limit.
func TestConfirmByName(t *testing.T) {
	t.Parallel()
	for name, since := range map[string]struct {
		deleted int
		held    bool
	}{"those alone": {0, false}, "and as many as need no confirmation": {2, false}, "and more": {3, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, r, do, ids := heldBack(t)
			held := r.Held()
			if held.ID == "" || len(held.Objects) != 6 || held.Limit != 2 || held.Since.IsZero() || held.Objects[0].Name == "" {
				t.Fatalf("held back: %+v", held)
			}
			c.deleteAll(t, ids[6:6+since.deleted])
			rep, err := do(Request{Confirm: true, Held: held.ID})
			if err != nil || rep.Held != since.held {
				t.Fatalf("%+v, %v", rep, err)
			}
			if since.held {
				c.want(t, "user.deleted")
				if now := r.Held(); now.ID == held.ID || len(now.Objects) != 9 {
					t.Errorf("held back now: %+v", now)
				}
				return
			}
			c.want(t, "user.deleted", ids[:6+since.deleted]...)
			if now := r.Held(); now.ID != "" || len(now.Objects) != 0 {
				t.Errorf("still held back: %+v", now)
			}
		})
	}
}

// TestConfirmWhatChanged: a confirmation of a list does nothing if another list is held
// back now.
func TestConfirmWhatChanged(t *testing.T) {
	t.Parallel()
	c, r, do, ids := heldBack(t)
	old := r.Held().ID
	if rep, err := do(Request{DryRun: true}); err != nil || r.Held().ID != old {
		t.Errorf("a dry run changed what is held back: %+v, %v", rep, err)
	}
	c.deleteAll(t, ids[6:7])
	if _, err := do(Request{}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{old, "nonsense"} {
		if _, err := do(Request{Confirm: true, Held: id}); !errors.Is(err, ErrHeldChanged) {
			t.Errorf("%q: %v", id, err)
		}
	}
	c.want(t, "user.deleted")
	// Another person has confirmed everything meanwhile.
	if _, err := do(Request{Confirm: true}); err != nil {
		t.Fatal(err)
	}
	c.want(t, "user.deleted", ids[:7]...)
	if _, err := do(Request{Confirm: true, Held: old}); !errors.Is(err, ErrHeldChanged) {
		t.Errorf("confirmed twice: %v", err)
	}
}

// TestConfirmedButThere: a confirmation is no proof. An existing user is not reported,
// and after a failed run the rest is still held back.
func TestConfirmedButThere(t *testing.T) {
	t.Parallel()
	c, r, do, ids := heldBack(t)
	id := r.Held().ID
	c.live(t, "user", ids[0], c.AccountID(), event.Edited) // a webhook shows it alive
	if _, err := c.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Op: "users.get", Status: 403}); err != nil {
		t.Fatal(err)
	}
	if rep, err := do(Request{Confirm: true, Held: id}); err == nil || len(rep.Deleted) != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	c.ClearFaults()
	if r.Held().ID != id {
		t.Error("a run that failed forgot what is held back")
	}
	c.want(t, "user.deleted")
}
