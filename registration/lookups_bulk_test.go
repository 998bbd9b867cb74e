package registration

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// busyKazoo is an ObjectAPI whose answers take time, in which objects change.
type busyKazoo struct {
	ObjectAPI
	clock    *clock
	takes    time.Duration
	happens  func()
	asked    []string // ids of look-ups
	listings int
}

func (a *busyKazoo) Object(ctx context.Context, account, kind, id string) (crossbar.Object, error) {
	a.asked = append(a.asked, id)
	a.clock.add(a.takes)
	a.happens()
	return a.ObjectAPI.Object(ctx, account, kind, id)
}

func (a *busyKazoo) Objects(ctx context.Context, account, kind string) iter.Seq2[crossbar.Object, error] {
	a.listings++
	a.clock.add(a.takes)
	a.happens()
	return a.ObjectAPI.Objects(ctx, account, kind)
}

// TestBulkOfEditsIsListed: the edits of an import come one after another, faster than
// look-ups are answered. They are listed a few times, and not looked up one by one.
func TestBulkOfEditsIsListed(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	ids := c.seed(t, "acme", 1200)
	c.mustPass(t)
	edited := 0
	edit := func(d time.Duration) {
		for n := int(d / (time.Second / 30)); n > 0 && edited < len(ids); n-- {
			c.live(t, "user", ids[edited], c.AccountID(), event.Edited)
			edited++
		}
	}
	api := &busyKazoo{ObjectAPI: c.api, clock: c.clock, takes: 100 * time.Millisecond}
	api.happens = func() { edit(api.takes) }
	edit(time.Second / 30)
	l := c.lookupsOver(api)
	for rounds := 0; rounds == 0 || c.waiting(t) > 0; rounds++ {
		l.drain(t.Context(), c.AccountID())
		edit(gather)
		c.clock.add(gather)
		if rounds > 300 {
			t.Fatalf("%d objects still wait", c.waiting(t))
		}
	}
	if edited < len(ids) || len(api.asked) > 40 || api.listings > 10 {
		t.Errorf("%d edits led to %d look-ups and %d listings", edited, len(api.asked), api.listings)
	}
}

// TestRoundOfLookUpsEnds: while edits in many accounts come faster than look-ups are
// answered, a round ends in time, and the next one continues where it ended. A deleted
// account doesn't wait for all of them.
func TestRoundOfLookUpsEnds(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"}, Spec{"object", "account", "all"})
	c.opts.IncludeSubaccounts = true
	held := c.seed(t, southAccount, 3)
	c.mustPass(t)
	n := 0
	edit := func() string {
		n++
		id := fmt.Sprintf("%032x", n)
		c.live(t, "user", id, "5ab5"+id[4:], event.Edited)
		return id
	}
	var waited []string
	for range 30 {
		waited = append(waited, edit())
	}
	if err := c.DeleteAccount(southAccount); err != nil {
		t.Fatal(err)
	}
	c.live(t, accountType, southAccount, southAccount, event.Deleted)
	api := &busyKazoo{ObjectAPI: c.api, clock: c.clock, takes: time.Second}
	api.happens = func() {
		if n < 500 {
			edit()
		}
	}
	l := c.lookupsOver(api)
	began := c.clock.now()
	more := l.drain(t.Context(), c.AccountID())
	if took := c.clock.now().Sub(began); !more || took > 2*longestRound+time.Second {
		t.Errorf("a round took %s, more %v", took, more)
	}
	if len(api.asked) == 0 || api.asked[0] != southAccount {
		t.Errorf("asked for %v first", api.asked[:min(1, len(api.asked))])
	}
	c.want(t, "user.deleted", held...)
	for range 4 {
		l.drain(t.Context(), c.AccountID())
	}
	if len(api.asked) <= len(waited) || !slices.Equal(api.asked[1:len(waited)+1], waited) {
		t.Errorf("asked for %d objects, not in the order in which they waited", len(api.asked))
	}
}
