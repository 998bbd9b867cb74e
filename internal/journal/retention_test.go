package journal

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
)

// maintain runs retention to its end now.
func maintain(t testing.TB, j *Journal) {
	t.Helper()
	onWriter(t, j, func() { j.w.pruner.busy = true })
	waitFor(t, "retention", func() (done bool) {
		onWriter(t, j, func() { done = !j.w.pruner.busy })
		return done
	})
}

func TestRetentionByAge(t *testing.T) {
	t.Parallel()
	c := newClock()
	dir := memoryDir(t)
	j := openTest(t, Options{Dir: dir, Now: c.now, Retention: 24 * time.Hour})
	at := func(i int64) event.Record {
		r := content(i)
		r.ReceivedAt = c.now()
		if i%50 == 0 {
			r.Source, r.ReceivedAt = event.SourceRecovered, c.now().Add(-10*time.Hour)
		}
		return r
	}
	deleted := sample(1, event.Deleted)
	deleted.ReceivedAt = c.now()
	held := mustAppend(t, j, deleted)
	fill(t, j, 1499, at)
	maintain(t, j)
	if first, _ := j.First(t.Context()); first != 1 {
		t.Errorf("young events removed up to %d", first)
	}
	c.add(25 * time.Hour)
	fill(t, j, 100, func(i int64) event.Record { return at(10_000 + i) })
	maintain(t, j)
	first, err := j.First(t.Context())
	if err != nil || first != 1501 {
		t.Errorf("first is %d, %v, want 1501", first, err)
	}
	st, _ := j.Stats(t.Context())
	if st.Pruned != 1500 || st.PrunedUnread != 0 {
		t.Errorf("stats %+v", st)
	}
	if got, err := j.Read(t.Context(), 0, 5); err != nil || len(got) != 5 || got[0].Seq != first {
		t.Errorf("read from the start: %d, %v", len(got), err)
	}
	// A creation or deletion is remembered longer than its event.
	if a := mustAppend(t, j, deleted); !a.Duplicate || a.Seq != 0 || held.Seq != 1 {
		t.Errorf("old deletion again: %+v", a)
	}
	if a := mustAppend(t, j, at(7)); a.Duplicate {
		t.Errorf("content beyond retention: %+v", a)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	c.add(300 * time.Hour)
	j = openTest(t, Options{Dir: dir, Now: c.now, Retention: 24 * time.Hour})
	c.add(time.Hour) // of the time without a process, at most a day counts
	maintain(t, j)
	if first, last := j.tail.Bounds(); first != last || last != 1601 {
		t.Errorf("all events are too old: %d..%d, want only the newest", first, last)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, Options{Dir: dir, Now: c.now})
	if a := mustAppend(t, j, at(99_999)); a.Seq != 1602 {
		t.Errorf("numbers go on at %d", a.Seq)
	}
	c.add(deletedTTL)
	maintain(t, j)
	if a := mustAppend(t, j, deleted); a.Duplicate {
		t.Errorf("an object deleted long ago is remembered: %+v", a)
	}
}

func TestRetentionWaitsForConsumers(t *testing.T) {
	t.Parallel()
	c := newClock()
	var log bytes.Buffer
	j := openTest(t, Options{Now: c.now, Retention: time.Hour, Log: zerolog.New(zerolog.SyncWriter(&log))})
	fill(t, j, 100, content)
	if err := j.MoveCursor(t.Context(), "slow", 0, 40); err != nil {
		t.Fatal(err)
	}
	c.add(90 * time.Minute)
	maintain(t, j)
	if first, _ := j.First(t.Context()); first != 41 {
		t.Errorf("first is %d, want what the consumer has read", first)
	}
	if list, err := j.Consumers(t.Context()); err != nil || list[0].Lag != 60 || list[0].LagSeconds < 5000 {
		t.Errorf("consumers %+v, %v", list, err)
	}
	if strings.Contains(log.String(), "has not read") {
		t.Error("warned too early")
	}
	c.add(time.Hour)
	mustAppend(t, j, content(101))
	maintain(t, j)
	st, err := j.Stats(t.Context())
	if err != nil || st.First != 101 || st.PrunedUnread != 60 {
		t.Errorf("stats %+v, %v", st, err)
	}
	if !strings.Contains(log.String(), "has not read") {
		t.Error("removed unread events silently")
	}
}

func TestRetentionBySize(t *testing.T) {
	t.Parallel()
	const limit = 4 << 20
	c := newClock()
	var log bytes.Buffer
	j := openTest(t, Options{Dir: memoryDir(t), MaxBytes: limit, Now: c.now, Log: zerolog.New(zerolog.SyncWriter(&log))})
	if err := j.MoveCursor(t.Context(), "reader", 0, 0); err != nil {
		t.Fatal(err)
	}
	big := func(i int64) event.Record {
		r := content(i)
		r.Body = bytes.Repeat([]byte{byte(i)}, 4000)
		return r
	}
	var most int64
	for round := range int64(6) {
		fill(t, j, 1000, func(i int64) event.Record { return big(round*1000 + i) })
		maintain(t, j)
		if most = max(most, database.FileSize(j.path)); most > limit {
			t.Fatalf("round %d: %d bytes, more than %d", round, most, limit)
		}
	}
	st, err := j.Stats(t.Context())
	if err != nil || st.Last != 6000 || st.First < 4000 || st.PrunedUnread == 0 {
		t.Errorf("stats %+v, %v", st, err)
	}
	warned := func() int { return strings.Count(log.String(), "may be reported twice") }
	if warned() != 1 {
		t.Errorf("%d warnings that events of the last minutes were removed, want one", warned())
	}
	c.add(youngest)
	if err := j.MoveCursor(t.Context(), "reader", 0, 6000); err != nil {
		t.Fatal(err)
	}
	before := st.PrunedUnread
	fill(t, j, 500, func(i int64) event.Record { return big(9000 + i) })
	maintain(t, j)
	if st, _ := j.Stats(t.Context()); st.PrunedUnread != before || st.First > 6001 || st.First <= 4000 {
		t.Errorf("unread events were removed before read ones: %+v", st)
	}
	if warned() != 1 {
		t.Error("warned of events that were old")
	}
}

// TestRetentionSparesWhoKeepsUp: a consumer that hangs loses events that must be
// removed. A consumer that is only a little behind loses none.
func TestRetentionSparesWhoKeepsUp(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20 // less than one step removes
	j := openTest(t, Options{Dir: memoryDir(t), MaxBytes: limit})
	const behind = 20
	at := int64(0)
	for _, name := range []string{"hangs", "keeps up"} {
		if err := j.MoveCursor(t.Context(), name, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	for round := range int64(60) {
		fill(t, j, 100, func(i int64) event.Record {
			r := content(round*100 + i)
			r.Body = bytes.Repeat([]byte{byte(i)}, 4000)
			return r
		})
		maintain(t, j)
		if st, err := j.Stats(t.Context()); err != nil || st.First > at+1 {
			t.Fatalf("round %d: begins at %d, though a consumer goes on from %d: %v", round, st.First, at+1, err)
		}
		next := (round+1)*100 - behind
		if err := j.MoveCursor(t.Context(), "keeps up", at, next); err != nil {
			t.Fatal(err)
		}
		at = next
	}
	if st, err := j.Stats(t.Context()); err != nil || st.PrunedUnread == 0 || st.First < 4000 {
		t.Errorf("nothing was removed that a consumer had not read: %+v, %v", st, err)
	}
}

// TestShrink: many free pages are given back, even without a size limit.
func TestShrink(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Dir: memoryDir(t), Now: c.now, Retention: time.Hour})
	fill(t, j, 2000, func(i int64) event.Record {
		r := content(i)
		r.Body = make([]byte, 2000)
		return r
	})
	c.add(2 * time.Hour)
	mustAppend(t, j, content(3000))
	maintain(t, j)
	var pages, free int64
	err := j.read(t.Context(), func(c *conn) error {
		if _, err := c.Ints(t.Context(), "PRAGMA page_count", nil, &pages); err != nil {
			return err
		}
		_, err := c.Ints(t.Context(), "PRAGMA freelist_count", nil, &free)
		return err
	})
	if err != nil || pages > 300 || free > pages/2 {
		t.Errorf("%d pages, %d free, %v", pages, free, err)
	}
}
