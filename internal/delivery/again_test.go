package delivery

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// watched is a journal that counts what is made durable.
type watched struct {
	*journal.Journal
	mu    sync.Mutex
	rows  int // rows that were written
	calls int
	after error  // the next calls return it although they are carried out
	fails int    // how many calls do
	done  func() // called after each call; nil: nothing
}

func (w *watched) note(rows int, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done != nil {
		w.done()
	}
	if err == nil {
		w.rows += rows
	}
	w.calls++
	if w.fails > 0 && err == nil {
		w.fails--
		return w.after
	}
	return err
}

func (w *watched) Judge(ctx context.Context, name string, from, to int64, rows []journal.Judged) error {
	return w.note(len(rows), w.Journal.Judge(ctx, name, from, to, rows))
}

func (w *watched) Advance(ctx context.Context, name string, from, to int64, rows []journal.Judged, o []journal.Outcome, p *journal.Pause) error {
	return w.note(len(rows), w.Journal.Advance(ctx, name, from, to, rows, o, p))
}

func (w *watched) Attempted(ctx context.Context, name string, o []journal.Outcome, p *journal.Pause) error {
	return w.note(0, w.Journal.Attempted(ctx, name, o, p))
}

func (w *watched) Decide(ctx context.Context, name string, match, drop []int64) error {
	return w.note(0, w.Journal.Decide(ctx, name, match, drop))
}

func (w *watched) SetPause(ctx context.Context, name string, p journal.Pause) error {
	return w.note(0, w.Journal.SetPause(ctx, name, p))
}

func (w *watched) Redeliver(ctx context.Context, name string, rows []journal.Judged) (int, error) {
	n, err := w.Journal.Redeliver(ctx, name, rows)
	return n, w.note(0, err)
}

func (w *watched) GiveUp(ctx context.Context, through int64, reason string) (int, error) {
	n, err := w.Journal.GiveUp(ctx, through, reason)
	return n, w.note(0, err)
}

// failing lets the next calls return an error although they are carried out.
func (w *watched) failing(calls int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.after, w.fails = journal.ErrUnavailable, calls
}

// whenCalled calls f after each further call.
func (w *watched) whenCalled(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = f
}

func (w *watched) made() (rows, calls int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rows, w.calls
}

// watch runs the destinations with a watched journal.
func (w *world) watch(list ...*Destination) *watched {
	w.t.Helper()
	seen := &watched{Journal: w.j}
	w.runOn(seen, list...)
	return seen
}

// TestRecordedThoughItSeemedToFail: a command may be carried out although it returned
// an error. Then no event is delivered twice, and each is delivered.
func TestRecordedThoughItSeemedToFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		seen := w.watch(dest(t, "d"))
		for i := range 200 {
			seen.failing(i % 3)
			w.edits(fmt.Sprint(i%7), fmt.Sprint(i))
			if i%50 == 0 {
				w.fake("d").set(failing)
				pass(time.Second)
				w.fake("d").set(nil)
			}
			pass(20 * time.Millisecond)
		}
		pass(20 * time.Minute)
		same(t, "delivered", len(w.delivered("d")), 400)
		d := w.state()
		same(t, "state", journal.DestinationState{Cursor: d.Cursor, Waiting: d.Waiting, Accepted: d.Accepted}, journal.DestinationState{Cursor: 400, Accepted: 400})
		attempts := map[int64]int{}
		for _, seq := range w.fake("d").seqs(false) {
			attempts[seq]++
		}
		for seq, n := range attempts {
			list, err := w.j.Deliveries(t.Context(), seq)
			if err != nil || len(list) != 1 || len(list[0].History) != n {
				t.Errorf("event %d had %d attempts: %+v, %v", seq, n, list, err)
			}
		}
		w.restart(dest(t, "d"))
		pass(time.Minute)
		same(t, "delivered after a restart", len(w.delivered("d")), 400)
	})
}

// TestGivenUpThoughItSeemedToFail: events that were given up are not attempted, although
// the command returned an error.
func TestGivenUpThoughItSeemedToFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		seen := w.watch(dest(t, "d"))
		if err := w.e.Pause(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		w.edits("a", "b", "c")
		pass(2 * time.Second) // they have rows
		seen.failing(1)
		if err := w.e.giveUpThrough(t.Context(), 2); err == nil {
			t.Error("it didn't fail")
		}
		if err := w.e.Resume(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		same(t, "delivered", w.delivered("d"), []int64{3})
		same(t, "dead", w.status("d").Dead, int64(2))
	})
}

// TestDecidedThoughItSeemedToFail: what is decided about events after the look-up of
// their accounts is decided once, although the command returned an error.
func TestDecidedThoughItSeemedToFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := &tree{fails: true, above: map[string][]string{"in": {"m", "r"}, "out": {"m"}}}
		w.look = k
		seen := w.watch(dest(t, "d", func(s *Settings) { s.Accounts = []string{"r"} }))
		w.appendOf("in", "1", event.Edited)
		w.appendOf("out", "2", event.Edited)
		pass(2 * time.Second)
		seen.failing(2)
		k.change(func() { k.fails = false })
		pass(5 * time.Minute)
		same(t, "delivered", w.fake("d").seqs(false), []int64{1})
		same(t, "waiting", w.status("d").Waiting, int64(0))
	})
}

// TestFailedThoughItSeemedToFail: an attempt counts once in the schedule, however often
// its outcome is recorded.
func TestFailedThoughItSeemedToFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fake("d").set(failing)
		d := dest(t, "d")
		seen := w.watch(d)
		seen.failing(2)
		w.edits("a")
		pass(4 * time.Second) // one attempt; its outcome is recorded twice or more
		for attempts := 1; attempts < 4; attempts++ {
			same(t, "attempts made", len(w.fake("d").all()), attempts)
			list, err := w.j.Deliveries(t.Context(), 1)
			if err != nil || len(list) != 1 || list[0].Attempts != attempts || len(list[0].History) != attempts {
				t.Errorf("%d attempts: %+v, %v", attempts, list, err)
			}
			seen.failing(2)
			pass([]time.Duration{5 * time.Second, 40 * time.Second, 3 * time.Minute}[attempts-1])
		}
		w.restart(d)
		pass(20 * time.Minute)
		got := w.fake("d").all()
		if n := len(got); got[n-1].attempt != n {
			t.Errorf("attempt %d says it is the %d.", n, got[n-1].attempt)
		}
	})
}
