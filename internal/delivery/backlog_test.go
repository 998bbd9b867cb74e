package delivery

import (
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// TestBacklogMax: an event that can't be kept becomes a dead letter without a body.
func TestBacklogMax(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.end()
		w.opt.Retention, w.opt.BacklogAge, w.opt.MaintainEvery = time.Hour, 5*time.Hour, time.Minute
		w.open()
		w.run(dest(t, "d", func(s *Settings) { s.Events = []string{"user.deleted"} }))
		if err := w.e.Pause(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		w.append("a", event.Deleted)
		w.append("b", event.Edited)
		w.append("c", event.Deleted)
		time.Sleep(3 * time.Hour)
		w.append("d", event.Deleted)
		pass(time.Hour)
		if s := w.status("d"); s.Waiting != 3 || s.Dead != 0 {
			t.Errorf("%+v", s)
		}
		pass(90 * time.Minute)
		w.append("e", event.Edited)
		pass(time.Second)
		if s := w.status("d"); s.Waiting != 1 || s.Dead != 2 {
			t.Errorf("after five hours: %+v", s)
		}
		w.logged("dead letters without a body", 1)
		list, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", Dead: true})
		if err != nil || len(list.Events) != 2 || list.Events[0].Skipped == "" {
			t.Errorf("%+v, %v", list, err)
		}
		if err := w.e.Resume(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		same(t, "delivered", w.fake("d").seqs(true), []int64{4})
		if n, err := w.e.Discard(t.Context(), Discarding{Destination: "d"}); err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestBacklogMaxOfNow: an engine gives up only what is too much while it runs. What was
// too much before, as on a node that didn't lead, has been delivered since.
func TestBacklogMaxOfNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.end()
		w.opt.Retention, w.opt.BacklogBytes, w.opt.MaintainEvery = time.Hour, 2500, time.Minute
		w.open()
		d := dest(t, "d")
		w.run(d)
		if err := w.e.Pause(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		w.edits("a", "b", "c", "d", "e")
		pass(time.Second)
		w.stop()
		pass(3 * time.Hour)
		w.edits("f")
		pass(time.Hour)
		if b, err := w.j.Backlog(t.Context()); err != nil || b.Bytes <= w.opt.BacklogBytes {
			t.Fatalf("%+v, %v", b, err)
		}
		outcomes := []journal.Outcome{{Seq: 1, Dead: true, At: time.Now(), Attempts: 1, Error: "poison"}}
		for seq := int64(2); seq <= 5; seq++ {
			outcomes = append(outcomes, journal.Outcome{Seq: seq, Delivered: true, At: time.Now()})
		}
		if err := w.j.Attempted(t.Context(), "d", outcomes, nil); err != nil {
			t.Fatal(err)
		}
		w.run(d)
		pass(time.Second)
		w.logged("dead letters without a body", 0)
		list, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", Dead: true, DryRun: true})
		if err != nil || list.Count != 1 || list.Events[0].Skipped != "" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
