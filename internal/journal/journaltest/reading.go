package journaltest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

func testBounds(t *testing.T, open Opener) {
	l := start(t, open)
	check := func(first, last int64) {
		t.Helper()
		f, err1 := l.First(t.Context())
		n, err2 := l.Last(t.Context())
		if f != first || n != last || err1 != nil || err2 != nil {
			t.Errorf("first %d, last %d, want %d and %d (%v, %v)", f, n, first, last, err1, err2)
		}
	}
	check(0, 0)
	if page, err := l.Read(t.Context(), 0, 10); len(page) != 0 || err != nil {
		t.Errorf("read of nothing: %d, %v", len(page), err)
	}
	for i := range 5 {
		store(t, l, edit(i))
	}
	check(1, 5)
	for _, seq := range []int64{-1, 0, 6} {
		if _, err := l.Get(t.Context(), seq); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("get %d: %v", seq, err)
		}
	}
	for _, c := range []struct {
		after int64
		limit int
		want  int
	}{{0, 2, 2}, {4, 10, 1}, {5, 10, 0}, {100, 10, 0}, {-5, 10, 5}, {0, 0, 0}} {
		if page, err := l.Read(t.Context(), c.after, c.limit); len(page) != c.want || err != nil {
			t.Errorf("read %d after %d: got %d, %v", c.limit, c.after, len(page), err)
		}
	}
	if err := l.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
}

func testWait(t *testing.T, open Opener) {
	l := start(t, open)
	woken := make(chan error, 8)
	for range cap(woken) {
		go func() { woken <- l.Wait(t.Context(), 1) }()
	}
	store(t, l, edit(0))
	if err := l.Wait(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-woken:
		t.Fatalf("woken too early: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	store(t, l, edit(1))
	for range cap(woken) {
		if err := <-woken; err != nil {
			t.Error(err)
		}
	}
}

func testWaitContext(t *testing.T, open Opener) {
	l := start(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Wait(ctx, 0) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func testCursors(t *testing.T, open Opener) {
	dir := MemoryDir(t)
	l := open(t, dir)
	for i := range 10 {
		store(t, l, edit(i))
	}
	move := func(from, to int64, want error) {
		t.Helper()
		if err := l.MoveCursor(t.Context(), "log", from, to); !errors.Is(err, want) {
			t.Errorf("move from %d to %d: %v, want %v", from, to, err, want)
		}
	}
	at := func(want int64) {
		t.Helper()
		if c, err := l.Cursor(t.Context(), "log"); c != want || err != nil {
			t.Errorf("cursor at %d, %v, want %d", c, err, want)
		}
	}
	at(0)
	move(1, 2, journal.ErrCursorMoved)
	move(0, 7, nil)
	move(0, 8, journal.ErrCursorMoved)
	at(7)
	move(7, 100, nil) // skips future events
	move(100, 3, nil)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	t.Cleanup(func() { _ = l.Close() })
	at(3)
	list, err := l.Consumers(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != "log" || list[0].Cursor != 3 || list[0].Lag != 7 {
		t.Errorf("consumers %+v, %v", list, err)
	}
}

// If several move a cursor from the same place, one succeeds.
func testCompetingMoves(t *testing.T, open Opener) {
	l := start(t, open)
	for i := range 10 {
		store(t, l, edit(i))
	}
	for round := range int64(10) {
		var wg sync.WaitGroup
		won := make(chan int64, 4)
		for i := range int64(4) {
			wg.Go(func() {
				err := l.MoveCursor(t.Context(), "c", round, round+1)
				if err == nil {
					won <- i
				} else if !errors.Is(err, journal.ErrCursorMoved) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("round %d: %d moves succeeded", round, len(won))
		}
	}
}

func testQuery(t *testing.T, open Opener) {
	l := start(t, open)
	var all []event.Record
	for i := range 60 {
		r := edit(i % 20)
		if i%7 == 0 {
			r = lifecycle(100+i, event.Deleted)
		}
		a := store(t, l, r)
		r.Seq, r.ID = a.Seq, a.ID
		all = append(all, r)
	}
	for name, q := range map[string]event.Query{
		"all":           {},
		"account":       {Accounts: []string{"account-a"}},
		"accounts":      {Accounts: []string{"account-a", "*-b"}},
		"event":         {Events: []string{"user.deleted"}},
		"wildcard":      {Events: []string{"*.del?ted"}},
		"object":        {Objects: []string{"object-3"}},
		"nothing":       {Objects: []string{"no such"}},
		"text":          {Text: "OBJECT-1"},
		"range":         {After: 10, Before: 20},
		"oldest first":  {OldestFirst: true, Accounts: []string{"account-c"}},
		"limit":         {Limit: 3, Events: []string{"user.edited"}},
		"time":          {Since: all[10].ReceivedAt, Until: all[50].ReceivedAt},
		"several":       {Since: all[5].ReceivedAt, Accounts: []string{"account-b"}, Events: []string{"user.*"}, Limit: 4},
		"future":        {Since: time.Now().Add(time.Hour)},
		"empty account": {Accounts: []string{""}},
		"source":        {Sources: []event.Source{event.SourceWebhook}},
		"no source":     {Sources: []event.Source{event.SourceResync}, Accounts: []string{"account-a"}},
	} {
		var want []int64
		for i := range all {
			r := all[len(all)-1-i]
			if q.OldestFirst {
				r = all[i]
			}
			if q.Match(r) {
				want = append(want, r.Seq)
			}
		}
		total := len(want)
		if q.Limit > 0 {
			want = want[:min(q.Limit, len(want))]
		}
		got, next, err := l.Query(t.Context(), q)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d events, want %d", name, len(got), len(want))
			continue
		}
		if more := len(want) < total; more && next != want[len(want)-1] || !more && q.Limit == 0 && next != 0 {
			t.Errorf("%s: stopped at %d", name, next)
		}
		for i := range got {
			if got[i].Seq != want[i] || !q.Match(got[i]) {
				t.Errorf("%s: event %d is %d, want %d", name, i, got[i].Seq, want[i])
			}
		}
		if n, err := l.Count(t.Context(), q); n != int64(total) || err != nil {
			t.Errorf("%s: counted %d, %v, want %d", name, n, err, total)
		}
	}
}
