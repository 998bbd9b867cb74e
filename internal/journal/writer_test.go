package journal

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
)

// inOne has the writer store records in one transaction.
func inOne(t *testing.T, j *Journal, recs ...event.Record) []event.Appended {
	t.Helper()
	held, hold := make(chan struct{}), make(chan struct{})
	go func() { _ = j.do(t.Context(), func(*txn) error { close(held); <-hold; return nil }) }()
	<-held
	var reqs []*request
	for _, r := range recs {
		req := &request{append: true, rec: normal(r), done: make(chan struct{}, 1)}
		if err := j.queue.push(req); err != nil {
			t.Fatal(err)
		}
		reqs = append(reqs, req)
	}
	close(hold)
	var got []event.Appended
	for _, req := range reqs {
		if <-req.done; req.err != nil {
			t.Fatal(req.err)
		}
		got = append(got, req.appended)
	}
	return got
}

// What is decided within a transaction takes account of what the same
// transaction stores.
func TestOneTransaction(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Now: c.now})
	start := c.now()
	at := func(r event.Record, d time.Duration) event.Record { r.ReceivedAt = start.Add(d); return r }
	deleted, edited := sample(1, event.Deleted), sample(1, event.Edited)
	again := sample(2, event.Edited)
	again.Source, again.Firing = event.SourceRecovered, event.Firing{ID: "f", First: start, Last: start}
	got := inOne(t, j,
		at(deleted, 0), at(deleted, time.Second), // repeated
		at(edited, 2*time.Minute), at(deleted, 3*time.Minute), // undeleted, deleted
		at(content(3), 0), at(content(3), time.Second), // repeated
		at(sample(2, event.Edited), 0), at(again, 0), // arrived when it was tried
	)
	want := []event.Appended{{Seq: 1}, {Seq: 1, Duplicate: true}, {Seq: 2}, {Seq: 3}, {Seq: 4}, {Seq: 4, Duplicate: true}, {Seq: 5}, {Seq: 5, Duplicate: true}}
	for i, a := range got {
		if a.Seq != want[i].Seq || a.Duplicate != want[i].Duplicate || a.ID == "" {
			t.Errorf("request %d: %+v, want %+v", i, a, want[i])
		}
	}
	st, err := j.Stats(t.Context())
	if err != nil || st.Duplicates[event.RuleLifecycle] != 1 || st.Duplicates[event.RuleContent] != 1 || st.Duplicates[event.RuleUnacknowledged] != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// The tables are brought up to date while appends go on, and nothing is lost
// from sight meanwhile.
func TestMergeUnderLoad(t *testing.T) {
	t.Parallel()
	o := Options{Dir: memoryDir(t), mergeAt: 100}
	j := openTest(t, o)
	n := int64(3000)
	if slow {
		n = 400
	}
	rec := func(i int64) event.Record {
		r := content(i)
		r.AccountID = fmt.Sprintf("account%d", i%7)
		return r
	}
	stored := make([]chan struct{}, n+1)
	for i := range stored {
		stored[i] = make(chan struct{})
	}
	work := newRange(n)
	<-work.each(16, func(i int64) {
		a, err := j.Append(t.Context(), rec(i))
		close(stored[i])
		if err != nil || a.Duplicate {
			t.Errorf("append %d: %+v, %v", i, a, err)
		}
		for _, back := range []int64{100, 250, 1000} {
			if i <= back {
				break
			}
			<-stored[i-back] // long since, but for a caller that was held up
			if b, err := j.Append(t.Context(), rec(i-back)); err != nil || !b.Duplicate {
				t.Errorf("repeat of %d: %+v, %v", i-back, b, err)
			}
		}
		if recs, err := j.Query(t.Context(), event.Query{Objects: []string{rec(i).ObjectID}}); err != nil || len(recs) != 1 {
			t.Errorf("query of %d: %d, %v", i, len(recs), err)
		}
	})
	st, err := j.Stats(t.Context())
	if err != nil || st.Unindexed > 2*100+64 {
		t.Errorf("%+v, %v", st, err)
	}
	if k, err := j.Count(t.Context(), event.Query{Accounts: []string{"account3"}}); err != nil || k < n/7 {
		t.Errorf("%d of one account, %v", k, err)
	}
}

// An object with more events than one page of the index.
func TestQueryManyOfOneObject(t *testing.T) {
	t.Parallel()
	const n = 2*planPage + 200
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, n, func(i int64) event.Record {
		r := content(i)
		r.ObjectID = []string{"one", "two"}[i%2]
		return r
	})
	flush(t, j)
	for _, q := range []event.Query{
		{Objects: []string{"one"}, Limit: n}, {Objects: []string{"one"}, Limit: n, OldestFirst: true},
		{Objects: []string{"one", "two"}, Limit: n, OldestFirst: true}, {Objects: []string{"one", "two"}, Limit: n},
	} {
		recs, err := j.Query(t.Context(), q)
		if want := n / 2 * len(q.Objects); err != nil || len(recs) != want {
			t.Errorf("%+v: %d, %v, want %d", q, len(recs), err, want)
		}
		for i, r := range recs {
			if i > 0 && (r.Seq > recs[i-1].Seq) != q.OldestFirst {
				t.Fatalf("%+v: %d after %d", q, r.Seq, recs[i-1].Seq)
			}
		}
	}
}

// Large events are neither all kept in memory nor all returned at once.
func TestReadLarge(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t)})
	const n = 12
	for i := range int64(n) {
		r := sample(i, event.Edited)
		r.Body = bytes.Repeat([]byte{byte(i)}, 1<<20)
		mustAppend(t, j, r)
	}
	if j.tail.recent.bytes > recentMaxBytes {
		t.Errorf("%d bytes kept", j.tail.recent.bytes)
	}
	seen := int64(0)
	for pages := 0; seen < n; pages++ {
		page, err := j.Read(t.Context(), seen, 100)
		if err != nil || len(page) == 0 || (pages == 0 && len(page) == n) {
			t.Fatalf("after %d: %d, %v", seen, len(page), err)
		}
		for _, r := range page {
			if seen++; r.Seq != seen || r.Body[0] != byte(seen-1) {
				t.Fatalf("%d is %d", seen, r.Seq)
			}
		}
	}
}

func TestRecent(t *testing.T) {
	t.Parallel()
	var r recent
	for i := range int64(3 * recentMax) {
		r.push(event.Record{Seq: i + 1})
	}
	if got, ok := r.after(3*recentMax-5, 3); !ok || len(got) != 3 || got[0].Seq != 3*recentMax-4 {
		t.Errorf("%v, %v", got, ok)
	}
	if _, ok := r.after(1, 3); ok {
		t.Error("knows what it has dropped")
	}
	if len(r.recs) > 2*recentMax {
		t.Errorf("keeps %d", len(r.recs))
	}
}

// When a millisecond has no more ids, the next is used.
func TestIDsOverflow(t *testing.T) {
	t.Parallel()
	g := ids{entropy: ulid.Monotonic(bytes.NewReader(bytes.Repeat([]byte{0xff}, 1000)), 1)}
	now := newClock().now()
	a, err1 := g.next(now)
	b, err2 := g.next(now)
	c, err3 := g.next(now.Add(-time.Hour))
	if err1 != nil || err2 != nil || err3 != nil || a.Compare(b) >= 0 || b.Compare(c) >= 0 {
		t.Errorf("%s %s %s: %v %v %v", a, b, c, err1, err2, err3)
	}
}

func TestManyNames(t *testing.T) {
	t.Parallel()
	tl := newTail()
	for i := range maxKnown + 10 {
		tl.learn(nameKey{'e', fmt.Sprint(i)})
	}
	if len(tl.known) > maxKnown || len(tl.fresh) != maxKnown+10 {
		t.Errorf("%d known, %d fresh", len(tl.known), len(tl.fresh))
	}
}

// A listing that saw an object is remembered across a crash, although the
// deletion before it is read again.
func TestReviveSurvivesCrash(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.new(event.Deleted)
	s.after(time.Hour).revive(s.c.now())
	s.crash()
	s.new(event.Deleted)
}
