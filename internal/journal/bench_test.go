package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/internal/event"
)

// sample is the n-th of many requests, as routing would give it.
func sample(n int64, action event.Action) event.Record {
	id := fmt.Sprintf("%016x%016x", uint64(n)*0x9e3779b97f4a7c15, n)
	r := event.Record{
		Request: event.Request{
			Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object", HookID: "5f1e6f0c2a3b4c5d6e7f8091a2b3c4d5",
			HookAccountID: "0123456789abcdef0123456789abcdef", Method: "POST", ContentType: "application/x-www-form-urlencoded",
			RemoteAddr: "192.0.2.7:41234",
			Body:       []byte("id=" + id + "&account_id=0123456789abcdef0123456789abcdef&action=" + string(action) + "&type=user&cluster_id=c1"),
		},
		Event: "user.edited", AccountID: "0123456789abcdef0123456789abcdef", ObjectType: "user", ObjectID: id, Action: action,
	}
	switch action {
	case event.Edited:
		r.Dedupe = event.Dedupe{Rule: event.RuleUnacknowledged}
		copy(r.Dedupe.Key[:], id)
	default:
		r.Event = "user.deleted"
		r.Dedupe = event.Dedupe{Rule: event.RuleLifecycle, Key: event.LifecycleKey(r.AccountID, "user", id)}
	}
	return r
}

func content(n int64) event.Record {
	r := sample(n, event.Edited)
	r.Event, r.ObjectType, r.Action = "channel.create", "", ""
	r.Dedupe.Rule = event.RuleContent
	return r
}

func BenchmarkAppend(b *testing.B) {
	kinds := map[string]func(int64) event.Record{
		"edited":  func(n int64) event.Record { return sample(n, event.Edited) },
		"deleted": func(n int64) event.Record { return sample(n, event.Deleted) },
		"channel": content,
	}
	for _, kind := range []string{"edited", "deleted", "channel"} {
		for _, callers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d", kind, callers), func(b *testing.B) {
				j, err := Open(b.Context(), Options{Dir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = j.Close() }()
				make := kinds[kind]
				var n atomic.Int64
				var wg sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for range callers {
					wg.Go(func() {
						for {
							i := n.Add(1)
							if i > int64(b.N) {
								return
							}
							r := make(i)
							a, err := j.Append(context.Background(), r)
							if err != nil {
								b.Error(err)
								return
							}
							j.Acknowledged(r, a, true)
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				s, _ := j.Stats(context.Background())
				b.ReportMetric(float64(s.Transactions)/float64(b.N), "syncs/event")
			})
		}
	}
}

// BenchmarkSync measures one small write with its sync. An append by a single caller
// can't be faster.
func BenchmarkSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 4096+24)
	for i := 0; b.Loop(); i++ {
		if _, err := f.WriteAt(page, int64(i%1000*len(page))); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}
