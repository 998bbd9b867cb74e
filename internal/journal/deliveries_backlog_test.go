package journal

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/event"
)

// TestRetentionKeepsWhatDestinationsNeed: events after a cursor stay in the journal.
// Events of waiting deliveries and dead letters are kept in the backlog.
func TestRetentionKeepsWhatDestinationsNeed(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Dir: memoryDir(t), Now: c.now, Retention: time.Hour, BacklogBytes: 1 << 30, BacklogAge: 1000 * time.Hour})
	fill(t, j, 20, content)
	must(t, j.Configure(ctxOf(t), []NewDestination{{Name: "d"}, {Name: "removed"}}, nil, nil))
	judge(t, j, "d", 10, 3, 4, 5)
	judge(t, j, "removed", 5, 1)
	must(t, j.Configure(ctxOf(t), nil, []string{"removed"}, nil))
	attemptedNow(t, j, "d", Outcome{Seq: 3, Delivered: true}, Outcome{Seq: 4, Dead: true, Error: "x"})
	before := get(t, j, 4)
	c.add(48 * time.Hour)
	fill(t, j, 2, func(i int64) event.Record { return content(100 + i) })
	maintain(t, j)
	if first, _ := j.First(ctxOf(t)); first != 11 {
		t.Errorf("first is %d, the cursor is at 10", first)
	}
	recs, lost, err := j.Kept(ctxOf(t), []int64{1, 3, 4, 5, 11, 99})
	must(t, err)
	same(t, "lost", lost, []int64{1, 3, 99})
	if len(recs) != 3 || cmp.Diff(before, recs[0]) != "" {
		t.Errorf("kept %d, first %+v", len(recs), recs[0])
	}
	if r := get(t, j, 4); len(r.Body) == 0 {
		t.Error("a dead letter's event can't be shown")
	}
	b, err := j.Backlog(ctxOf(t))
	if err != nil || b.Events != 2+12 || b.Bytes < 14*rowOverhead {
		t.Errorf("backlog %+v, %v", b, err)
	}
	if list, err := j.Deliveries(ctxOf(t), 4); err != nil || len(list) != 1 || len(list[0].History) != 1 {
		t.Errorf("attempts of a dead letter: %+v, %v", list, err)
	}
	if list, err := j.Deliveries(ctxOf(t), 3); err != nil || len(list) != 0 {
		t.Errorf("attempts of a removed event: %+v, %v", list, err)
	}
	attemptedNow(t, j, "d", Outcome{Seq: 5, Delivered: true})
	if _, err := j.Discard(ctxOf(t), "d", []int64{4}); err != nil {
		t.Error(err)
	}
	judge(t, j, "d", 22)
	maintain(t, j)
	if b, err := j.Backlog(ctxOf(t)); err != nil || b != (Backlog{}) {
		t.Errorf("backlog %+v, %v", b, err)
	}
	if first, _ := j.First(ctxOf(t)); first != 21 {
		t.Errorf("first is %d, all was judged", first)
	}
	if list, err := j.Deliveries(ctxOf(t), 4); err != nil || len(list) != 0 {
		t.Errorf("attempts of a discarded dead letter: %+v, %v", list, err)
	}
}

// TestBacklogHasBounds: the backlog's oldest events are given up if they are too old
// or too large, both those in the table backlog and those after a cursor.
func TestBacklogHasBounds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		o      Options
		cursor int64 // there are 2000 events; 1 to 4 wait if they are before it
		want   int64 // the last event to give up; 0: none, 1: some number up to 1500
	}{
		"nothing too old":              {Options{Retention: time.Hour, BacklogAge: 90 * time.Hour}, 1990, 0},
		"waiting, too old":             {Options{Retention: time.Hour, BacklogAge: 2 * time.Hour}, 1999, 4},
		"not judged, too old":          {Options{Retention: time.Hour, BacklogAge: 2 * time.Hour}, 0, 2000},
		"retention is longer":          {Options{Retention: 200 * time.Hour, BacklogAge: 2 * time.Hour}, 0, 0},
		"nothing too large":            {Options{Retention: time.Hour, BacklogBytes: 1 << 30}, 0, 0},
		"waiting, too large":           {Options{Retention: time.Hour, BacklogBytes: 1700}, 2001, 1},
		"not judged, too large":        {Options{Retention: time.Hour, BacklogBytes: 900_000}, 0, 1},
		"not judged, within retention": {Options{Retention: 200 * time.Hour, BacklogBytes: 1000}, 0, 0},
		"not judged, with room":        {Options{MaxBytes: 1 << 30, BacklogBytes: 1000}, 0, 0},
		"not judged, without room":     {Options{MaxBytes: 400_000, BacklogBytes: 300_000}, 0, 1},
		"nothing is removed":           {Options{BacklogBytes: 1000, BacklogAge: time.Hour}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			o := tt.o
			o.Dir, o.Now = memoryDir(t), c.now
			j := openTest(t, o)
			destination(t, j, "d")
			fill(t, j, 2000, content)
			c.add(72 * time.Hour)
			fill(t, j, 1, func(int64) event.Record { return content(99_999) })
			if tt.cursor > 4 {
				judge(t, j, "d", tt.cursor, 1, 2, 3, 4)
			}
			maintain(t, j)
			var got int64
			var err error
			onWriter(t, j, func() { got, err = j.w.excess() })
			must(t, err)
			switch {
			case tt.want == 1:
				if got < 1 || got > 1500 {
					t.Errorf("give up %d", got)
				}
			case got != tt.want:
				t.Errorf("give up %d, want %d", got, tt.want)
			}
		})
	}
}

func TestGiveUp(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Dir: memoryDir(t), Now: c.now, Retention: time.Hour})
	fill(t, j, 10, content)
	destination(t, j, "d")
	judge(t, j, "d", 10, 1, 2, 3, 9)
	attemptedNow(t, j, "d", Outcome{Seq: 2, Dead: true, Error: "poison"})
	c.add(5 * time.Hour)
	fill(t, j, 1, func(int64) event.Record { return content(77) })
	maintain(t, j)
	n, err := j.GiveUp(ctxOf(t), 3, "the backlog is full")
	if err != nil || n != 3 {
		t.Errorf("gave up %d, %v", n, err)
	}
	dead, err := j.DeadLetters(ctxOf(t), "d", 0, 10)
	must(t, err)
	var said []string
	for _, d := range dead {
		said = append(said, fmt.Sprintf("%d %t %s", d.Seq, d.NoBody, d.LastError))
	}
	same(t, "dead", said, []string{"1 true the backlog is full", "2 true poison", "3 true the backlog is full"})
	if b, err := j.Backlog(ctxOf(t)); err != nil || b.Events != 2 { // 9, and the newest
		t.Errorf("backlog %+v, %v", b, err)
	}
	if n, err := j.Redeliver(ctxOf(t), "d", []Judged{{Seq: 1}, {Seq: 2}}); err != nil || n != 0 {
		t.Errorf("redelivered without a body: %d, %v", n, err)
	}
}

// TestSizeLimitCountsNoBacklog: events that a destination needs don't count for
// JOURNAL_MAX_BYTES, and are not removed because of it.
func TestSizeLimitCountsNoBacklog(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	j := openTest(t, Options{Dir: memoryDir(t), MaxBytes: most, BacklogBytes: 1 << 30})
	destination(t, j, "d")
	big := func(i int64) event.Record {
		r := content(i)
		r.Body = append(r.Body, make([]byte, 4000)...)
		return r
	}
	fill(t, j, 600, big)
	maintain(t, j)
	if first, _ := j.First(ctxOf(t)); first != 1 {
		t.Errorf("events before %d were removed, although the destination needs them", first)
	}
	var all []int64
	for seq := int64(1); seq <= 600; seq += 2 {
		all = append(all, seq)
	}
	judge(t, j, "d", 600, all...)
	maintain(t, j)
	first, _ := j.First(ctxOf(t))
	if first < 300 || first > 600 {
		t.Errorf("first is %d, all was judged", first)
	}
	if _, lost, err := j.Kept(ctxOf(t), all); err != nil || len(lost) > 0 {
		t.Errorf("lost %v, %v", lost, err)
	}
}
