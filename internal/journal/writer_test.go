package journal

import (
	"bytes"
	"testing"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/tables"
)

// inOne has the writer store records in one transaction.
func inOne(t *testing.T, j *Journal, recs ...event.Record) []event.Appended {
	t.Helper()
	held, hold := make(chan struct{}), make(chan struct{})
	go func() { _, _ = j.do(t.Context(), &probe{run: func() { close(held); <-hold }}) }()
	<-held
	var all []*work
	for i, r := range recs {
		k := &work{cmd: &request{Rec: tables.Normal(r), Command: uint64(i + 1)}, done: make(chan struct{}, 1)}
		if err := j.queue.push(k); err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	close(hold)
	var got []event.Appended
	for _, k := range all {
		if <-k.done; k.err != nil {
			t.Fatal(k.err)
		}
		got = append(got, k.appended)
	}
	return got
}

// A decision within a transaction takes account of what the same transaction
// stores.
func TestOneTransaction(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Now: c.now})
	at := func(r event.Record) event.Record { r.ReceivedAt = c.now(); return r }
	again := sample(2, event.Edited)
	again.Source, again.Firing = event.SourceRecovered, event.Firing{ID: "f", First: c.now(), Last: c.now()}
	got := inOne(t, j,
		at(sample(1, event.Deleted)), at(sample(1, event.Deleted)), // a duplicate
		at(content(3)), at(content(3)), // a duplicate
		at(sample(2, event.Edited)), at(again), // recovered, while the request's outcome is unknown
		at(again),                   // the same firing, read twice
		at(sample(2, event.Edited)), // another edit, at the same time
	)
	want := []event.Appended{
		{Seq: 1}, {Seq: 1, Duplicate: true}, {Seq: 2}, {Seq: 2, Duplicate: true},
		{Seq: 3}, {Seq: 3, Duplicate: true}, {Seq: 3, Duplicate: true}, {Seq: 4},
	}
	for i, a := range got {
		if a.Seq != want[i].Seq || a.Duplicate != want[i].Duplicate || a.ID == "" {
			t.Errorf("request %d: %+v, want %+v", i, a, want[i])
		}
	}
	st, err := j.Stats(t.Context())
	if err != nil || st.Duplicates[event.RuleLifecycle] != 1 || st.Duplicates[event.RuleContent] != 1 || st.Duplicates[event.RuleUnacknowledged] != 2 {
		t.Errorf("%+v, %v", st, err)
	}
}

// One object has more events than a page of the index.
func TestQueryManyOfOneObject(t *testing.T) {
	t.Parallel()
	const n = 5 * 128
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, n, func(i int64) event.Record {
		r := content(i)
		r.ObjectID = []string{"one", "two"}[i%2]
		return r
	})
	for _, q := range []event.Query{
		{Objects: []string{"one"}, Limit: n}, {Objects: []string{"one"}, Limit: n, OldestFirst: true},
		{Objects: []string{"one", "two"}, Limit: n, OldestFirst: true}, {Objects: []string{"one", "two"}, Limit: n},
	} {
		recs, _, err := j.Query(t.Context(), q)
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
	if recent, _, err := j.tail.Read(0, n); err != nil || len(recent) == n {
		t.Errorf("all are kept in memory, %v", err)
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
