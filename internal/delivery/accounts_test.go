package delivery

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// tree is a fake of Kazoo's account tree.
type tree struct {
	mu    sync.Mutex
	above map[string][]string
	fails bool
	bad   map[string]error // look-ups that fail
	asked []string
}

func (k *tree) Ancestors(_ context.Context, account string) ([]string, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, account)
	if k.fails {
		return nil, false, errFails
	}
	if err := k.bad[account]; err != nil {
		return nil, false, err
	}
	above, ok := k.above[account]
	return above, ok, nil
}

func (k *tree) Accounts(context.Context) iter.Seq2[journal.AccountPlace, error] {
	return func(yield func(journal.AccountPlace, error) bool) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.fails {
			yield(journal.AccountPlace{}, errFails)
			return
		}
		for account, above := range k.above {
			if !yield(journal.AccountPlace{Account: account, Ancestors: above}, nil) {
				return
			}
		}
	}
}

func (k *tree) change(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// TestAccounts: a filter by accounts takes their descendants, also deleted ones and
// ones that were not known at first.
func TestAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := &tree{above: map[string][]string{"r": {"m"}, "sub": {"m", "r"}, "other": {"m"}}}
		w.look = k
		d := dest(t, "d", func(s *Settings) { s.Accounts = []string{"r"} })
		w.run(d)
		pass(time.Second)
		k.change(func() { delete(k.above, "sub") }) // deleted in Kazoo
		w.appendOf("r", "1", event.Edited)
		w.appendOf("sub", "2", event.Edited)
		w.appendOf("other", "3", event.Edited)
		w.appendOf("", "4", event.Edited)
		pass(time.Second)
		same(t, "delivered", w.delivered("d"), []int64{1, 2})
		k.change(func() { k.fails = true; k.above["new"] = []string{"m", "r"} })
		w.appendOf("new", "5", event.Edited)
		w.appendOf("nobody", "6", event.Edited)
		w.appendOf("r", "7", event.Edited)
		pass(5 * time.Minute)
		same(t, "others don't wait", w.fake("d").seqs(true)[2:], []int64{7})
		if s := w.status("d"); s.Waiting != 2 {
			t.Errorf("%+v", s)
		}
		w.restart(d)
		k.change(func() { k.fails = false })
		pass(2 * time.Minute)
		same(t, "looked up", w.fake("d").seqs(true)[3:], []int64{5})
		if s := w.status("d"); s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		w.logged("an event is not delivered: Kazoo doesn't say", 1)
		if n := testutil.ToFloat64(w.e.metrics.unknownAccounts.WithLabelValues("d")); n != 1 {
			t.Errorf("%v events of unknown accounts", n)
		}
		k.change(func() { k.fails = true })
		w.appendOf("never", "8", event.Edited)
		pass(11 * time.Minute)
		if s := w.status("d"); s.Waiting != 0 || len(w.fake("d").seqs(true)) != 4 {
			t.Errorf("after ten minutes: %+v", s)
		}
	})
}

// TestManyWaitForALookUp: after a restart, all events that wait for the look-up of
// their account wait on, however many they are, and are decided by its answer.
func TestManyWaitForALookUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many = 600 // more than are read or decided at once
		w := newWorld(t)
		k := &tree{fails: true, above: map[string][]string{"new": {"m", "r"}}}
		w.look = k
		d := dest(t, "d", func(s *Settings) { s.Accounts = []string{"r"} })
		w.run(d)
		for i := range many {
			w.appendOf("new", fmt.Sprint(i), event.Edited)
		}
		pass(2 * time.Second)
		same(t, "waiting", w.status("d").Waiting, int64(many))
		w.restart(d)
		pass(2 * time.Second)
		same(t, "waiting after a restart", w.status("d").Waiting, int64(many))
		k.change(func() { k.fails = false })
		pass(2 * time.Minute)
		same(t, "delivered", len(w.delivered("d")), many)
		same(t, "waiting in the end", w.status("d").Waiting, int64(0))
	})
}

// TestAccountsRemoved: events that wait for the look-up of their account are for a
// destination whose filter by accounts was removed meanwhile, by a reload or a restart.
func TestAccountsRemoved(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world, d *Destination){
		"by a reload":  func(w *world, d *Destination) { w.set(d) },
		"by a restart": func(w *world, d *Destination) { w.restart(d) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.look = &tree{fails: true}
				w.run(dest(t, "d", func(s *Settings) { s.Accounts = []string{"r"} }))
				w.appendOf("new", "1", event.Edited)
				w.appendOf("new", "2", event.Edited)
				pass(2 * time.Second)
				same(t, "delivered with the filter", len(w.delivered("d")), 0)
				change(w, dest(t, "d"))
				pass(2 * time.Second)
				same(t, "delivered without it", w.delivered("d"), []int64{1, 2})
			})
		})
	}
}

// TestBadAccountsHoldUpNoOthers: look-ups that fail again and again delay neither the
// look-ups of other accounts nor the listing.
func TestBadAccountsHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := &tree{above: map[string][]string{}, bad: map[string]error{}}
		for i := range 20 {
			k.bad[fmt.Sprint("bad", i)] = errFails
		}
		w.look = k
		w.run(dest(t, "d", func(s *Settings) { s.Accounts = []string{"r"} }))
		for bad := range k.bad {
			w.appendOf(bad, "u", event.Edited)
		}
		pass(5 * time.Minute)
		for i := range 5 {
			account := fmt.Sprint("good", i)
			k.change(func() { k.above[account] = []string{"m", "r"} })
			w.appendOf(account, "u", event.Edited)
			pass(time.Second)
			same(t, "delivered", len(w.delivered("d")), i+1)
		}
		k.change(func() { k.above["bad7"] = []string{"m", "r"}; delete(k.bad, "bad7") })
		pass(2 * time.Minute)
		same(t, "looked up again", len(w.delivered("d")), 6)
		if n := len(k.asked); n > 20*20 {
			t.Errorf("Kazoo was asked %d times in seven minutes", n)
		}
	})
}

// TestLookUpsWithoutAnAPI: while Kazoo's API as a whole fails, it is asked now and then,
// however many accounts are to be looked up.
func TestLookUpsWithoutAnAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := &tree{bad: map[string]error{}, above: map[string][]string{}}
		for i := range 100 {
			k.bad[fmt.Sprint("a", i)] = fmt.Errorf("%w: connection refused", ErrNoAPI)
		}
		w.look = k
		w.run(dest(t, "d", func(s *Settings) { s.Accounts = []string{"r"} }))
		pass(time.Second) // the listing shows none of them
		for account := range k.bad {
			w.appendOf(account, "u", event.Edited)
		}
		pass(time.Minute)
		if n := len(k.asked); n < 3 || n > 7 {
			t.Errorf("Kazoo was asked %d times in a minute", n)
		}
		k.change(func() {
			for account := range k.bad {
				k.above[account] = []string{"m", "r"}
			}
			clear(k.bad)
		})
		pass(2 * time.Minute)
		same(t, "delivered in the end", len(w.delivered("d")), 100)
	})
}

// unreadable is a journal that can't read the event with this number.
type unreadable struct {
	*journal.Journal
	seq int64
}

func (u unreadable) Kept(ctx context.Context, seqs []int64) (recs []event.Record, lost []int64, err error) {
	rest := slices.DeleteFunc(slices.Clone(seqs), func(seq int64) bool { return seq == u.seq })
	recs, lost, err = u.Journal.Kept(ctx, rest)
	if len(rest) < len(seqs) {
		lost = append(lost, u.seq)
	}
	return recs, lost, err
}

// TestUnreadableWaitsForALookUp: if an event that waits for the look-up of its account
// can't be read, nobody knows whether it is for the destination. It becomes a dead
// letter, so that it isn't lost silently.
func TestUnreadableWaitsForALookUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.look = &tree{fails: true}
		d := dest(t, "d", func(s *Settings) { s.Accounts = []string{"r"} })
		w.run(d)
		w.appendOf("new", "1", event.Edited)
		w.appendOf("new", "2", event.Edited)
		pass(2 * time.Second)
		w.end()
		w.open()
		w.runOn(unreadable{w.j, 1}, d)
		pass(2 * time.Second)
		if s := w.status("d"); s.Waiting != 1 || s.Dead != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestMovedAccount: an account that is edited is looked up again.
func TestMovedAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := &tree{above: map[string][]string{"a": {"m"}}}
		w.look = k
		w.run(dest(t, "d", func(s *Settings) { s.Accounts = []string{"r"}; s.Events = []string{"user.*"} }))
		pass(time.Second)
		k.change(func() { k.above["a"] = []string{"m", "r"}; k.above["fresh"] = []string{"m", "r"} })
		for account, action := range map[string]event.Action{"a": event.Edited, "fresh": event.Created} {
			r := event.Route(event.Request{
				Source: event.SourceWebhook, ReceivedAt: time.Now(), Hook: "object", HookID: "h", Method: "POST", ContentType: "application/x-www-form-urlencoded",
				Body: fmt.Appendf(nil, "id=%s&account_id=%[1]s&action=%s&type=account", account, action),
			})
			if _, err := w.j.Append(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Second)
		k.change(func() { clear(k.above) })
		w.appendOf("a", "1", event.Edited)
		w.appendOf("fresh", "1", event.Deleted)
		pass(time.Second)
		same(t, "delivered", len(w.fake("d").seqs(true)), 2)
	})
}

func TestFilters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(
			dest(t, "where", func(s *Settings) { s.Where = `object_id == "b"` }),
			dest(t, "events", func(s *Settings) { s.Events = []string{"*.created"} }),
			dest(t, "fails", func(s *Settings) { s.Where = `event == "user.edited" && data.n.x.y == 1` }),
			dest(t, "nobody", func(s *Settings) { s.Accounts = []string{"elsewhere"} }),
		)
		w.append("a", event.Created)
		w.edits("a", "b")
		pass(time.Second)
		for name, want := range map[string][]int64{"where": {3}, "events": {1}, "fails": {2, 3}, "nobody": nil} {
			same(t, name, w.delivered(name), want)
		}
		w.logged("a filter failed", 2)
	})
}

// TestMetricsOfDestinations lints the metrics and compares them with what was done.
func TestMetricsOfDestinations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fake("bad").set(failing)
		w.run(dest(t, "d"), dest(t, "bad"))
		w.edits("a", "b")
		pass(time.Second)
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(w.e.Collectors()...)
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("%+v, %v", problems, err)
		}
		want := `
# HELP kazoohook_destination_waiting_events Events that wait for the destination, those included whose filters were not evaluated yet.
# TYPE kazoohook_destination_waiting_events gauge
kazoohook_destination_waiting_events{destination="bad"} 2
kazoohook_destination_waiting_events{destination="d"} 0
# HELP kazoohook_destination_attempts_total Attempts to deliver an event, by destination and outcome: delivered, failed, or probe_failed while it is paused.
# TYPE kazoohook_destination_attempts_total counter
kazoohook_destination_attempts_total{destination="bad",outcome="delivered"} 0
kazoohook_destination_attempts_total{destination="bad",outcome="failed"} 2
kazoohook_destination_attempts_total{destination="bad",outcome="probe_failed"} 0
kazoohook_destination_attempts_total{destination="d",outcome="delivered"} 2
kazoohook_destination_attempts_total{destination="d",outcome="failed"} 0
kazoohook_destination_attempts_total{destination="d",outcome="probe_failed"} 0
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "kazoohook_destination_waiting_events", "kazoohook_destination_attempts_total"); err != nil {
			t.Error(err)
		}
		w.set(dest(t, "d"))
		pass(time.Second)
		if n, err := testutil.GatherAndCount(reg, "kazoohook_destination_attempts_total"); err != nil || n != 3 {
			t.Errorf("%d series after a removal, %v", n, err)
		}
	})
}
