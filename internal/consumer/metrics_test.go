package consumer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kazoohook/internal/consumer"
	"kazoohook/internal/event"
)

// tail is a journal whose first events were removed.
type tail struct {
	records []event.Record
	err     error
}

func (f *tail) Last(context.Context) (int64, error) {
	if len(f.records) == 0 {
		return 0, f.err
	}
	return f.records[len(f.records)-1].Seq, f.err
}

func (f *tail) Read(_ context.Context, after int64, limit int) ([]event.Record, error) {
	for i, r := range f.records {
		if r.Seq > after {
			return f.records[i:min(i+limit, len(f.records))], f.err
		}
	}
	return nil, f.err
}

// A consumer that has not run yet keeps its stored cursor.
func (f *tail) Wait(ctx context.Context, _ int64) error {
	<-ctx.Done()
	return ctx.Err()
}
func (f *tail) Cursor(context.Context, string) (int64, error)          { return 3, nil }
func (f *tail) MoveCursor(context.Context, string, int64, int64) error { return nil }

type handler func([]event.Record) error

func (h handler) Handle(_ context.Context, batch []event.Record) error { return h(batch) }

// TestConsumerLag: only events that still exist count as lag. The lag in seconds
// counts from the append, not from when an event was received.
func TestConsumerLag(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	record := func(seq int64, age time.Duration) event.Record {
		r := event.Record{Seq: seq, ID: ulid.MustNew(ulid.Timestamp(now.Add(-age)), ulid.DefaultEntropy()).String()}
		r.ReceivedAt = now.Add(-time.Hour) // a recovered event happened long before
		return r
	}
	f := &tail{records: []event.Record{record(7, 20*time.Second), record(8, 10*time.Second), record(9, time.Second)}}
	stuck := consumer.NewConsumer(f, handler(func([]event.Record) error { return errors.New("full") }), consumer.Options{Name: "stuck"})
	done := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		_ = stuck.Run(ctx)
	}()
	for stuck.Failures() == 0 {
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the consumer never ran")
		}
	}
	stop()
	<-done
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(consumer.NewCollector(f, func() time.Time { return now }, stuck))
	want := func(events, seconds float64) {
		t.Helper()
		text := fmt.Sprintf(`# HELP kazoohook_consumer_lag_events Events in the journal that the consumer has not handled.
# TYPE kazoohook_consumer_lag_events gauge
kazoohook_consumer_lag_events{consumer="stuck"} %v
# HELP kazoohook_consumer_lag_seconds How long ago the oldest event that the consumer has not handled was appended; 0 if there is none.
# TYPE kazoohook_consumer_lag_seconds gauge
kazoohook_consumer_lag_seconds{consumer="stuck"} %v
`, events, seconds)
		if err := testutil.GatherAndCompare(r, strings.NewReader(text), "kazoohook_consumer_lag_events", "kazoohook_consumer_lag_seconds"); err != nil {
			t.Error(err)
		}
	}
	want(3, 20)
	f.records = f.records[1:]
	want(2, 10)
	f.records = nil
	want(0, 0)
	f.err = errors.New("the journal is closed")
	if n, err := testutil.GatherAndCount(r); err != nil || n != 2 {
		t.Errorf("%d series without a journal, %v; want the failures and stuck_seconds alone", n, err)
	}
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

// TestDecodeFailures counts the logged events that weren't understood.
func TestDecodeFailures(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := consumer.NewLogSink(&out, nil, 0)
	var batch []event.Record
	for _, body := range []string{"id=u1&account_id=a&action=doc_deleted&type=user", "what is this", ""} {
		batch = append(batch, event.Route(event.Request{
			Source: event.SourceWebhook, Hook: "object", Method: "POST", ContentType: "application/x-www-form-urlencoded", Body: []byte(body),
		}))
	}
	if err := s.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if got := testutil.ToFloat64(s.Collector()); got != 2 {
		t.Errorf("%v decode failures, want 2 of\n%s", got, out.String())
	}
}
