package journal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/search"
)

// mixed appends n events of few accounts, names and objects. Some of them were
// received long before they are stored.
func mixed(t testing.TB, j *Journal, c *clock, r *rand.Rand, n int) (all []event.Record) {
	t.Helper()
	for i := range n {
		c.add(time.Duration(r.IntN(20)) * time.Second)
		rec := sample(int64(i), event.Edited)
		rec.ReceivedAt = c.now()
		rec.AccountID = []string{"acc1", "acc2", "other", ""}[r.IntN(4)]
		rec.Event = []string{"user.edited", "user.deleted", "channel.create", "notification.a[b]c", "rare"}[min(r.IntN(5), r.IntN(5))]
		rec.ObjectID = fmt.Sprintf("object%d", r.IntN(40))
		if r.IntN(30) == 0 {
			rec.ObjectID = ""
		}
		if r.IntN(20) == 0 {
			rec.Source = event.SourceRecovered
			rec.ReceivedAt = rec.ReceivedAt.Add(-time.Duration(r.IntN(7200)) * time.Second)
		}
		if r.IntN(100) == 0 {
			c.add(-time.Duration(r.IntN(3600)) * time.Second)
		}
		a := mustAppend(t, j, rec)
		if a.Duplicate {
			t.Fatal("sample is a duplicate")
		}
		rec.Seq, rec.ID = a.Seq, a.ID
		all = append(all, rec)
	}
	return all
}

// A query by the indexes finds the same as a look at every event.
func TestQueryFindsAll(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same every time
	c := newClock()
	o := Options{Dir: memoryDir(t), Now: c.now}
	j := openTest(t, o)
	all := mixed(t, j, c, r, 500)
	check := func() {
		t.Helper()
		n := 150
		if slow {
			n = 30
		}
		for range n {
			q := randomQuery(r, all)
			compareQuery(t, j, q, all)
			if t.Failed() {
				return
			}
		}
	}
	check()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, o)
	check()
}

func randomQuery(r *rand.Rand, all []event.Record) (q event.Query) {
	pick := func(values ...string) (some []string) {
		for _, v := range values {
			if r.IntN(3) == 0 {
				some = append(some, v)
			}
		}
		return some
	}
	if r.IntN(2) == 0 {
		q.Events = pick("user.edited", "rare", "user.*", "*[b]*", "no.such", "*", "channel.creat?")
	}
	if r.IntN(2) == 0 {
		q.Accounts = pick("acc1", "acc?", "other", "", "*r")
	}
	if r.IntN(3) == 0 {
		q.Objects = pick("object1", "object7", "object33", "absent", "")
	}
	if r.IntN(3) == 0 {
		q.Sources = [][]event.Source{{event.SourceWebhook}, {event.SourceRecovered}, {event.SourceResync, event.SourceRecovered}}[r.IntN(3)]
	}
	if r.IntN(5) == 0 {
		q.Text = "A1"
	}
	if r.IntN(2) == 0 {
		q.Since = all[r.IntN(len(all))].ReceivedAt.Add(time.Duration(r.IntN(3)-1) * time.Millisecond)
	}
	if r.IntN(2) == 0 {
		q.Until = all[r.IntN(len(all))].ReceivedAt.Add(time.Duration(r.IntN(3)-1) * time.Nanosecond)
	}
	if r.IntN(4) == 0 {
		q.After = int64(r.IntN(len(all)))
	}
	if r.IntN(4) == 0 {
		q.Before = int64(r.IntN(len(all)))
	}
	q.OldestFirst = r.IntN(2) == 0
	q.Limit = []int{0, 1, 7, 10000}[r.IntN(4)]
	return q
}

func compareQuery(t *testing.T, j *Journal, q event.Query, all []event.Record) {
	t.Helper()
	var want, got []int64
	for _, rec := range all {
		if q.Match(rec) {
			want = append(want, rec.Seq)
		}
	}
	if n, err := j.Count(t.Context(), q); err != nil || n != int64(len(want)) {
		t.Errorf("count %+v: %d, %v, want %d", q, n, err, len(want))
	}
	if !q.OldestFirst {
		slices.Reverse(want)
	}
	limit := q.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	want = want[:min(limit, len(want))]
	recs, _, err := j.Query(t.Context(), q)
	if err != nil {
		t.Errorf("%+v: %v", q, err)
	}
	for _, rec := range recs {
		got = append(got, rec.Seq)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v:\n got %v\nwant %v", q, got, want)
	}
}

// Long runs are read in pages, and many runs are merged.
func TestQueryLarge(t *testing.T) {
	t.Parallel()
	const span = 500
	const n = 5 * span / 2
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, n, func(i int64) event.Record {
		r := sample(i, event.Edited)
		r.AccountID = fmt.Sprintf("account%04d", i%100)
		return r
	})
	for _, q := range []event.Query{
		{Text: "no such text"}, {Text: "no such text", OldestFirst: true},
		{Accounts: []string{"account*"}, Limit: n}, {Accounts: []string{"account*"}, Limit: n, OldestFirst: true},
		{Accounts: []string{"account001*"}, Limit: n}, {Accounts: []string{"account000*", "account0099"}, Limit: n, OldestFirst: true},
	} {
		recs, _, err := j.Query(t.Context(), q)
		count, cerr := j.Count(t.Context(), q)
		if err != nil || cerr != nil || int64(len(recs)) != count {
			t.Errorf("%+v: %d found, %d counted, %v, %v", q, len(recs), count, err, cerr)
		}
		for i, r := range recs {
			if !q.Match(r) || (i > 0 && (r.Seq > recs[i-1].Seq) != q.OldestFirst) {
				t.Fatalf("%+v: %d out of order or wrong", q, r.Seq)
			}
		}
	}
}

// A query that finds little stops after 20,000 events and returns where to go on.
func TestQueryStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	if slow {
		t.Skip("it takes long, and has nothing to race")
	}
	const n = search.MaxLooks + 500
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, n, func(i int64) event.Record { return sample(i, event.Edited) })
	first, err := j.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	q := event.Query{Text: string(first.Body)}
	recs, next, err := j.Query(t.Context(), q)
	if err != nil || len(recs) != 0 || next != n-search.MaxLooks+1 {
		t.Fatalf("%d found, next %d, %v", len(recs), next, err)
	}
	q.Before = next
	if recs, next, err = j.Query(t.Context(), q); err != nil || len(recs) != 1 || recs[0].Seq != 1 || next != 0 {
		t.Errorf("%d found, next %d, %v", len(recs), next, err)
	}
	if k, err := j.Count(t.Context(), event.Query{Text: string(first.Body)}); k != 1 || err != nil {
		t.Errorf("%d counted, %v", k, err)
	}
}

// fill stores n events quickly.
func fill(t testing.TB, j *Journal, n int64, make func(int64) event.Record) {
	t.Helper()
	work := newRange(n)
	done := work.each(64, func(i int64) {
		r := make(i)
		a, err := j.Append(t.Context(), r)
		if err != nil {
			t.Error(err)
		}
		j.Acknowledged(r, a, true)
	})
	<-done
}
