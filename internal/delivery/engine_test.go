package delivery

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/event"
)

func TestDelivers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.edits("a", "b", "a")
		w.run(dest(t, "d"))
		pass(time.Second)
		same(t, "delivered", w.delivered("d"), []int64{1, 2, 3})
		w.edits("c")
		pass(time.Second)
		if got := w.fake("d").all(); len(got) != 4 || got[3].seq != 4 || got[3].attempt != 1 || got[3].redelivered {
			t.Errorf("%+v", got)
		}
		if s := w.status("d"); s.State != StateOK || s.Waiting != 0 || s.Delivered != 4 || s.DeliveredMinute != 4 || s.Dead != 0 || s.LastAt.IsZero() {
			t.Errorf("%+v", s)
		}
		w.restart(dest(t, "d"))
		pass(time.Minute)
		if got := w.fake("d").all(); len(got) != 4 {
			t.Errorf("after a restart: %+v", got)
		}
	})
}

// TestOrder: no attempt at a later event of a key begins before the earlier one has
// succeeded. Other keys go on, up to the concurrency.
func TestOrder(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		order Order
		most  int
	}{"object": {OrderObject, 5}, "all": {OrderAll, 1}, "none": {OrderNone, 8}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				f := w.fake("d")
				f.takes = 50 * time.Millisecond
				fails := map[int64]int{}
				f.set(func(m *Message) Result {
					f.mu.Lock()
					defer f.mu.Unlock()
					if fails[m.Seq]++; m.Seq%7 == 0 && fails[m.Seq] < 3 {
						return failing(m)
					}
					return Result{}
				})
				w.run(dest(t, "d", func(s *Settings) {
					s.Order = tt.order
					s.Retry = []time.Duration{time.Second, time.Second, time.Second}
				}))
				for i := range 100 {
					w.edits(fmt.Sprint("user", i%5))
				}
				pass(10 * time.Minute)
				if f.most != tt.most {
					t.Errorf("%d attempts at once, want %d", f.most, tt.most)
				}
				last := map[int64]int64{}
				for _, seq := range f.seqs(true) {
					key := (seq - 1) % 5
					if tt.order == OrderAll {
						key = 0
					}
					if tt.order != OrderNone && seq <= last[key] {
						t.Errorf("event %d came after %d", seq, last[key])
					}
					last[key] = seq
				}
				same(t, "delivered", len(f.seqs(true)), 100)
			})
		})
	}
}

func TestTemplateFailureIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(dest(t, "d", func(s *Settings) { s.Body = `{{if eq .object_id "bad"}}{{index .data "n" "x"}}{{end}}{{.event}}` }))
		w.edits("bad", "good")
		pass(time.Second)
		same(t, "delivered", w.fake("d").seqs(false), []int64{2})
		dead, err := w.j.DeadLetters(t.Context(), "d", 0, 9)
		if err != nil || len(dead) != 1 || dead[0].Seq != 1 || dead[0].Attempts != 0 || !strings.Contains(dead[0].LastError, "template") {
			t.Errorf("%+v, %v", dead, err)
		}
	})
}

// TestLostEventIsReported: an event that is no longer in the journal becomes a dead
// letter at its attempt, which is reported like any other.
func TestLostEventIsReported(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"it has a row": true, "it has none yet": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var seen Journal = unreadable{w.j, 2}
				d := dest(t, "d", func(s *Settings) { s.Events = []string{"*", "kazoohook.*"} })
				user := "b" + strings.Repeat("x", heldBytes) // its body isn't held in memory
				if restart {
					seen = w.j
					w.fake("d").set(vanished)
					user = "b"
				}
				w.runOn(seen)
				w.edits("a", user)
				w.set(d)
				pass(time.Second)
				if restart {
					w.end()
					w.open()
					w.fake("d").set(nil)
					w.runOn(unreadable{w.j, 2}, d)
				}
				pass(time.Minute)
				same(t, "delivered, with the report", w.delivered("d"), []int64{1, 3})
				recs, err := w.j.Read(t.Context(), 1, 2)
				if err != nil || len(recs) != 2 {
					t.Fatal(len(recs), err)
				}
				report := event.Decode(recs[1])
				body := string(report.Body)
				if report.Event != "kazoohook.dead_letter" || !strings.Contains(body, recs[0].ID) || !strings.Contains(body, recs[0].Event) || !strings.Contains(body, "no longer in the journal") {
					t.Errorf("%s: %s", report.Event, body)
				}
			})
		})
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(dest(t, "d", func(s *Settings) { s.Rate = 2 }))
		for i := range 40 {
			w.edits(fmt.Sprint(i))
		}
		pass(10 * time.Second)
		if n := len(w.fake("d").all()); n < 19 || n > 22 {
			t.Errorf("%d attempts in 10 s at 2 a second", n)
		}
		pass(20 * time.Second)
		if _, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", From: time.Now().Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
		before := len(w.fake("d").all())
		pass(10 * time.Second)
		if n := len(w.fake("d").all()) - before; n < 19 || n > 22 {
			t.Errorf("%d redelivered in 10 s at 2 a second", n)
		}
	})
}
