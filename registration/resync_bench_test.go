package registration

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/journal/journaltest"
)

// BenchmarkResync lists 100,000 users, and reports the rate and the peak of memory.
func BenchmarkResync(b *testing.B) {
	const users = 100_000
	j := openJournal(b, journaltest.MemoryDir(b), time.Now)
	api := listing(users)
	for b.Loop() {
		peak := uint64(0)
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		before := m.HeapInuse
		r, err := NewResyncer(api, j, ResyncOptions{Specs: deletedUsers}).Run(b.Context(), testAccount, Request{Progress: func(Progress) {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}})
		if err != nil || r.Listed != users {
			b.Fatal(r.Listed, err)
		}
		b.ReportMetric(float64(peak-min(peak, before))/(1<<20), "MB-peak")
	}
	b.ReportMetric(float64(users)*float64(b.N)/b.Elapsed().Seconds(), "users/s")
}

// listing is an ObjectAPI with that number of users.
type listing int

func (l listing) Object(_ context.Context, _, _, id string) (crossbar.Object, error) {
	return crossbar.Object{ID: id}, nil
}

func (l listing) Descendants(context.Context, string) iter.Seq2[crossbar.Account, error] {
	return func(func(crossbar.Account, error) bool) {}
}

func (l listing) Objects(_ context.Context, _, _ string) iter.Seq2[crossbar.Object, error] {
	return func(yield func(crossbar.Object, error) bool) {
		for i := range int(l) {
			id := fmt.Sprintf("%032x", i)
			if !yield(crossbar.Object{ID: id, Fields: map[string]string{"first_name": "Ann", "last_name": "Lee", "username": id, "email": id + "@x"}}, nil) {
				return
			}
		}
	}
}
