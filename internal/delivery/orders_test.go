package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/journal"
)

// TestStart: where a destination begins is fixed when its name is first seen.
func TestStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.edits("a")
		time.Sleep(2 * time.Hour)
		w.edits("b")
		time.Sleep(2 * time.Hour)
		at := func(name string, s Start) *Destination { return dest(t, name, func(o *Settings) { o.Start = s }) }
		w.run(at("now", Start{}), at("beginning", Start{Beginning: true}), at("back", Start{Back: 3 * time.Hour}))
		w.edits("c")
		pass(time.Second)
		same(t, "now", w.fake("now").seqs(true), []int64{3})
		same(t, "back", w.delivered("back"), []int64{2, 3})
		same(t, "beginning", w.delivered("beginning"), []int64{1, 2, 3})
		w.restart(at("now", Start{Beginning: true}), at("back", Start{}))
		w.edits("d")
		pass(time.Second)
		same(t, "now, changed", w.fake("now").seqs(true), []int64{3, 4})
		same(t, "removed", len(w.fake("beginning").all()), 3)
	})
}

// TestSet adds, removes, brings back and renames destinations.
func TestSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := dest(t, "a"), dest(t, "b")
		w.run(a)
		w.e.opt.forgetAfter = 7 * time.Hour
		w.fake("a").set(vanished)
		w.edits("u")
		pass(time.Second)
		w.set(b)
		w.logged("a renamed destination is a new one", 1)
		w.fake("a").set(nil)
		w.edits("v")
		pass(time.Hour)
		same(t, "removed", len(w.fake("a").seqs(true)), 0)
		w.set(a, b)
		pass(time.Minute)
		same(t, "back", w.delivered("a"), []int64{1, 2})
		same(t, "b", w.delivered("b"), []int64{1, 2})
		w.logged("destination is back", 1)
		w.set(b)
		pass(6 * time.Hour)
		if list, err := w.j.Destinations(t.Context()); err != nil || len(list) != 2 {
			t.Errorf("before its state is forgotten: %+v, %v", list, err)
		}
		pass(2 * time.Hour)
		if list, err := w.j.Destinations(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("afterwards: %+v, %v", list, err)
		}
	})
}

// TestBackAfterRetention: a destination that comes back finds that retention has removed
// events meanwhile. The log says which. Without such a loss it says nothing of the kind.
func TestBackAfterRetention(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const lost = "retention removed events"
		w := newWorld(t)
		w.end()
		w.opt.Retention, w.opt.MaintainEvery = time.Hour, time.Minute
		w.open()
		d := dest(t, "d")
		w.run(d)
		w.edits("a", "b")
		pass(time.Second)
		w.set()
		w.edits("c", "d", "e")
		w.set(d)
		w.logged(lost, 0)
		pass(time.Second)
		same(t, "delivered", w.delivered("d"), []int64{1, 2, 3, 4, 5})
		w.set()
		w.edits("f", "g", "h") // 6, 7 and 8
		pass(3 * time.Hour)
		w.set(d) // retention keeps the newest event
		pass(time.Second)
		same(t, "delivered", w.delivered("d"), []int64{1, 2, 3, 4, 5, 8})
		w.logged(`"from":6,"through":7,"events":2`, 1)
		w.logged(lost, 1)
	})
}

// TestRemovedGetsNothing: no attempt begins after a destination was removed.
func TestRemovedGetsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run()
		for i := range 50 {
			name := fmt.Sprint("d", i)
			w.set(dest(t, name, func(s *Settings) { s.Start = Start{} }))
			w.set()
			w.edits("a", "b")
			pass(time.Second)
			same(t, name, len(w.fake(name).all()), 0)
		}
	})
}

// TestBackDuringAnAttempt removes a destination and brings it back during an attempt.
// No second attempt runs beside the first, and none follows its success.
func TestBackDuringAnAttempt(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(w *world, d *Destination){
		"at once":         func(w *world, d *Destination) { w.set(d) },
		"after a restart": func(w *world, d *Destination) { w.restart(d) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				d := dest(t, "d")
				f := w.fake("d")
				f.takes = 3 * time.Second
				w.run(d)
				w.edits("a", "b", "a")
				pass(time.Second)
				w.set()
				back(w, d)
				pass(time.Minute)
				same(t, "attempts", w.delivered("d"), []int64{1, 2, 3})
				same(t, "in all", len(f.all()), 3)
			})
		})
	}
}

// TestChangesHoldForWhatWaits: changed settings hold from the next attempt on, but
// changed filters only for events judged later.
func TestChangesHoldForWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.fake("d")
		f.set(vanished)
		w.run(dest(t, "d", func(s *Settings) { s.Retry = []time.Duration{time.Minute, time.Hour} }))
		w.edits("a", "b", "a")
		pass(10 * time.Second)
		var mu sync.Mutex
		var bodies []string
		f.set(func(m *Message) Result {
			mu.Lock()
			defer mu.Unlock()
			bodies = append(bodies, string(m.Body))
			return Result{}
		})
		w.set(dest(t, "d", func(s *Settings) {
			s.Retry, s.Body, s.Events, s.Order = []time.Duration{time.Minute, time.Minute}, "{{.seq}}", []string{"user.deleted"}, OrderAll
		}))
		w.edits("c")
		pass(2 * time.Minute)
		same(t, "bodies", bodies, []string{"1", "2", "3"})
	})
}

func TestSetFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(dest(t, "d"))
		w.e.opt.NewSender = func(*Destination, SenderOptions) (Sender, error) { return nil, errFails }
		if err := w.e.Set(t.Context(), []*Destination{dest(t, "e")}); !errors.Is(err, errFails) {
			t.Errorf("%v", err)
		}
		w.edits("a")
		pass(time.Second)
		same(t, "the old one goes on", w.fake("d").seqs(true), []int64{1})
	})
}

// TestStops: an attempt that ends in time is recorded; one that doesn't is made again.
func TestStops(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		takes time.Duration
		want  []int64
	}{"in time": {3 * time.Second, []int64{1}}, "too late": {10 * time.Second, []int64{1, 1}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				d := dest(t, "d")
				f := w.fake("d")
				f.takes = tt.takes
				w.run(d)
				w.edits("a")
				pass(time.Second)
				start := time.Now()
				w.restart(d)
				if took := time.Since(start); took > 6*time.Second {
					t.Errorf("took %v to stop", took)
				}
				pass(time.Minute)
				same(t, "attempts", f.seqs(false), tt.want)
				list, err := w.j.Deliveries(t.Context(), 1)
				if err != nil || len(list) != 1 || len(list[0].History) != 1 {
					t.Errorf("recorded: %+v, %v", list, err)
				}
			})
		})
	}
}

// unwritable is a journal that can't record until a time.
type unwritable struct {
	*journal.Journal
	mu    sync.Mutex
	until time.Time
}

func (u *unwritable) Attempted(ctx context.Context, name string, o []journal.Outcome, p *journal.Pause) error {
	if u.fails() {
		return journal.ErrUnavailable
	}
	return u.Journal.Attempted(ctx, name, o, p)
}

func (u *unwritable) Advance(ctx context.Context, name string, from, to int64, rows []journal.Judged, o []journal.Outcome, p *journal.Pause) error {
	if u.fails() {
		return journal.ErrUnavailable
	}
	return u.Journal.Advance(ctx, name, from, to, rows, o, p)
}

func (u *unwritable) fails() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return time.Now().Before(u.until)
}

// TestNoAttemptsWhileNothingIsRecorded: while outcomes can't be recorded, attempts
// aren't repeated endlessly.
func TestNoAttemptsWhileNothingIsRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		u := &unwritable{Journal: w.j, until: time.Now().Add(time.Hour)}
		w.runOn(u, dest(t, "d"))
		for i := range 700 {
			w.edits(fmt.Sprint(i % 100))
		}
		pass(50 * time.Minute)
		if n := len(w.fake("d").all()); n == 0 || n > unsavedMax {
			t.Errorf("%d attempts", n)
		}
		pass(20 * time.Minute)
		same(t, "delivered in the end, once each", len(w.fake("d").all()), 700)
		w.logged("outcomes of attempts can't be recorded", 1)
	})
}

// TestClockSetBack: an event that was made due by a clock running ahead waits no longer
// than its schedule says.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := dest(t, "d")
		w.run(d)
		w.fake("d").set(vanished)
		w.edits("a")
		pass(time.Second)
		w.stop()
		ahead := time.Now().Add(10_000 * time.Hour)
		o := journal.Outcome{Seq: 1, At: ahead, Due: ahead.Add(time.Minute), Wait: time.Minute, Error: "x"}
		if err := w.j.Attempted(t.Context(), "d", []journal.Outcome{o}, nil); err != nil {
			t.Fatal(err)
		}
		w.fake("d").set(nil)
		w.run(d)
		pass(30 * time.Second)
		same(t, "too early", len(w.fake("d").seqs(true)), 0)
		pass(31 * time.Second)
		same(t, "delivered", len(w.fake("d").seqs(true)), 1)
	})
}
