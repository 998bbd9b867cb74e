package consumer

import (
	"context"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"

	"kazoohook/internal/event"
)

// Tail is the part of the journal that Collector needs: the newest seq, and the
// events after a seq.
type Tail interface {
	Last(ctx context.Context) (int64, error)
	Read(ctx context.Context, after int64, max int) ([]event.Record, error)
}

// Collector exposes how far consumers are behind the journal. It reads the journal
// when it is scraped.
type Collector struct {
	tail                  Tail
	consumers             []*Consumer
	now                   func() time.Time
	events, age, failures *prometheus.Desc
	stuck                 *prometheus.Desc
}

// NewCollector returns the collector for consumers of one journal.
func NewCollector(tail Tail, now func() time.Time, consumers ...*Consumer) *Collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("kazoohook_consumer_"+name, help, []string{"consumer"}, nil)
	}
	return &Collector{
		tail: tail, consumers: consumers, now: now,
		events:   desc("lag_events", "Events in the journal that the consumer has not handled."),
		age:      desc("lag_seconds", "How long ago the oldest event that the consumer has not handled was appended; 0 if there is none."),
		stuck:    desc("stuck_seconds", "How long the consumer has made no progress: every try has failed, or one does not end; 0 while it works."),
		failures: desc("failures_total", "Batches that the consumer could not handle and tried again."),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.events
	ch <- c.age
	ch <- c.failures
	ch <- c.stuck
}

// Collect implements prometheus.Collector. It reads at most one event for each
// consumer that is behind.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	const limit = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	last, err := c.tail.Last(ctx)
	for _, consumer := range c.consumers {
		name := consumer.Name()
		ch <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(consumer.Failures()), name)
		stuck := 0.0
		if since, err := consumer.Stuck(c.now(), time.Second); err != nil {
			stuck = c.now().Sub(since).Seconds()
		}
		ch <- prometheus.MustNewConstMetric(c.stuck, prometheus.GaugeValue, stuck, name)
		if err != nil {
			continue
		}
		events, age, ok := c.lag(ctx, consumer.At(), last)
		if !ok {
			continue // a missing figure is better than a wrong one
		}
		ch <- prometheus.MustNewConstMetric(c.events, prometheus.GaugeValue, float64(events), name)
		ch <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, age.Seconds(), name)
	}
}

// lag measures the lag of a consumer at seq. Events that retention has removed
// don't count.
func (c *Collector) lag(ctx context.Context, at, last int64) (events int64, age time.Duration, ok bool) {
	if at >= last {
		return 0, 0, true
	}
	next, err := c.tail.Read(ctx, at, 1)
	if err != nil {
		return 0, 0, false
	}
	if len(next) == 0 {
		return 0, 0, true
	}
	// The id holds the time of the append. ReceivedAt of a recovered event is
	// older.
	since := next[0].ReceivedAt
	if id, err := ulid.ParseStrict(next[0].ID); err == nil {
		since = id.Timestamp()
	}
	return max(1, last-next[0].Seq+1), max(0, c.now().Sub(since)), true
}

// Collector counts the printed events that did not decode in full.
func (s *LogSink) Collector() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "kazoohook_decode_failures_total",
		Help: "Events logged whose body was not understood, or not all of it; decode_error in their line says why.",
	}, func() float64 { return float64(s.failed.Load()) })
}
