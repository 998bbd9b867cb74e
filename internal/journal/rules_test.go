package journal

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// If the append of a request timed out, but was committed, Kazoo's next try is a
// duplicate of it, however soon it comes after the commit.
func TestSlowCommit(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"at once": 0, "after the pause": 3 * time.Second, "late": 50 * time.Second} {
		c := newClock()
		var armed atomic.Bool
		hold, held := make(chan struct{}), make(chan struct{})
		j := openTest(t, Options{Dir: memoryDir(t), Now: c.now, open: failing(func(sql string) error {
			if sql == "COMMIT" && armed.CompareAndSwap(true, false) {
				close(held)
				<-hold
			}
			return nil
		})})
		r := sample(1, event.Edited)
		armed.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan event.Appended, 1)
		go func() {
			a, err := j.Append(ctx, r)
			if !errors.Is(err, context.Canceled) || a.Command == 0 {
				t.Errorf("%s: %+v, %v", name, a, err)
			}
			done <- a
		}()
		<-held
		cancel()
		j.Refused(r, <-done)
		close(hold)
		waitFor(t, "the commit", func() bool { last, _ := j.Last(t.Context()); return last == 1 })
		c.add(wait)
		if a := mustAppend(t, j, r); !a.Duplicate || a.Seq != 1 {
			t.Errorf("%s: sent again: %+v", name, a)
		}
		if a := mustAppend(t, j, r); a.Duplicate {
			t.Errorf("%s: another edit, while the try is answered: %+v", name, a)
		}
	}
}

// If the process died while it answered a request, an identical request is another
// event, however late it comes: nobody knows whether Kazoo got the 200. A request that
// was refused before the crash, or is refused after it, still absorbs a duplicate.
func TestIdenticalAfterCrash(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"at once": 0, "after the pause": 3 * time.Second, "late": 50 * time.Second} {
		c := newClock()
		j := openTest(t, Options{Now: c.now})
		open, refused := sample(1, event.Edited), sample(2, event.Edited)
		mustAppend(t, j, open)
		j.Refused(refused, mustAppend(t, j, refused))
		mustAppend(t, j, sample(3, event.Deleted)) // commits the outcomes of the answers
		dir := t.TempDir()
		copyFiles(t, j.opt.Dir, dir)
		c.add(wait)
		j = openTest(t, Options{Dir: dir, Now: c.now})
		if a := mustAppend(t, j, refused); !a.Duplicate || a.Seq != 2 {
			t.Errorf("%s: the refused request, sent again: %+v", name, a)
		}
		a := mustAppend(t, j, open)
		if a.Duplicate {
			t.Errorf("%s: another edit: %+v", name, a)
		}
		j.Refused(open, a)
		if again := mustAppend(t, j, open); !again.Duplicate || again.Seq != a.Seq {
			t.Errorf("%s: that edit, sent again: %+v", name, again)
		}
	}
}

// A request is not stored if its caller gives up before the writer has it.
func TestWithdrawn(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	hold, held := make(chan struct{}), make(chan struct{})
	go func() { _, _ = j.do(context.Background(), &probe{run: func() { close(held); <-hold }}) }()
	<-held
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	r := sample(1, event.Edited)
	a, err := j.Append(ctx, r)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v", a, err)
	}
	j.Refused(r, a)
	close(hold)
	if a := mustAppend(t, j, r); a.Duplicate || a.Seq != 1 {
		t.Errorf("sent again: %+v", a)
	}
}

// The outcome of a request that was not stored breaks no rule, although outcomes come
// first in a transaction.
func TestOutcomeOfNothing(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	j.Refused(sample(1, event.Edited), event.Appended{Command: 99})
	mustAppend(t, j, sample(2, event.Edited))
	if s, err := j.Stats(t.Context()); err != nil || s.Broken != 0 {
		t.Errorf("%d commands could not be applied, %v", s.Broken, err)
	}
}

// strange is a command whose rule fails.
type strange struct{ header }

func (*strange) apply(*tx) (result, error) { return result{}, errInjected }

// A command that the rules can't handle does not stop the journal: a request is kept
// as unknown, any other command is ignored, and the journal reports it.
func TestBrokenRule(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	j := openTest(t, Options{Log: zerolog.New(zerolog.SyncWriter(&log))})
	onWriter(t, j, func() { j.w.tx.content = nil }) // writing to it panics
	a := mustAppend(t, j, content(1))
	r := get(t, j, a.Seq)
	if r.Event != event.Unknown || !strings.Contains(r.Problem, "the rules failed") || !bytes.Equal(r.Body, content(1).Body) {
		t.Errorf("kept as %+v", r)
	}
	if _, err := j.do(t.Context(), &strange{}); err == nil || !strings.Contains(err.Error(), "was ignored") {
		t.Errorf("a command whose rule fails: %v", err)
	}
	if err := j.Trouble(); err == nil || !strings.Contains(err.Error(), "2 commands") || j.Health() != nil {
		t.Errorf("trouble: %v, health: %v", err, j.Health())
	}
	if s, err := j.Stats(t.Context()); err != nil || s.Broken != 2 {
		t.Errorf("stats: %+v, %v", s, err)
	}
	if strings.Count(log.String(), "could not be applied") != 2 {
		t.Errorf("log: %s", log.String())
	}
}

// The journal's own clock advances by the time that passes. A jump of the wall clock
// neither stops retention nor makes it early, and changes no span of time.
func TestOwnClock(t *testing.T) {
	t.Parallel()
	start := time.Now() // with its monotonic reading
	o := newOwnClock(snapshot.At{}, start)
	at := o.next(start.Add(time.Second))
	if at.Clock.Sub(snapshot.Clock(start.UnixNano())) != time.Second || at.Number != 1 {
		t.Errorf("%+v", at)
	}
	back := o.next(start.Add(-time.Hour))
	if back.Clock != at.Clock || back.Number != 2 {
		t.Errorf("back: %+v", back)
	}
	for name, c := range map[string]struct{ away, counts time.Duration }{
		"a minute": {time.Minute, time.Minute}, "a year": {365 * 24 * time.Hour, 24 * time.Hour}, "set back": {-time.Hour, 0},
	} {
		last := snapshot.At{Number: 7, Clock: 1000, Wall: start}
		again := newOwnClock(last, start.Add(c.away))
		if got := again.next(start.Add(c.away)); got.Clock.Sub(1000) != c.counts || got.Number != 8 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// An event that was stored while the clock was ahead doesn't stop retention.
func TestRetentionAfterClockAhead(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	c := newClock()
	o := Options{Dir: dir, Now: c.now, Retention: 24 * time.Hour}
	j := openTest(t, o)
	mustAppend(t, j, content(1))
	c.add(10 * 365 * 24 * time.Hour)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, o) // only a day of the jump counts
	mustAppend(t, j, content(2))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	c.add(-10 * 365 * 24 * time.Hour)
	for day := range 4 {
		j = openTest(t, o)
		c.add(20 * time.Hour)
		mustAppend(t, j, content(int64(10+day)))
		maintain(t, j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j = openTest(t, o)
	if first, _ := j.First(t.Context()); first < 4 {
		t.Errorf("the oldest event is %d", first)
	}
}

// If a request is refused and not stored, the request that it may have repeated waits
// for the full time again.
func TestRefusedRepetition(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Now: c.now})
	edit := sample(1, event.Edited)
	a := mustAppend(t, j, edit)
	j.Acknowledged(edit, a, false)
	for range 3 {
		c.add(50 * time.Second)
		j.Refused(edit, event.Appended{Command: 1 << 40})
		onWriter(t, j, func() {})
	}
	c.add(50 * time.Second)
	if again := mustAppend(t, j, edit); !again.Duplicate || again.Seq != a.Seq {
		t.Errorf("%+v after %+v", again, a)
	}
	if st, err := j.Stats(t.Context()); err != nil || st.Broken != 0 {
		t.Errorf("%d commands could not be applied, %v", st.Broken, err)
	}
}
