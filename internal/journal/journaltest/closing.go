package journaltest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

func testClose(t *testing.T, open Opener) {
	l := start(t, open)
	store(t, l, edit(1))
	waiting := make(chan error)
	go func() { waiting <- l.Wait(context.WithoutCancel(t.Context()), 1) }()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, journal.ErrClosed) {
		t.Errorf("wait ended with %v", err)
	}
	if _, err := l.Append(t.Context(), edit(2)); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := l.MoveCursor(t.Context(), "c", 0, 1); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("move: %v", err)
	}
	if _, _, err := l.Query(t.Context(), event.Query{}); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("query: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// Every append that returned without an error is stored, whatever Close interrupts.
// Every other append returns ErrClosed.
func testCloseFinishes(t *testing.T, open Opener) {
	dir := MemoryDir(t)
	l := open(t, dir)
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored := map[int64]bool{}
	begun := make(chan struct{}, 8)
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				a, err := l.Append(t.Context(), edit(w*100000+i))
				if err != nil {
					if !errors.Is(err, journal.ErrClosed) {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				stored[a.Seq] = true
				mu.Unlock()
				if i == 0 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range cap(begun) {
		<-begun
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	l = open(t, dir)
	t.Cleanup(func() { _ = l.Close() })
	checkDense(t, readAll(t, l), len(stored))
}

func testCancelled(t *testing.T, open Opener) {
	l := start(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(ctx, edit(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	store(t, l, edit(2))
}
