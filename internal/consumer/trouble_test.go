package consumer_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/consumer"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// troubledLog is a journal that fails with the errors that a test sets.
type troubledLog struct {
	*journal.Journal
	mu                          sync.Mutex
	readErr, cursorErr, moveErr error
	moveAnyway                  bool
}

func (l *troubledLog) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *troubledLog) Read(ctx context.Context, after int64, n int) ([]event.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readErr != nil {
		return nil, l.readErr
	}
	return l.Journal.Read(ctx, after, n)
}

func (l *troubledLog) Cursor(ctx context.Context, name string) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cursorErr != nil {
		return 0, l.cursorErr
	}
	return l.Journal.Cursor(ctx, name)
}

func (l *troubledLog) MoveCursor(ctx context.Context, name string, from, to int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.moveErr != nil && !l.moveAnyway {
		return l.moveErr
	}
	return errors.Join(l.Journal.MoveCursor(ctx, name, from, to), l.moveErr)
}

func TestCursorTrouble(t *testing.T) {
	inTime(t, func(t *testing.T, h *harness) {
		h.append(10)
		broken := errors.New("disk full")
		l := &troubledLog{Journal: h.Journal, cursorErr: broken}
		b := &basket{}
		if err := consumer.NewConsumer(l, b, consumer.Options{Name: "log"}).Run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("run without a cursor: %v", err)
		}
		l.cursorErr = nil
		c := consumer.NewConsumer(l, b, consumer.Options{Name: "log"})
		h.start(c)
		<-time.After(time.Second)
		expect(t, b.take(), seqs(1, 10))

		// Another process moves the cursor back: the consumer follows.
		if err := h.MoveCursor(t.Context(), "log", 10, 5); err != nil {
			t.Fatal(err)
		}
		h.append(1)
		<-time.After(time.Second)
		expect(t, b.take(), append(seqs(11, 11), seqs(6, 11)...))
		if at := h.cursor("log"); at != 11 {
			t.Errorf("cursor %d", at)
		}

		// A move is stored although it returns an error.
		l.set(func() { l.moveErr, l.moveAnyway = broken, true })
		h.append(1)
		<-time.After(time.Second)
		l.set(func() { l.moveErr = nil })
		h.append(1)
		<-time.After(time.Second)
		expect(t, b.take(), seqs(12, 13))

		// The cursor can't be saved: a rewind fails, but events are handled.
		l.set(func() { l.moveErr, l.moveAnyway = broken, false })
		if err := c.Rewind(t.Context(), 2); !errors.Is(err, broken) {
			t.Errorf("rewind: %v", err)
		}
		h.append(1)
		<-time.After(time.Minute)
		expect(t, b.take(), seqs(14, 14))
		if at := h.cursor("log"); at != 13 || c.Failures() == 0 {
			t.Errorf("cursor %d, %d failures", at, c.Failures())
		}
		l.set(func() { l.moveErr, l.readErr = nil, broken })
		h.append(1)
		<-time.After(time.Minute)
		expect(t, b.take(), nil)
		l.set(func() { l.readErr = nil })
		<-time.After(time.Minute)
		expect(t, b.take(), seqs(15, 15))
		if at := h.cursor("log"); at != 15 {
			t.Errorf("cursor %d", at)
		}
	})
}

func TestStoppedInTheMiddle(t *testing.T) {
	inTime(t, func(t *testing.T, h *harness) {
		h.append(3)
		l := &troubledLog{Journal: h.Journal, moveErr: errors.New("disk full")}
		b := &basket{}
		stop := h.start(consumer.NewConsumer(l, b, consumer.Options{Name: "log"}))
		<-time.After(10 * time.Millisecond)
		stop() // can't save its cursor: reported, and the events come again
		expect(t, b.take(), seqs(1, 3))
		h.start(consumer.NewConsumer(h, b, consumer.Options{Name: "log"}))
		<-time.After(time.Second)
		expect(t, b.take(), seqs(1, 3))

		// Stopping ends a sink that hangs, and a rewind that waits for it.
		hang := hanging{make(chan struct{})}
		c := consumer.NewConsumer(h, hang, consumer.Options{Name: "hang"})
		stopHang := h.start(c)
		<-hang.begun
		rewound := make(chan error, 1)
		go func() { rewound <- c.Rewind(context.Background(), 0) }()
		synctest.Wait()
		stopHang()
		if err := <-rewound; !errors.Is(err, consumer.ErrStopped) {
			t.Errorf("rewind: %v", err)
		}
	})
}

type hanging struct{ begun chan struct{} }

func (h hanging) Handle(ctx context.Context, _ []event.Record) error {
	close(h.begun)
	<-ctx.Done()
	return ctx.Err()
}

// silentLog is a journal whose reads don't return while gate is open.
type silentLog struct {
	*journal.Journal
	mu   sync.Mutex
	gate chan struct{}
}

func (l *silentLog) Read(ctx context.Context, after int64, n int) ([]event.Record, error) {
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	return l.Journal.Read(ctx, after, n)
}

// TestAJournalThatDoesNotAnswer: the consumer is stuck while a read doesn't return, and
// not while it only waits for events.
func TestAJournalThatDoesNotAnswer(t *testing.T) {
	inTime(t, func(t *testing.T, h *harness) {
		l := &silentLog{Journal: h.Journal}
		c := consumer.NewConsumer(l, &basket{}, consumer.Options{Name: "log"})
		h.start(c)
		stuck := func() error {
			_, err := c.Stuck(time.Now(), time.Minute)
			return err
		}
		<-time.After(10 * time.Minute)
		if err := stuck(); err != nil {
			t.Errorf("idle: %v", err)
		}
		l.mu.Lock()
		l.gate = make(chan struct{})
		l.mu.Unlock()
		h.append(1)
		<-time.After(10 * time.Minute)
		if err := stuck(); err == nil {
			t.Error("nothing is said of a read that does not return")
		}
		l.mu.Lock()
		close(l.gate)
		l.gate = nil
		l.mu.Unlock()
		<-time.After(time.Second)
		if err := stuck(); err != nil || c.At() != 1 {
			t.Errorf("afterwards at %d: %v", c.At(), err)
		}
	})
}
