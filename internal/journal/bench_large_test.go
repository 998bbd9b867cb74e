package journal

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"kazoohook/internal/event"
)

// large makes a journal of n events: a thousand accounts, few names, an event of
// a rare name now and then, and as many objects as events.
func large(b *testing.B, n int64) string {
	b.Helper()
	c := newClock()
	j := openTest(b, Options{Now: c.now})
	fill(b, j, n, func(i int64) event.Record {
		if i%64 == 0 {
			c.add(time.Second)
		}
		r := sample(i, event.Edited)
		r.ReceivedAt = c.now()
		r.AccountID = account(int(i*7919) % 1000)
		r.Event = []string{"user.edited", "channel.create", "channel.destroy"}[i%3]
		if i%50_000 == 0 {
			r.Event = "user.deleted"
		}
		return r
	})
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	return j.opt.Dir
}

func account(i int) string { return fmt.Sprintf("%032x", i) }

func sizes() []int64 {
	if testing.Short() {
		return []int64{1e3}
	}
	return []int64{1e3, 1e6}
}

// BenchmarkOpen opens and closes: the time must not follow the size.
func BenchmarkOpen(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprintf("%.0e", float64(n)), func(b *testing.B) {
			dir := large(b, n)
			b.ResetTimer()
			for range b.N {
				j, err := Open(b.Context(), Options{Dir: dir})
				if err != nil {
					b.Fatal(err)
				}
				if err := j.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkQuery(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same every time
	for _, n := range sizes() {
		j := openTest(b, Options{Dir: large(b, n)})
		at := newClock().now().Add(time.Duration(n/128) * time.Second) // the middle
		for _, q := range []struct {
			name string
			next func() event.Query
		}{
			{"newest", func() event.Query { return event.Query{} }},
			{"account", func() event.Query { return event.Query{Accounts: []string{account(random.IntN(1000))}} }},
			{"object", func() event.Query {
				return event.Query{Objects: []string{sample(random.Int64N(n)+1, event.Edited).ObjectID}}
			}},
			{"minute", func() event.Query { return event.Query{Since: at, Until: at.Add(time.Minute)} }},
			{"rare event", func() event.Query { return event.Query{Events: []string{"user.deleted"}} }},
			{"rare event of account", func() event.Query {
				return event.Query{Events: []string{"*.deleted"}, Accounts: []string{account(7)}}
			}},
			{"account before", func() event.Query {
				return event.Query{Accounts: []string{account(7)}, Until: at}
			}},
		} {
			b.Run(fmt.Sprintf("%.0e/%s", float64(n), q.name), func(b *testing.B) {
				found := 0
				for b.Loop() {
					recs, err := j.Query(b.Context(), q.next())
					if err != nil {
						b.Fatal(err)
					}
					found += len(recs)
				}
				b.ReportMetric(float64(found)/float64(b.N), "events/op")
			})
		}
	}
}
