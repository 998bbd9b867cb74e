package delivery

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/journal"
)

// TestGone: HTTP 410 pauses the destination until a person resumes it.
func TestGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.fake("d")
		f.set(func(*Message) Result { return Result{Err: errFails, Answered: true, Pause: true} })
		d := dest(t, "d")
		w.run(d)
		w.edits("a")
		pass(2 * time.Hour)
		same(t, "attempts", len(f.all()), 1)
		if s := w.status("d"); s.PausedBy != journal.PausedByRecipient || s.Waiting != 1 || s.LastError == "" {
			t.Errorf("%+v", s)
		}
		w.restart(d)
		f.set(nil)
		pass(2 * time.Hour)
		same(t, "attempts", len(f.all()), 1)
		if err := w.e.Resume(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if s := w.status("d"); s.State != StateOK || s.Delivered != 1 {
			t.Errorf("%+v", s)
		}
		if got := f.all(); got[1].attempt != 1 {
			t.Errorf("410 counted as an attempt: %+v", got)
		}
	})
}

// TestGoneBefore: HTTP 410 to an attempt that began before a person resumed the
// destination, or changed its settings, doesn't pause it. The event is attempted again.
func TestGoneBefore(t *testing.T) {
	t.Parallel()
	resume := func(t *testing.T, w *world) {
		if err := w.e.Resume(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		order func(*testing.T, *world)
		want  journal.Pause
	}{
		"resumed":               {resume, journal.NotPaused},
		"resumed, still gone":   {resume, journal.PausedByRecipient},
		"settings have changed": {func(t *testing.T, w *world) { w.set(dest(t, "d", func(s *Settings) { s.Concurrency = 7 })) }, journal.NotPaused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				f, began := w.fake("d"), time.Now()
				f.takes = 5 * time.Second
				f.set(func(m *Message) Result {
					if tt.want == journal.NotPaused && m.At.Sub(began) >= 3*time.Second {
						return Result{}
					}
					return Result{Err: errFails, Answered: true, Pause: true}
				})
				w.run(dest(t, "d"))
				w.edits("a", "b")
				pass(3 * time.Second)
				tt.order(t, w)
				pass(time.Hour)
				same(t, "paused by", w.status("d").PausedBy, tt.want)
				same(t, "attempts", len(f.all()), 4)
			})
		})
	}
}

func TestPauseByPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := dest(t, "d")
		w.run(d)
		if err := w.e.Pause(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		w.edits("a", "b")
		pass(time.Hour)
		w.restart(d)
		pass(time.Hour)
		if s := w.status("d"); s.State != StatePaused || s.PausedBy != journal.PausedByPerson || s.Waiting != 2 || len(w.fake("d").all()) != 0 || s.OldestWaiting < 2*time.Hour {
			t.Errorf("%+v", s)
		}
		if err := w.e.Resume(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		same(t, "delivered", len(w.fake("d").seqs(true)), 2)
		if err := w.e.Pause(t.Context(), "nobody"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "configured are d") {
			t.Errorf("%v", err)
		}
	})
}

// TestPauseThatSeemsToFail: memory and the journal agree about a pause, whatever happens
// to the command that sets it, and so nothing changes with a restart.
func TestPauseThatSeemsToFail(t *testing.T) {
	t.Parallel()
	pauses := map[string]func(e *Engine, ctx context.Context) error{
		"pause":  func(e *Engine, ctx context.Context) error { return e.Pause(ctx, "d") },
		"resume": func(e *Engine, ctx context.Context) error { return e.Resume(ctx, "d") },
	}
	for name, tt := range map[string]struct {
		disturb func(w *world, seen *moody, leave func())
		order   string
		want    journal.Pause
		fails   bool
	}{
		"pause, the caller leaves":             {func(_ *world, seen *moody, leave func()) { seen.before = leave }, "pause", journal.PausedByPerson, false},
		"pause, done though it failed":         {func(_ *world, seen *moody, _ func()) { seen.failing(1) }, "pause", journal.PausedByPerson, false},
		"pause, done and nothing can be read":  {func(_ *world, seen *moody, _ func()) { seen.failing(1); seen.blind = 1 }, "pause", journal.NotPaused, true},
		"pause, not done":                      {func(_ *world, seen *moody, _ func()) { seen.refuse = true }, "pause", journal.NotPaused, true},
		"resume, the caller leaves":            {func(_ *world, seen *moody, leave func()) { seen.before = leave }, "resume", journal.NotPaused, false},
		"resume, done though it failed":        {func(_ *world, seen *moody, _ func()) { seen.failing(1) }, "resume", journal.NotPaused, false},
		"resume, done and nothing can be read": {func(_ *world, seen *moody, _ func()) { seen.failing(1); seen.blind = 1 }, "resume", journal.PausedByPerson, true},
		"resume, not done":                     {func(_ *world, seen *moody, _ func()) { seen.refuse = true }, "resume", journal.PausedByPerson, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				d := dest(t, "d")
				seen := &moody{watched: watched{Journal: w.j}}
				w.runOn(seen, d)
				if tt.order == "resume" {
					if err := w.e.Pause(t.Context(), "d"); err != nil {
						t.Fatal(err)
					}
				}
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				tt.disturb(w, seen, leave)
				if err := pauses[tt.order](w.e, ctx); (err != nil) != tt.fails {
					t.Errorf("the order: %v", err)
				}
				pass(time.Minute)
				same(t, "in memory", w.status("d").PausedBy, tt.want)
				same(t, "in the journal", w.state().Paused, tt.want)
				w.edits("a")
				pass(time.Second)
				sent := len(w.fake("d").all())
				if (sent == 0) != (tt.want == journal.PausedByPerson) {
					t.Errorf("%d attempts", sent)
				}
				w.restart(d)
				pass(time.Second)
				same(t, "after a restart", w.status("d").PausedBy, tt.want)
			})
		})
	}
}

// moody is a journal that handles an order about a pause badly.
type moody struct {
	watched
	before func() // called before a pause is set
	refuse bool   // pauses are not set
	blind  int    // how many times the state of destinations can't be read
}

func (m *moody) SetPause(ctx context.Context, name string, p journal.Pause) error {
	if m.before != nil {
		m.before()
	}
	if m.refuse {
		return journal.ErrUnavailable
	}
	return m.watched.SetPause(ctx, name, p)
}

func (m *moody) Destinations(ctx context.Context) ([]journal.DestinationState, error) {
	if m.blind > 0 {
		m.blind--
		return nil, journal.ErrUnavailable
	}
	return m.watched.Destinations(ctx)
}
