package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"kazoohook/internal/consumer"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is a real journal with its consumers, in synctest's fake time.
type harness struct {
	*journal.Journal
	t    *testing.T
	stop []func()
}

func inTime(t *testing.T, test func(*testing.T, *harness)) {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(t.Context(), journal.Options{Dir: dir, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		h := &harness{Journal: j, t: t}
		test(t, h)
		for _, stop := range h.stop {
			stop()
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
}

// append adds n events.
func (h *harness) append(n int) {
	h.t.Helper()
	for i := range n {
		last, err := h.Last(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		rec := event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object", HookID: "h1", Method: "POST",
			ContentType: "application/x-www-form-urlencoded", Body: fmt.Appendf(nil, "id=u%d-%d&account_id=a&action=doc_deleted&type=user", last, i)})
		if _, err := h.Append(h.t.Context(), rec); err != nil {
			h.t.Fatal(err)
		}
	}
}

// start runs a consumer; the returned function stops it.
func (h *harness) start(c *consumer.Consumer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
	h.stop = append(h.stop, stop)
	return stop
}

func (h *harness) cursor(name string) int64 {
	h.t.Helper()
	at, err := h.Cursor(h.t.Context(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	return at
}

// basket is a sink that keeps what it gets, or fails while err is set.
type basket struct {
	mu    sync.Mutex
	seqs  []int64
	sizes []int
	err   error
	tries int
}

func (b *basket) Handle(_ context.Context, batch []event.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tries++; b.err != nil {
		return b.err
	}
	b.sizes = append(b.sizes, len(batch))
	for _, r := range batch {
		b.seqs = append(b.seqs, r.Seq)
	}
	return nil
}

// take empties the basket.
func (b *basket) take() []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	seqs := b.seqs
	b.seqs, b.tries = nil, 0
	return seqs
}

func (b *basket) fail(err error) (tries int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	tries, b.tries, b.err = b.tries, 0, err
	return tries
}

func seqs(from, to int64) (list []int64) {
	for s := from; s <= to; s++ {
		list = append(list, s)
	}
	return list
}

func expect(t *testing.T, got, want []int64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("handled %v, want %v", got, want)
	}
}

func TestConsumerInOrderAndOn(t *testing.T) {
	inTime(t, func(t *testing.T, h *harness) {
		h.append(25)
		b := &basket{}
		c := consumer.NewConsumer(h, b, consumer.Options{Name: "log", Batch: 10})
		if c.Name() != "log" {
			t.Errorf("name %q", c.Name())
		}
		stop := h.start(c)
		<-time.After(time.Second)
		expect(t, b.take(), seqs(1, 25))
		if !slices.Equal(b.sizes, []int{10, 10, 5}) {
			t.Errorf("batches of %v", b.sizes)
		}
		h.append(1) // woken, not polled
		<-time.After(10 * time.Millisecond)
		expect(t, b.take(), seqs(26, 26))
		<-time.After(time.Second)
		if at := h.cursor("log"); at != 26 || c.At() != 26 || c.Failures() != 0 {
			t.Errorf("cursor %d, at %d, %d failures", at, c.At(), c.Failures())
		}
		<-time.After(3 * time.Hour)
		h.append(2)
		<-time.After(10 * time.Millisecond)
		stop() // saves at the end
		if at := h.cursor("log"); at != 28 {
			t.Errorf("cursor %d after the end", at)
		}
		b.take()
		h.append(1)
		h.start(consumer.NewConsumer(h, b, consumer.Options{Name: "log"}))
		<-time.After(time.Second)
		expect(t, b.take(), seqs(29, 29))
	})
}

func TestFailingSinkHoldsUpNobody(t *testing.T) {
	inTime(t, func(t *testing.T, h *harness) {
		bad, good := &basket{err: errors.New("full")}, &basket{}
		c := consumer.NewConsumer(h, bad, consumer.Options{Name: "bad"})
		h.start(c)
		h.start(consumer.NewConsumer(h, good, consumer.Options{Name: "good"}))
		h.append(3)
		<-time.After(time.Hour)
		expect(t, good.take(), seqs(1, 3))
		if n := bad.fail(nil); n < 100 || n > 260 { // up to 30 s apart
			t.Errorf("%d tries in an hour", n)
		}
		<-time.After(time.Minute)
		expect(t, bad.take(), seqs(1, 3))
		if c.Failures() == 0 || h.cursor("bad") != 3 {
			t.Errorf("%d failures, cursor %d", c.Failures(), h.cursor("bad"))
		}
	})
}

func TestRewind(t *testing.T) {
	inTime(t, func(t *testing.T, h *harness) {
		h.append(10)
		b := &basket{}
		c := consumer.NewConsumer(h, b, consumer.Options{Name: "log"})
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Rewind(late, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a rewind without Run: %v", err)
		}
		stop := h.start(c)
		<-time.After(time.Minute)
		b.take()
		to := func(seq int64) {
			t.Helper()
			if err := c.Rewind(t.Context(), seq); err != nil {
				t.Error(err)
			}
		}
		to(7) // idle
		if at := h.cursor("log"); at != 7 {
			t.Errorf("cursor %d right after the rewind", at)
		}
		<-time.After(time.Second)
		expect(t, b.take(), seqs(8, 10))

		b.fail(errors.New("full"))
		h.append(1)
		<-time.After(10 * time.Minute)
		b.fail(nil)
		start := time.Now()
		to(4) // in the middle of a pause of up to 30 s
		<-time.After(100 * time.Millisecond)
		expect(t, b.take(), seqs(5, 11))
		if took := time.Since(start); took > time.Second {
			t.Errorf("a rewind waited %s", took)
		}
		to(100) // forward: the events between are skipped
		h.append(1)
		<-time.After(time.Minute)
		expect(t, b.take(), nil)
		to(11)
		<-time.After(time.Second)
		expect(t, b.take(), seqs(12, 12))

		stop()
		if err := c.Rewind(t.Context(), 0); !errors.Is(err, consumer.ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
	})
}
