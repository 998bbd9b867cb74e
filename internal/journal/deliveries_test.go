package journal

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
)

// ctxOf returns the test's context; it keeps the calls below short.
func ctxOf(t testing.TB) context.Context { return t.Context() }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// destination adds a destination that begins with the oldest event.
func destination(t testing.TB, j *Journal, name string) {
	t.Helper()
	must(t, j.Configure(ctxOf(t), []NewDestination{{Name: name}}, nil, nil))
}

// judge moves a destination's cursor to an event; the destination gets seqs.
func judge(t testing.TB, j *Journal, name string, to int64, seqs ...int64) {
	t.Helper()
	must(t, j.Judge(ctxOf(t), name, state(t, j, name).Cursor, to, rowsOf(t, j, seqs...)))
}

// rowsOf returns the rows for events.
func rowsOf(t testing.TB, j *Journal, seqs ...int64) (rows []Judged) {
	t.Helper()
	for _, seq := range seqs {
		r := get(t, j, seq)
		rows = append(rows, Judged{Seq: seq, ID: ulid.MustParse(r.ID), Event: r.Event, Key: r.OrderingKey()})
	}
	return rows
}

func state(t testing.TB, j *Journal, name string) DestinationState {
	t.Helper()
	list, err := j.Destinations(ctxOf(t))
	must(t, err)
	for _, d := range list {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("no destination %s in %+v", name, list)
	return DestinationState{}
}

func attemptedNow(t testing.TB, j *Journal, name string, o ...Outcome) {
	t.Helper()
	must(t, j.Attempted(ctxOf(t), name, o, nil))
}

// seqsOf returns the event numbers of deliveries.
func seqsOf(list []Delivery) (seqs []int64) {
	for _, d := range list {
		seqs = append(seqs, d.Seq)
	}
	return seqs
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestDeliveryFromCursorToDeadLetter(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t), Now: newClock().now})
	fill(t, j, 5, content)
	destination(t, j, "billing")
	judge(t, j, "billing", 5, 1, 2, 3, 5)
	waits := func() []int64 {
		list, err := j.WaitingDeliveries(ctxOf(t), "billing", 100, 10)
		must(t, err)
		return seqsOf(list)
	}
	same(t, "waiting", waits(), []int64{1, 2, 3, 5})
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	attemptedNow(
		t, j, "billing",
		Outcome{Seq: 1, Delivered: true, At: at, Took: time.Second, Status: "200 OK"},
		Outcome{Seq: 2, Attempts: 1, At: at, Due: at.Add(time.Minute), Wait: time.Minute, Base: 7, Status: "500", Error: "answered 500"},
		Outcome{Seq: 3, Attempts: 1, Dead: true, At: at, Error: "answered 400"},
		Outcome{Seq: 5, Uncounted: true, At: at, Error: "no route to host", Excerpt: "x"},
	)
	same(t, "waiting", waits(), []int64{2, 5})
	d := state(t, j, "billing")
	if d.Accepted != 1 || d.Waiting != 2 || d.Dead != 1 || d.Oldest != 2 || d.LastError != "no route to host" || d.LastExcerpt != "x" || !d.LastAt.Equal(at) {
		t.Errorf("state %+v", d)
	}
	list, err := j.Deliveries(ctxOf(t), 2)
	must(t, err)
	if len(list) != 1 || list[0].Attempts != 1 || list[0].Wait != time.Minute || list[0].Base != 7 || !list[0].Due.Equal(at.Add(time.Minute)) ||
		len(list[0].History) != 1 || list[0].History[0].Error != "answered 500" || list[0].History[0].Status != "500" {
		t.Errorf("a failed delivery: %+v", list)
	}
	if list, err = j.Deliveries(ctxOf(t), 1); err != nil || len(list) != 1 || list[0].State != Delivered || list[0].History[0].Took != time.Second {
		t.Errorf("a successful delivery: %+v, %v", list, err)
	}
	if list, err = j.Deliveries(ctxOf(t), 5); err != nil || len(list) != 1 || list[0].Attempts != 0 || len(list[0].History) != 0 || list[0].LastError != "no route to host" {
		t.Errorf("after a probe: %+v, %v", list, err)
	}
	dead, err := j.DeadLetters(ctxOf(t), "", 0, 10)
	must(t, err)
	if len(dead) != 1 || dead[0].Seq != 3 || dead[0].LastError != "answered 400" || dead[0].EventID != get(t, j, 3).ID || dead[0].NoBody {
		t.Errorf("dead %+v", dead)
	}
}

// TestRedeliveredGoFirst redelivers a dead letter, a delivered event and a waiting one.
// An event that wasn't judged yet is skipped.
func TestRedeliveredGoFirst(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, 9, content)
	destination(t, j, "d")
	judge(t, j, "d", 8, 1, 2, 3, 4, 5, 6)
	attemptedNow(t, j, "d", Outcome{Seq: 2, Dead: true, Error: "x"}, Outcome{Seq: 5, Delivered: true}, Outcome{Seq: 6, Due: time.Now(), Wait: time.Hour, Error: "y"})
	n, err := j.Redeliver(ctxOf(t), "d", rowsOf(t, j, 2, 5, 6, 9))
	if err != nil || n != 3 {
		t.Errorf("redelivered %d, %v", n, err)
	}
	list, err := j.WaitingDeliveries(ctxOf(t), "d", 3, 10)
	must(t, err)
	same(t, "order", seqsOf(list), []int64{2, 5, 6, 1, 3})
	for _, d := range list[:3] {
		if !d.Redelivered || d.Attempts != 0 || !d.Due.IsZero() || d.Wait != 0 {
			t.Errorf("%+v", d)
		}
	}
	attemptedNow(t, j, "d", Outcome{Seq: 2, Dead: true, Error: "again"})
	attemptedNow(t, j, "d", Outcome{Seq: 3, Dead: true, Error: "z"})
	dead, err := j.DeadLetters(ctxOf(t), "d", 0, 10)
	must(t, err)
	same(t, "dead, in order", seqsOf(dead), []int64{2, 3})
	if n, err := j.Discard(ctxOf(t), "d", []int64{1, 2, 3, 4}); err != nil || n != 2 {
		t.Errorf("discarded %d, %v", n, err)
	}
	if d := state(t, j, "d"); d.Dead != 0 || d.Waiting != 4 {
		t.Errorf("%+v", d)
	}
}

func TestUndecided(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, 3, content)
	destination(t, j, "d")
	rows := rowsOf(t, j, 1, 2, 3)
	until := time.Now().Add(time.Minute).UTC().Truncate(0)
	for i := range rows {
		rows[i].State, rows[i].Due = Undecided, until
	}
	must(t, j.Judge(ctxOf(t), "d", 0, 3, rows))
	must(t, j.Decide(ctxOf(t), "d", []int64{1}, []int64{2}))
	list, err := j.WaitingDeliveries(ctxOf(t), "d", 3, 10)
	must(t, err)
	if len(list) != 2 || list[0].State != Waiting || !list[0].Due.IsZero() || list[1].State != Undecided || !list[1].Due.Equal(until) {
		t.Errorf("%+v", list)
	}
}

// TestAdvance moves the cursor over events; some of them were delivered at once.
func TestAdvance(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, 6, content)
	destination(t, j, "d")
	judge(t, j, "d", 2, 1, 2)
	outcomes := []Outcome{
		{Seq: 1, Delivered: true, First: true}, // before the cursor, so it has a row
		{Seq: 3, Delivered: true, First: true},
		{Seq: 4, Error: "it failed", Due: time.Now(), Wait: time.Minute},
		{Seq: 5, Delivered: true, First: true, Status: "200 OK"},
	}
	if err := j.Advance(ctxOf(t), "d", 1, 6, nil, outcomes, nil); !errors.Is(err, ErrCursorMoved) {
		t.Errorf("from a wrong cursor: %v", err)
	}
	if err := j.Advance(ctxOf(t), "d", 2, 6, nil, make([]Outcome, MaxOutcomes+1), nil); err == nil {
		t.Error("took more outcomes than allowed")
	}
	if d := state(t, j, "d"); d.Cursor != 2 || d.Waiting != 2 || d.Accepted != 0 {
		t.Errorf("after what was refused: %+v", d)
	}
	pause := PausedByBreaker
	must(t, j.Advance(ctxOf(t), "d", 2, 6, rowsOf(t, j, 4, 6), outcomes, &pause))
	if d := state(t, j, "d"); d.Cursor != 6 || d.Waiting != 3 || d.Oldest != 2 || d.Accepted != 3 || d.Paused != PausedByBreaker || d.LastStatus != "200 OK" {
		t.Errorf("%+v", d)
	}
	for seq, want := range map[int64]DeliveryState{1: Delivered, 2: Waiting, 3: Delivered, 4: Waiting, 5: Delivered, 6: Waiting} {
		list, err := j.Deliveries(ctxOf(t), seq)
		must(t, err)
		if len(list) != 1 || list[0].State != want {
			t.Errorf("event %d: %+v", seq, list)
		}
	}
}

// TestDiscardedIsNotDelivered: an event that a destination never took isn't shown as
// delivered after its dead letter was discarded. One that it took before is.
func TestDiscardedIsNotDelivered(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, 2, content)
	destination(t, j, "d")
	judge(t, j, "d", 2, 1, 2)
	attemptedNow(t, j, "d", Outcome{Seq: 2, Delivered: true, At: time.Unix(1, 0)})
	if _, err := j.Redeliver(ctxOf(t), "d", rowsOf(t, j, 2)); err != nil {
		t.Fatal(err)
	}
	for seq, want := range map[int64]DeliveryState{1: Discarded, 2: Delivered} {
		attemptedNow(t, j, "d", Outcome{Seq: seq, Attempts: 1, Dead: true, At: time.Unix(2, 0), Error: "refused"})
		if n, err := j.Discard(ctxOf(t), "d", []int64{seq}); err != nil || n != 1 {
			t.Errorf("event %d: discarded %d, %v", seq, n, err)
		}
		list, err := j.Deliveries(ctxOf(t), seq)
		must(t, err)
		if len(list) != 1 || list[0].State != want || list[0].Attempts != len(list[0].History) || !list[0].At.Equal(time.Unix(2, 0)) {
			t.Errorf("event %d: %+v", seq, list)
		}
	}
}

// TestOutcomesAgain: outcomes that are applied again change nothing, so who gets an error
// can try again although they may have been applied.
func TestOutcomesAgain(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	report := event.Own{Payload: &event.DeadLetter{}}.Record()
	for name, tt := range map[string]struct {
		outcomes []Outcome
		accepted int64
	}{
		"delivered":            {[]Outcome{{Seq: 1, Delivered: true, At: at}}, 1},
		"delivered at once":    {[]Outcome{{Seq: 1, Delivered: true, First: true, At: at}}, 1},
		"many at once":         {manyAtOnce(at), 20},
		"failed":               {[]Outcome{{Seq: 1, Attempts: 1, At: at, Due: at.Add(time.Minute), Wait: time.Minute, Error: "x"}}, 0},
		"a probe failed":       {[]Outcome{{Seq: 1, Uncounted: true, At: at, Error: "x"}}, 0},
		"dead":                 {[]Outcome{{Seq: 1, Attempts: 1, Dead: true, At: at, Error: "x", Report: &report}}, 0},
		"dead, never tried":    {[]Outcome{{Seq: 1, Dead: true, Skipped: true, At: at, Error: "x", Report: &report}}, 0},
		"several, and another": {[]Outcome{{Seq: 1, Attempts: 1, At: at, Error: "x"}, {Seq: 2, Delivered: true, At: at}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := openTest(t, Options{Dir: memoryDir(t)})
			fill(t, j, 20, content)
			destination(t, j, "d")
			seqs := make([]int64, 20)
			for i := range seqs {
				seqs[i] = int64(i) + 1
			}
			judge(t, j, "d", 20, seqs...)
			attemptedNow(t, j, "d", tt.outcomes...)
			first, last := knownOf(t, j), lastOf(t, j)
			attemptedNow(t, j, "d", tt.outcomes...)
			same(t, "after the second time", knownOf(t, j), first)
			same(t, "events", lastOf(t, j), last)
			same(t, "accepted", state(t, j, "d").Accepted, tt.accepted)
		})
	}
	t.Run("without rows", func(t *testing.T) {
		t.Parallel()
		j := openTest(t, Options{Dir: memoryDir(t)})
		fill(t, j, 2, content)
		destination(t, j, "d")
		outcomes := []Outcome{{Seq: 1, Delivered: true, First: true, At: at}, {Seq: 2, Attempts: 1, At: at, Error: "x"}}
		must(t, j.Advance(ctxOf(t), "d", 0, 2, rowsOf(t, j, 2), outcomes, nil))
		first := knownOf(t, j)
		attemptedNow(t, j, "d", outcomes...)
		same(t, "after the second time", knownOf(t, j), first)
		same(t, "accepted", state(t, j, "d").Accepted, int64(1))
	})
}

func manyAtOnce(at time.Time) (list []Outcome) {
	for i := range int64(20) {
		list = append(list, Outcome{Seq: i + 1, Delivered: true, First: true, At: at})
	}
	return list
}

func lastOf(t *testing.T, j *Journal) int64 {
	t.Helper()
	last, err := j.Last(ctxOf(t))
	must(t, err)
	return last
}

func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, 1, content)
	destination(t, j, "d")
	judge(t, j, "d", 1, 1)
	for i := range keptAttempts + 20 {
		attemptedNow(t, j, "d", Outcome{Seq: 1, Attempts: i + 1, At: time.Unix(int64(i), 0), Error: fmt.Sprint(i), Due: time.Now()})
	}
	list, err := j.Deliveries(ctxOf(t), 1)
	must(t, err)
	if h := list[0].History; list[0].Attempts != keptAttempts+20 || len(h) != keptAttempts || h[0].N != 21 || h[0].Error != "20" {
		t.Errorf("%d attempts, %d kept from %d on", list[0].Attempts, len(h), h[0].N)
	}
	if err := j.Attempted(ctxOf(t), "d", make([]Outcome, MaxOutcomes+1), nil); err == nil {
		t.Error("took more outcomes than allowed")
	}
}

func TestSeqAt(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Dir: memoryDir(t), Now: c.now})
	if seq, err := j.SeqAt(ctxOf(t), c.now()); err != nil || seq != 0 {
		t.Errorf("of an empty journal: %d, %v", seq, err)
	}
	for i := range int64(5) {
		mustAppend(t, j, content(i))
		c.add(time.Hour)
	}
	for back, want := range map[time.Duration]int64{0: 5, 90 * time.Minute: 4, 5 * time.Hour: 0, 99 * time.Hour: 0} {
		if seq, err := j.SeqAt(ctxOf(t), c.now().Add(-back)); err != nil || seq != want {
			t.Errorf("%v back: %d, %v, want %d", back, seq, err, want)
		}
	}
}
