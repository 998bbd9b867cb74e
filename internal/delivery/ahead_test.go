package delivery

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/journal"
)

// TestRefusedEventsLeaveRoom: more events wait than are read ahead, and more than half of
// those read ahead are refused. The others are delivered all the same, and so are new
// ones.
func TestRefusedEventsLeaveRoom(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"waiting long": 24 * time.Hour, "failing again and again": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const events, refused = 120, 60
				w := newWorld(t)
				w.ahead = 100
				f := w.fake("d")
				w.run(dest(t, "d", func(s *Settings) { s.Retry = slices.Repeat([]time.Duration{wait}, 11) }))
				for i := range events {
					w.edits(fmt.Sprint(i))
				}
				pass(time.Minute)
				same(t, "delivered", len(f.all()), events)
				f.set(func(m *Message) Result {
					if m.Seq <= refused {
						return failing(m)
					}
					return Result{}
				})
				if list, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", From: time.Now().Add(-time.Hour)}); err != nil || list.Count != events {
					t.Fatalf("redelivered %d, %v", list.Count, err)
				}
				pass(20 * time.Second)
				w.edits("new")
				pass(20 * time.Minute)
				same(t, "delivered", len(f.seqs(true)), events+events-refused+1)
			})
		})
	}
}

// TestRoomTakenByAttempts: running attempts take room, so an order to redeliver doesn't
// find room for all that waits. Nothing is left behind, and no later event of a key
// overtakes.
func TestRoomTakenByAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ahead = 10
		f := w.fake("d")
		w.run(dest(t, "d", func(s *Settings) { s.Concurrency = 5 }))
		w.edits("a", "b") // 1 and 2
		pass(time.Minute)
		release := make(chan struct{})
		f.set(func(m *Message) Result {
			if m.Seq >= 3 && m.Seq <= 7 {
				<-release
			}
			return Result{}
		})
		w.edits("c", "d", "e", "f", "g") // 3 to 7
		pass(time.Second)
		w.edits("h", "i", "j", "k", "l") // 8 to 12
		pass(time.Second)
		w.edits("k", "l") // 13 and 14, for which there is no room
		pass(time.Second)
		if err := w.e.giveUpThrough(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		if list, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", From: time.Now().Add(-time.Hour), To: time.Now().Add(-time.Minute)}); err != nil || list.Count != 2 {
			t.Fatalf("redelivered %d, %v", list.Count, err)
		}
		close(release)
		pass(time.Minute)
		got := f.seqs(true)
		for earlier, later := range map[int64]int64{11: 13, 12: 14} {
			if a, b := slices.Index(got, earlier), slices.Index(got, later); a < 0 || b < a {
				t.Errorf("event %d came before %d: %v", later, earlier, got)
			}
		}
		same(t, "delivered", len(got), 16)
	})
}

// TestRedeliveredGoFirst: a redelivered event goes before what waits of its key, also if
// neither it nor the end of an attempt that began before finds room in the window.
func TestRedeliveredGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const last, later = 12, 13
		w := newWorld(t)
		w.ahead = 10
		f := w.fake("d")
		w.run(dest(t, "d", func(s *Settings) { s.Retry = []time.Duration{time.Second, time.Second} }))
		for i := range last {
			w.edits(fmt.Sprint(i))
		}
		pass(time.Minute)
		same(t, "delivered", len(f.all()), last)
		f.set(func(m *Message) Result {
			switch {
			case m.Seq <= last:
				time.Sleep(20 * time.Second)
			case m.Attempt == 1:
				time.Sleep(5 * time.Second)
				return failing(m)
			}
			return Result{}
		})
		w.edits(fmt.Sprint(last - 1)) // later is of the same key as last
		pass(time.Second)
		if list, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", From: time.Now().Add(-time.Hour), To: time.Now().Add(-30 * time.Second)}); err != nil || list.Count != last {
			t.Fatalf("redelivered %d, %v", list.Count, err)
		}
		pass(5 * time.Minute)
		got := f.seqs(true)[last:]
		if a, b := slices.Index(got, last), slices.Index(got, later); a < 0 || b < a || len(got) != last+1 {
			t.Errorf("delivered %v", got)
		}
	})
}

// TestRedeliverDuringAnAttempt: of an attempt that began before the order, only a success
// counts. Otherwise the event is delivered again with a schedule of its own.
func TestRedeliverDuringAnAttempt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		twice   bool // the running attempt is at a redelivered event
		ends    time.Duration
		answer  Result
		further int // attempts after it
	}{
		"fails later":                 {false, 10 * time.Second, failing(nil), 2},
		"fails during the order":      {false, 2500 * time.Millisecond, failing(nil), 2},
		"can't be reached":            {false, 10 * time.Second, vanished(nil), 2},
		"wants no more":               {false, 10 * time.Second, Result{Err: errFails, Answered: true, Pause: true}, 2},
		"succeeds":                    {false, 10 * time.Second, Result{}, 0},
		"of an earlier order, fails":  {true, 10 * time.Second, failing(nil), 2},
		"of an earlier order, during": {true, 2500 * time.Millisecond, failing(nil), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				f := w.fake("d")
				f.set(failing)
				slow := &slowOrders{Journal: w.j}
				w.runOn(slow, dest(t, "d", func(s *Settings) { s.Retry = []time.Duration{10 * time.Second} }))
				w.edits("a")
				pass(time.Second)
				order := Redelivery{Destination: "d", From: time.Now().Add(-time.Minute), To: time.Now()}
				if tt.twice {
					if list, err := w.e.Redeliver(t.Context(), order); err != nil || list.Count != 1 {
						t.Fatalf("%d, %v", list.Count, err)
					}
					pass(time.Second)
				}
				f.set(func(m *Message) Result {
					if m.Object == "other" {
						return Result{}
					}
					time.Sleep(tt.ends)
					return tt.answer
				})
				w.edits("other")
				pass(11 * time.Second) // the last attempt runs, and another event was accepted
				before := len(f.all())
				f.set(func(m *Message) Result {
					if m.Attempt == 1 {
						return failing(m)
					}
					return Result{}
				})
				slow.take(2 * time.Second)
				if list, err := w.e.Redeliver(t.Context(), order); err != nil || list.Count != 1 {
					t.Fatalf("%d, %v", list.Count, err)
				}
				pass(time.Minute)
				got := f.all()[before:]
				if len(got) != 1+tt.further || got[0].attempt != 2 {
					t.Fatalf("%+v", got)
				}
				for i, s := range got[1:] {
					if s.attempt != i+1 || !s.redelivered {
						t.Errorf("attempt %d: %+v", i+1, s)
					}
				}
				if s := w.status("d"); s.State != StateOK || s.Dead != 0 || s.Waiting != 0 || s.Delivered != 2 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// slowOrders is a journal that answers orders to redeliver late.
type slowOrders struct {
	*journal.Journal
	mu    sync.Mutex
	after time.Duration
}

func (s *slowOrders) take(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = d
}

func (s *slowOrders) Redeliver(ctx context.Context, name string, rows []journal.Judged) (int, error) {
	n, err := s.Journal.Redeliver(ctx, name, rows)
	s.mu.Lock()
	wait := s.after
	s.mu.Unlock()
	time.Sleep(wait)
	return n, err
}

// TestReadsAhead: a destination that takes nothing has only a limited number of
// deliveries in memory. All are delivered in the end, also if more than that are
// redelivered.
func TestReadsAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events = 1000
		w := newWorld(t)
		w.ahead = 300
		var group sync.WaitGroup
		for part := range 20 {
			group.Go(func() {
				for i := range events / 20 {
					w.edits(fmt.Sprint(part, "-", i%50))
				}
			})
		}
		group.Wait()
		d := dest(t, "d", func(s *Settings) { s.Concurrency = 64 })
		w.run(d)
		if err := w.e.Pause(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		list, err := w.j.Destinations(t.Context())
		if err != nil || list[0].Waiting != 300 {
			t.Errorf("read ahead %d, %v", list[0].Waiting, err)
		}
		if s := w.status("d"); s.Waiting+s.Delivered != events {
			t.Errorf("%+v", s)
		}
		w.restart(d)
		if err := w.e.Resume(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		for w.status("d").Waiting > 0 {
			pass(time.Second)
		}
		if n := len(w.fake("d").all()); n != events {
			t.Errorf("%d attempts", n)
		}
		if list, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", From: time.Now().Add(-time.Hour)}); err != nil || len(list.Events) != events {
			t.Errorf("redelivered %d, %v", len(list.Events), err)
		}
		for w.status("d").Waiting > 0 {
			pass(time.Second)
		}
		if n := len(w.fake("d").all()); n != 2*events {
			t.Errorf("%d attempts", n)
		}
	})
}
