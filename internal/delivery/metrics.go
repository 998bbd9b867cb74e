package delivery

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kazoohook/internal/journal"
)

// metrics are the collectors of all destinations. The label destination has only
// configured names.
type metrics struct {
	attempts        *prometheus.CounterVec
	took            *prometheus.HistogramVec
	dead            *prometheus.CounterVec
	redelivered     *prometheus.CounterVec
	filterErrors    *prometheus.CounterVec
	unknownAccounts *prometheus.CounterVec
	givenUp         prometheus.Counter
}

// measures are the metrics of one destination.
type measures struct {
	outcomes                                         [outcomeCount]prometheus.Counter
	took                                             prometheus.Observer
	dead, redelivered, filterErrors, unknownAccounts prometheus.Counter
	delivered                                        perMinute
}

// The outcomes of attempts in metrics.
const (
	outcomeDelivered = iota
	outcomeFailed
	outcomeProbeFailed
	outcomeCount
)

const prefix = "kazoohook_destination_"

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, append([]string{"destination"}, labels...))
	}
	return &metrics{
		attempts: counter("attempts_total", "Attempts to deliver an event, by destination and outcome: delivered, failed, or probe_failed while it is paused.", "outcome"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "attempt_seconds", Help: "Time of one attempt, by destination.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"destination"}),
		dead:            counter("dead_letters_total", "Events that became dead letters after their attempts, by destination."),
		redelivered:     counter("redelivered_events_total", "Events that were redelivered on request, by destination."),
		filterErrors:    counter("filter_errors_total", "Events for which a filter failed, which counts as a match, by destination."),
		unknownAccounts: counter("unknown_account_events_total", "Events that were not delivered because Kazoo did not say where their account is in the tree, by destination."),
		givenUp: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kazoohook_destinations_given_up_events_total", Help: "Deliveries that became dead letters without a body, because BACKLOG_MAX was reached.",
		}),
	}
}

// of creates the series of one destination, so that they exist from the start.
func (m *metrics) of(name string) *measures {
	s := &measures{
		took: m.took.WithLabelValues(name), dead: m.dead.WithLabelValues(name), redelivered: m.redelivered.WithLabelValues(name),
		filterErrors: m.filterErrors.WithLabelValues(name), unknownAccounts: m.unknownAccounts.WithLabelValues(name),
	}
	for i, outcome := range [outcomeCount]string{"delivered", "failed", "probe_failed"} {
		s.outcomes[i] = m.attempts.WithLabelValues(name, outcome)
	}
	return s
}

// forget removes the series of a removed destination.
func (m *metrics) forget(name string) {
	labels := prometheus.Labels{"destination": name}
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.attempts, m.took, m.dead, m.redelivered, m.filterErrors, m.unknownAccounts} {
		v.DeletePartialMatch(labels)
	}
}

func (s *measures) attempted(delivered, probe bool, took time.Duration) {
	s.took.Observe(took.Seconds())
	switch {
	case delivered:
		s.outcomes[outcomeDelivered].Inc()
	case probe:
		s.outcomes[outcomeProbeFailed].Inc()
	default:
		s.outcomes[outcomeFailed].Inc()
	}
}

// Collectors returns all collectors, to be registered once.
func (e *Engine) Collectors() []prometheus.Collector {
	m := e.metrics
	return []prometheus.Collector{m.attempts, m.took, m.dead, m.redelivered, m.filterErrors, m.unknownAccounts, m.givenUp, &stateCollector{e}}
}

// stateCollector reads the state of all destinations at each scrape.
type stateCollector struct{ e *Engine }

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, []string{"destination"}, nil)
}

type stateDescs struct{ waiting, dead, oldest, paused, running *prometheus.Desc }

func describe() stateDescs {
	return stateDescs{
		waiting: gauge("waiting_events", "Events that wait for the destination, those included whose filters were not evaluated yet."),
		dead:    gauge("dead_letters", "Dead letters of the destination that are neither redelivered nor discarded."),
		oldest:  gauge("oldest_waiting_seconds", "Age of the oldest event that waits for the destination; 0 if none does."),
		paused:  gauge("paused", "Whether the destination is paused, by failures, an operator or itself."),
		running: gauge("running_attempts", "Attempts that run now."),
	}
}

// Describe implements prometheus.Collector.
func (*stateCollector) Describe(ch chan<- *prometheus.Desc) {
	d := describe()
	for _, desc := range []*prometheus.Desc{d.waiting, d.dead, d.oldest, d.paused, d.running} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	const limit = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	list, err := c.e.Status(ctx)
	if err != nil {
		return // the other metrics are still useful
	}
	d := describe()
	for i := range list {
		s := &list[i]
		for _, g := range []struct {
			desc  *prometheus.Desc
			value float64
		}{
			{d.waiting, float64(s.Waiting)},
			{d.dead, float64(s.Dead)},
			{d.oldest, s.OldestWaiting.Seconds()},
			{d.paused, float64(flagged(s.PausedBy != journal.NotPaused))},
			{d.running, float64(s.Running)},
		} {
			ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value, s.Name)
		}
	}
}
