package journal

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kazoohook/internal/event"
)

// deliveryLife returns the steps of the fault test: commands about a destination, and
// reads of what is known of it.
func deliveryLife(t *testing.T, c *clock, rows []Judged) []func(*Journal) error {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	undecided := func(rows []Judged) []Judged {
		for i := range rows {
			rows[i].State, rows[i].Due = Undecided, at
		}
		return rows
	}
	attempted := func(pause Pause, outcomes ...Outcome) func(*Journal) error {
		return func(j *Journal) error { return j.Attempted(ctxOf(t), "d", outcomes, &pause) }
	}
	report := event.Own{Payload: &event.DeadLetter{}}.Record()
	row := func(seqs ...int64) (list []Judged) {
		for _, seq := range seqs {
			list = append(list, rows[seq-1])
		}
		return list
	}
	return []func(*Journal) error{
		func(j *Journal) error {
			return j.Configure(ctxOf(t), []NewDestination{{Name: "d"}, {Name: "old"}}, nil, nil)
		},
		func(j *Journal) error { return j.Judge(ctxOf(t), "d", 0, 4, row(1, 2, 3, 4)) },
		func(j *Journal) error { return j.Judge(ctxOf(t), "d", 4, 6, undecided(row(5, 6))) },
		func(j *Journal) error { return j.Decide(ctxOf(t), "d", []int64{5}, []int64{6}) },
		attempted(
			NotPaused, Outcome{Seq: 1, Delivered: true, First: true, At: at, Status: "200 OK"},
			Outcome{Seq: 2, Attempts: 1, At: at, Due: at.Add(time.Minute), Wait: time.Minute, Error: "answered 500"},
			Outcome{Seq: 3, Attempts: 1, Dead: true, At: at, Error: "answered 400", Report: &report},
		),
		attempted(PausedByBreaker, Outcome{Seq: 4, Uncounted: true, At: at, Error: "refused"}),
		func(j *Journal) error { return j.SetPause(ctxOf(t), "d", NotPaused) },
		func(j *Journal) error { _, err := j.Redeliver(ctxOf(t), "d", row(1, 3)); return err },
		attempted(NotPaused, Outcome{Seq: 3, Attempts: 1, Dead: true, At: at.Add(time.Hour), Error: "again"}),
		func(j *Journal) error { _, err := j.Discard(ctxOf(t), "d", []int64{3}); return err },
		func(j *Journal) error { return j.PlaceAccounts(ctxOf(t), []AccountPlace{{Account: "a"}}) },
		func(j *Journal) error { return j.Configure(ctxOf(t), nil, []string{"old"}, nil) },
		func(j *Journal) error { return j.Configure(ctxOf(t), nil, nil, []string{"old"}) },
		func(j *Journal) error { _, err := j.GiveUp(ctxOf(t), 2, "the backlog is full"); return err },
		func(j *Journal) error {
			_, err := j.Destinations(ctxOf(t))
			_, werr := j.WaitingDeliveries(ctxOf(t), "d", 9, 9)
			_, derr := j.DeadLetters(ctxOf(t), "", 0, 9)
			_, herr := j.Deliveries(ctxOf(t), 2)
			_, perr := j.AccountPlaces(ctxOf(t))
			_, berr := j.Backlog(ctxOf(t))
			_, _, kerr := j.Kept(ctxOf(t), []int64{1, 99})
			_, terr := j.SeqAt(ctxOf(t), c.now())
			return errors.Join(err, werr, derr, herr, perr, berr, kerr, terr)
		},
	}
}

// knownOf returns what the journal holds of deliveries, as text.
func knownOf(t *testing.T, j *Journal) string {
	t.Helper()
	d, err := j.Destinations(ctxOf(t))
	must(t, err)
	text := ""
	for _, d := range d {
		text += fmt.Sprintln(d.Name, d.Cursor, d.Paused, d.Accepted, d.Waiting, d.Dead, d.Oldest, d.LastError, d.Removed)
	}
	for seq := range int64(8) {
		list, err := j.Deliveries(ctxOf(t), seq)
		must(t, err)
		for _, d := range list {
			text += fmt.Sprintln(seq, d.State, d.Attempts, d.Redelivered, d.NoBody, d.LastError, d.Wait, d.Due, len(d.History))
		}
	}
	last, err := j.Last(ctxOf(t))
	must(t, err)
	return fmt.Sprint(text, last)
}

// TestEveryStatementOfDeliveryFails: whichever statement fails once, the caller gets an
// error. After the step is repeated, everything is as without the failure.
func TestEveryStatementOfDeliveryFails(t *testing.T) {
	t.Parallel()
	want, stride := "", int64(1)
	if slow {
		stride = 4
	}
	for n := int64(0); ; n += stride {
		c, f := newClock(), &faults{}
		j := openTest(t, Options{Dir: memoryDir(t), Now: c.now, open: failing(f.fault)})
		for i := range int64(6) {
			fixed := content(i)
			fixed.ReceivedAt = c.now()
			_, err := j.Append(ctxOf(t), fixed)
			must(t, err)
		}
		steps := deliveryLife(t, c, rowsOf(t, j, 1, 2, 3, 4, 5, 6))
		f.left.Store(n) // 0: none fails
		for i, step := range steps {
			err := step(j)
			if errors.Is(err, errInjected) {
				err = step(j)
			}
			if err != nil {
				t.Fatalf("fault %d, step %d: %v", n, i, err)
			}
		}
		hit := f.left.Swap(0) <= 0
		got := knownOf(t, j)
		must(t, j.Close())
		switch {
		case n == 0:
			want = got
		case got != want:
			t.Fatalf("after fault %d:\n%s\nwant\n%s", n, got, want)
		case !hit:
			t.Logf("up to %d statements", n-1)
			return
		}
	}
}

// TestDeliveryBounds: a command has a bounded size.
func TestDeliveryBounds(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t)})
	destination(t, j, "d")
	if _, err := j.Redeliver(ctxOf(t), "d", make([]Judged, MaxOutcomes+1)); err == nil {
		t.Error("redelivers more events than allowed")
	}
	if _, err := j.Discard(ctxOf(t), "d", make([]int64, MaxOutcomes+1)); err == nil {
		t.Error("discards more events than allowed")
	}
	if err := j.PlaceAccounts(ctxOf(t), make([]AccountPlace, MaxPage+1)); err == nil {
		t.Error("places more accounts than allowed")
	}
}
