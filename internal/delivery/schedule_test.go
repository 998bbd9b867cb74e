package delivery

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// TestSchedule fails every attempt at one event, and lets others pass.
func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.fake("d")
		f.set(func(m *Message) Result {
			if m.Object == "poison" {
				return failing(m)
			}
			return Result{}
		})
		retry := []time.Duration{time.Second, time.Minute, time.Hour}
		w.run(dest(t, "d", func(s *Settings) { s.Retry = retry }))
		w.edits("poison", "good", "poison", "good")
		pass(30 * time.Second)
		same(t, "held back", f.seqs(true), []int64{2, 4})
		pass(2 * time.Hour)
		var at []time.Time
		for _, s := range f.all() {
			if s.seq == 1 {
				at = append(at, s.at)
			}
		}
		if len(at) != 4 {
			t.Fatalf("%d attempts at the poison", len(at))
		}
		for i, wait := range retry {
			if got := at[i+1].Sub(at[i]); got < wait || got > wait+wait/10+time.Second {
				t.Errorf("wait %d is %v, want %v", i, got, wait)
			}
		}
		s := w.status("d")
		if s.Dead != 1 || s.State != StateRetrying || s.Waiting != 1 {
			t.Errorf("%+v", s)
		}
		w.logged("dead letter", 1)
		w.edits("good")
		pass(2 * time.Hour)
		if s := w.status("d"); s.Dead != 2 || s.Waiting != 0 {
			t.Errorf("the second poison began after the first was dead: %+v", s)
		}
		var own []string
		recs, err := w.j.Read(t.Context(), 0, 10)
		for i := range recs {
			if event.IsOwn(recs[i].Event) {
				own = append(own, recs[i].Event)
			}
		}
		if err != nil || len(own) != 2 || own[0] != "kazoohook.dead_letter" {
			t.Errorf("events of dead letters: %v, %v", own, err)
		}
		same(t, "own events don't come by default", len(f.seqs(true)), 3)
	})
}

// TestLongDown: a destination that is down for much longer than its schedule loses
// nothing. No event becomes a dead letter, and a probe notices that it works again.
func TestLongDown(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]Order{"object": OrderObject, "all": OrderAll, "none": OrderNone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				f := w.fake("d")
				f.set(vanished)
				d := dest(t, "d", func(s *Settings) { s.Order = order; s.Retry = []time.Duration{5 * time.Second, 30 * time.Second} })
				w.run(d)
				for i := range 50 {
					w.edits(fmt.Sprint("user", i%20))
				}
				pass(time.Hour)
				s := w.status("d")
				if s.State != StatePaused || s.PausedBy != journal.PausedByBreaker || s.Waiting != 50 || s.Dead != 0 {
					t.Errorf("%+v", s)
				}
				n := len(f.all())
				pass(time.Hour)
				if probes := len(f.all()) - n; probes < 50 || probes > 61 {
					t.Errorf("%d probes in an hour", probes)
				}
				w.restart(d)
				pass(time.Hour)
				if s := w.status("d"); s.State != StatePaused || s.Dead != 0 {
					t.Errorf("after a restart: %+v", s)
				}
				f.set(nil)
				pass(2 * time.Minute)
				if s := w.status("d"); s.State != StateOK || s.Waiting != 0 || s.Dead != 0 || s.Delivered != 50 {
					t.Errorf("back: %+v", s)
				}
				w.logged("destination paused", 1)
				w.logged("destination works again", 1)
			})
		})
	}
}

// TestProbesTakeTurns: each probe takes the next key, and does not count as an attempt.
func TestProbesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.fake("d")
		f.set(vanished)
		w.run(dest(t, "d"))
		w.edits("a", "b", "c", "d", "e", "f", "a", "b")
		pass(time.Hour)
		if s := w.status("d"); s.State != StatePaused {
			t.Fatalf("%+v", s)
		}
		n := len(f.all())
		pass(7 * time.Minute)
		probes := f.all()[n:]
		if len(probes) < 6 {
			t.Fatalf("%d probes", len(probes))
		}
		turn := map[int64]bool{}
		for _, p := range probes[:6] {
			turn[p.seq] = true
		}
		if len(turn) != 6 || turn[7] || turn[8] {
			t.Errorf("six probes took %v", turn)
		}
		list, err := w.j.Deliveries(t.Context(), 1)
		if err != nil || list[0].Attempts > 10 || len(list[0].History) != list[0].Attempts {
			t.Errorf("probes count as attempts: %+v, %v", list, err)
		}
	})
}

// TestPoisonAtTheHead: where all events wait for each other, a refused event becomes a
// dead letter, but not during an outage.
func TestPoisonAtTheHead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.fake("d")
		f.set(func(m *Message) Result {
			if m.Seq == 2 {
				return failing(m)
			}
			return Result{}
		})
		w.run(dest(t, "d", func(s *Settings) {
			s.Order = OrderAll
			for range 11 {
				s.Retry = append(s.Retry, 10*time.Minute)
			}
		}))
		w.edits("a", "b", "c", "d", "e", "f", "g")
		pass(100 * time.Minute) // and ten failures
		same(t, "delivered", f.seqs(true), []int64{1})
		pass(time.Hour)
		same(t, "delivered", f.seqs(true), []int64{1, 3, 4, 5, 6, 7})
		if s := w.status("d"); s.Dead != 1 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestPoisonAfterAnOutage: where all events wait for each other, a refused event becomes
// a dead letter also if the destination was paused meanwhile.
func TestPoisonAfterAnOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]int{"before its last retry": 11, "at its end": 12} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				f := w.fake("d")
				attempts := 0
				f.set(func(m *Message) Result {
					if m.Seq != 2 {
						return Result{}
					}
					f.mu.Lock()
					defer f.mu.Unlock()
					if attempts++; attempts == outage {
						return vanished(m)
					}
					return failing(m)
				})
				w.run(dest(t, "d", func(s *Settings) {
					s.Order = OrderAll
					for range 11 {
						s.Retry = append(s.Retry, 10*time.Minute)
					}
				}))
				w.edits("a", "b", "c", "d", "e", "f", "g")
				pass(3 * time.Hour)
				same(t, "delivered", f.seqs(true), []int64{1, 3, 4, 5, 6, 7})
				if s := w.status("d"); s.State != StateOK || s.Dead != 1 || s.Waiting != 0 {
					t.Errorf("%+v", s)
				}
				list, err := w.j.Deliveries(t.Context(), 2)
				if err != nil || len(list) != 1 || list[0].Attempts != attempts || len(list[0].History) != attempts {
					t.Errorf("an answer counts as an attempt, also to a probe: %+v, %v, want %d", list, err, attempts)
				}
				w.logged("destination paused", 1)
			})
		})
	}
}

// TestOnlyPoison: the only event is refused. It becomes a dead letter only after the
// destination has accepted another event.
func TestOnlyPoison(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.fake("d")
		f.set(func(m *Message) Result {
			if m.Object == "poison" {
				return failing(m)
			}
			return Result{}
		})
		w.run(dest(t, "d", func(s *Settings) { s.Retry = []time.Duration{time.Second} }))
		w.edits("poison")
		pass(time.Hour)
		if s := w.status("d"); s.Dead != 0 || s.State != StatePaused || s.Waiting != 1 {
			t.Errorf("%+v", s)
		}
		w.edits("good")
		pass(5 * time.Minute)
		if s := w.status("d"); s.Dead != 1 || s.PausedBy != journal.NotPaused || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestRetryAfterLengthens(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ asked, want time.Duration }{
		"longer":   {time.Hour, time.Hour},
		"shorter":  {time.Second, time.Minute},
		"too long": {1000 * time.Hour, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				f := w.fake("d")
				f.set(func(m *Message) Result {
					if m.Attempt > 1 {
						return Result{}
					}
					return Result{Err: errFails, Answered: true, RetryAfter: tt.asked}
				})
				w.run(dest(t, "d", func(s *Settings) { s.Retry = []time.Duration{time.Minute} }))
				w.edits("a")
				pass(30 * time.Hour)
				got := f.all()
				if len(got) != 2 {
					t.Fatalf("%+v", got)
				}
				if wait := got[1].at.Sub(got[0].at); wait < tt.want || wait > tt.want+tt.want/10+time.Second {
					t.Errorf("waited %v, want %v", wait, tt.want)
				}
			})
		})
	}
}
