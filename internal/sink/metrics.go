package sink

import (
	"context"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"

	"kazoohook/internal/event"
)

// Tail is what measuring consumers needs of the journal: the newest seq, and
// the events after one.
type Tail interface {
	Last(ctx context.Context) (int64, error)
	Read(ctx context.Context, after int64, max int) ([]event.Record, error)
}

// Collector exposes how far consumers are behind the journal, read when it is
// scraped.
type Collector struct {
	tail                  Tail
	consumers             []*Consumer
	now                   func() time.Time
	events, age, failures *prometheus.Desc
}

// NewCollector returns the collector of some consumers of one journal.
func NewCollector(tail Tail, now func() time.Time, consumers ...*Consumer) *Collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("kazoohook_consumer_"+name, help, []string{"consumer"}, nil)
	}
	return &Collector{
		tail: tail, consumers: consumers, now: now,
		events:   desc("lag_events", "Events in the journal that the consumer has not handled."),
		age:      desc("lag_seconds", "How long ago the oldest event that the consumer has not handled was appended; 0 if there is none."),
		failures: desc("failures_total", "Batches that the consumer could not handle and tried again."),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.events
	ch <- c.age
	ch <- c.failures
}

// Collect implements prometheus.Collector. It reads at most one event for each
// consumer that is behind.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	last, err := c.tail.Last(ctx)
	for _, consumer := range c.consumers {
		name := consumer.Name()
		ch <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(consumer.Failures()), name)
		if err != nil {
			continue
		}
		events, age, ok := c.lag(ctx, consumer.At(), last)
		if !ok {
			continue // better no figure than a wrong one
		}
		ch <- prometheus.MustNewConstMetric(c.events, prometheus.GaugeValue, float64(events), name)
		ch <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, age.Seconds(), name)
	}
}

// lag measures a consumer that is at a seq. Events that retention has removed
// are behind nobody any more.
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
	// The time of the append is in the id; a recovered event's own is older.
	since := next[0].ReceivedAt
	if id, err := ulid.ParseStrict(next[0].ID); err == nil {
		since = id.Timestamp()
	}
	return max(1, last-next[0].Seq+1), max(0, c.now().Sub(since)), true
}

// Collector exposes how many events were printed that did not decode in full.
func (s *LogSink) Collector() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "kazoohook_decode_failures_total",
		Help: "Events logged whose body was not understood, or not all of it; decode_error in their line says why.",
	}, func() float64 { return float64(s.failed.Load()) })
}
