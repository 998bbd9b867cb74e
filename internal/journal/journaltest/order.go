package journaltest

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/event"
)

func testOrder(t *testing.T, open Opener) {
	l := start(t, open)
	for i := range 300 {
		if a := store(t, l, edit(i)); a.Seq != int64(i)+1 {
			t.Fatalf("event %d has number %d", i, a.Seq)
		}
	}
	checkDense(t, readAll(t, l), 300)
}

// checkDense wants n events, numbered from 1, with increasing ids.
func checkDense(t *testing.T, all []event.Record, n int) {
	t.Helper()
	if len(all) != n {
		t.Fatalf("%d events, want %d", len(all), n)
	}
	for i, r := range all {
		if r.Seq != int64(i)+1 {
			t.Fatalf("event %d has number %d", i+1, r.Seq)
		}
		if len(r.ID) != 26 || (i > 0 && r.ID <= all[i-1].ID) {
			t.Fatalf("id %q of event %d does not follow %q", r.ID, r.Seq, all[max(i, 1)-1].ID)
		}
	}
}

func testRoundTrip(t *testing.T, open Opener) {
	dir := MemoryDir(t)
	l := open(t, dir)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	full := edit(1)
	full.Source, full.ReceivedAt = event.SourceRecovered, at
	full.Firing = event.Firing{ID: "0123456789", First: at.Add(-time.Second), Last: at}
	full.Problem, full.Event = "why it is unknown", event.Unknown
	full.Body = bytes.Repeat([]byte{0, 0xff, 'a', '\n'}, 1<<16)
	empty := event.Record{Request: event.Request{Source: event.SourceWebhook}}
	empty.Dedupe.Key[0] = 1
	odd := edit(2)
	odd.ObjectID, odd.ContentType, odd.Body = "a\x00b\xff ü", "", nil
	want := []event.Record{full, empty, odd}
	for i := range want {
		a := store(t, l, want[i])
		want[i].Seq, want[i].ID = a.Seq, a.ID
	}
	check := func(what string) {
		t.Helper()
		if diff := cmp.Diff(want, readAll(t, l)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		for _, r := range want {
			got, err := l.Get(t.Context(), r.Seq)
			if diff := cmp.Diff(r, got); err != nil || diff != "" {
				t.Errorf("%s, get %d: %v\n%s", what, r.Seq, err, diff)
			}
		}
	}
	check("at once")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	t.Cleanup(func() { _ = l.Close() })
	check("opened again")
}

func testDurability(t *testing.T, open Opener) {
	dir := MemoryDir(t)
	for round := range 3 {
		l := open(t, dir)
		checkDense(t, readAll(t, l), round*40)
		for i := range 40 {
			store(t, l, edit(round*40+i))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l := open(t, dir)
	t.Cleanup(func() { _ = l.Close() })
	checkDense(t, readAll(t, l), 120)
}

func testConcurrentAppends(t *testing.T, open Opener) {
	const writers, each = 16, 100
	l := start(t, open)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			last := int64(0)
			for i := range each {
				a, err := l.Append(t.Context(), edit(w*each+i))
				if err != nil || a.Duplicate || a.Seq <= last {
					t.Errorf("writer %d: %+v after %d: %v", w, a, last, err)
					return
				}
				last = a.Seq
			}
		})
	}
	// Meanwhile a reader sees all events in order, and waits for the next ones.
	var seen []event.Record
	for after := int64(0); after < writers*each; {
		if err := l.Wait(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		page, err := l.Read(t.Context(), after, 50)
		if err != nil || len(page) == 0 {
			t.Fatalf("read after %d: %d events, %v", after, len(page), err)
		}
		seen = append(seen, page...)
		after = page[len(page)-1].Seq
	}
	wg.Wait()
	checkDense(t, seen, writers*each)
	objects := map[string]bool{}
	for _, r := range seen {
		objects[r.ObjectID] = true
	}
	if len(objects) != writers*each {
		t.Errorf("%d different events, want %d", len(objects), writers*each)
	}
}
