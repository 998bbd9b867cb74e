package delivery

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/journal"
)

// slow is a journal whose writes fail after five seconds, as without a quorum.
type slow struct{ *journal.Journal }

func (slow) fail(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Second):
		return journal.ErrNoQuorum
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slow) Judge(ctx context.Context, _ string, _, _ int64, _ []journal.Judged) error {
	return s.fail(ctx)
}

func (s slow) Advance(ctx context.Context, _ string, _, _ int64, _ []journal.Judged, _ []journal.Outcome, _ *journal.Pause) error {
	return s.fail(ctx)
}

func (s slow) Attempted(ctx context.Context, _ string, _ []journal.Outcome, _ *journal.Pause) error {
	return s.fail(ctx)
}

// TestStopWithoutQuorum: a stop ends in time, whatever is being written meanwhile.
func TestStopWithoutQuorum(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(*Message) Result
		takes  time.Duration
	}{"it hangs": {nil, time.Hour}, "it takes all": {nil, time.Millisecond}, "it is away": {vanished, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for after := time.Millisecond; after < 10*time.Second; after *= 2 {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.fake("d").takes = c.takes
					w.fake("d").set(c.answer)
					w.runOn(slow{w.j}, dest(t, "d"))
					w.edits("a", "b", "c")
					pass(after)
					begin := time.Now()
					w.stop()
					if took := time.Since(begin); took > w.e.opt.Grace+lastSave {
						t.Errorf("a stop after %s took %s", after, took)
					}
				})
			}
		})
	}
}

// state returns what the journal holds of the destination d.
func (w *world) state() journal.DestinationState {
	w.t.Helper()
	list, err := w.j.Destinations(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range list {
		if d.Name == "d" {
			return d
		}
	}
	w.t.Fatal("no destination d")
	return journal.DestinationState{}
}

// TestAtOnceWithoutRow: an event that is delivered at once needs no row, and several
// share a command. Its attempt is kept.
func TestAtOnceWithoutRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 500 {
			w.edits(fmt.Sprint(i))
		}
		seen := w.watch(dest(t, "d"))
		pass(time.Second)
		same(t, "delivered", len(w.delivered("d")), 500)
		if rows, calls := seen.made(); rows != 0 || calls > 20 {
			t.Errorf("%d rows, %d commands", rows, calls)
		}
		if d := w.state(); d.Cursor != 500 || d.Waiting != 0 || d.Accepted != 500 {
			t.Errorf("%+v", d)
		}
		list, err := w.j.Deliveries(t.Context(), 500)
		if err != nil || len(list) != 1 || list[0].State != journal.Delivered || len(list[0].History) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// TestRowOfWhatWaits: an event gets a row when it fails, when a later one of its key
// must wait, or when its attempt takes long. Meanwhile the others are recorded.
func TestRowOfWhatWaits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(m *Message) Result
		after  time.Duration
		want   journal.DestinationState // Cursor, Waiting, Accepted, Oldest
	}{
		"one fails":            {func(m *Message) Result { return fails(m, 3) }, 100 * time.Millisecond, journal.DestinationState{Cursor: 10, Waiting: 1, Accepted: 9, Oldest: 3}},
		"the last takes long":  {func(m *Message) Result { return waits(m, 10) }, 900 * time.Millisecond, journal.DestinationState{Cursor: 9, Accepted: 9}},
		"and longer":           {func(m *Message) Result { return waits(m, 10) }, 1200 * time.Millisecond, journal.DestinationState{Cursor: 10, Waiting: 1, Accepted: 9, Oldest: 10}},
		"the third takes long": {func(m *Message) Result { return waits(m, 3) }, 100 * time.Millisecond, journal.DestinationState{Cursor: 10, Waiting: 1, Accepted: 9, Oldest: 3}},
		"all fail":             {failing, 100 * time.Millisecond, journal.DestinationState{Cursor: 10, Waiting: 10, Oldest: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for i := range 10 {
					w.edits(fmt.Sprint(i))
				}
				w.fake("d").set(tt.answer)
				w.run(dest(t, "d", func(s *Settings) { s.Concurrency = 16 }))
				pass(tt.after)
				got := w.state()
				same(t, "state", journal.DestinationState{Cursor: got.Cursor, Waiting: got.Waiting, Accepted: got.Accepted, Oldest: got.Oldest}, tt.want)
				if s := w.status("d"); s.Waiting != 10-tt.want.Accepted {
					t.Errorf("waiting %d", s.Waiting)
				}
				w.fake("d").set(nil)
				pass(time.Hour)
				same(t, "delivered in the end", len(w.delivered("d")), 10)
				same(t, "nothing waits", w.state().Waiting, int64(0))
			})
		})
	}
}

func fails(m *Message, seq int64) Result {
	if m.Seq == seq {
		return failing(m)
	}
	return Result{}
}

func waits(m *Message, seq int64) Result {
	if m.Seq == seq {
		time.Sleep(time.Minute)
	}
	return Result{}
}

// TestLoadWhileJudging: what is judged goes to the window by one way. Until judge has put
// it there or left it to load, load doesn't read it.
func TestLoadWhileJudging(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edits("a", "b")
	w.run()
	w.stop() // nothing runs beside this test
	w.set(dest(t, "d"))
	r := w.e.runner("d")
	ctx := t.Context()
	recs, err := w.j.Read(ctx, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	rows, _ := r.evaluate(r.dest, recs)
	if err := r.moveTo(ctx, 2, rows); err != nil {
		t.Fatal(err)
	}
	if err := r.load(ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(r.w.items); n != 0 {
		t.Errorf("%d events are in the window before judge has put them there", n)
	}
}

// TestKilledBeforeRecorded kills a process at several moments. The next process doesn't
// repeat attempts that were recorded, and makes all others.
func TestKilledBeforeRecorded(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, time.Millisecond, 8 * time.Millisecond, 40 * time.Millisecond, time.Second, 2 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for i := range 40 {
					w.edits(fmt.Sprint(i % 20)) // two of each
				}
				f := w.fake("d")
				f.takes = 7 * time.Millisecond
				f.set(func(m *Message) Result {
					if m.Seq%5 == 0 {
						time.Sleep(10 * time.Second)
					}
					return Result{}
				})
				w.run(dest(t, "d"))
				pass(after)
				// The next process finds what is on disk now.
				next := newWorld(t)
				if err := next.j.Close(); err != nil {
					t.Fatal(err)
				}
				if err := os.RemoveAll(next.dir); err != nil {
					t.Fatal(err)
				}
				if err := os.CopyFS(next.dir, os.DirFS(w.dir)); err != nil {
					t.Fatal(err)
				}
				next.open()
				recorded := map[int64]bool{}
				for seq := int64(1); seq <= 40; seq++ {
					list, err := next.j.Deliveries(t.Context(), seq)
					if err != nil {
						t.Fatal(err)
					}
					recorded[seq] = len(list) == 1 && list[0].State == journal.Delivered
				}
				next.run(dest(t, "d"))
				pass(time.Minute)
				again := map[int64]bool{}
				for _, seq := range next.fake("d").seqs(true) {
					again[seq] = true
				}
				for seq := int64(1); seq <= 40; seq++ {
					if again[seq] == recorded[seq] {
						t.Errorf("event %d: recorded %t, delivered by the next process %t", seq, recorded[seq], again[seq])
					}
				}
				same(t, "nothing waits", next.state().Waiting, int64(0))
			})
		})
	}
}

// TestRedeliverWhatHasNoRow: an event can be redelivered right after its delivery.
func TestRedeliverWhatHasNoRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.edits("a", "b")
		w.fake("d").set(func(m *Message) Result { return waits(m, 1) })
		w.run(dest(t, "d"))
		pass(time.Millisecond) // nothing is recorded yet
		same(t, "cursor", w.state().Cursor, int64(0))
		recs, err := w.j.Read(t.Context(), 0, 2)
		if err != nil {
			t.Fatal(err)
		}
		list, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", EventID: recs[1].ID})
		if err != nil || list.Count != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		pass(time.Minute)
		got := w.fake("d").seqs(true)
		if len(got) != 3 || got[0] != 2 || got[1] != 2 || got[2] != 1 {
			t.Errorf("delivered %v, want 2, 2, 1", got)
		}
	})
}
