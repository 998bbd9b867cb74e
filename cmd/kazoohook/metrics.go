package main

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"kazoohook/handlers"
	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/sink"
	"kazoohook/registration"
)

//go:generate go test . -run ^TestMetrics$ -update

// metrics are the components' collectors that exist before the components do,
// because those are told where to report to.
type metrics struct {
	handlers *handlers.Metrics
	journal  *journal.Metrics
	crossbar *crossbar.Metrics
	events   *eventMetrics
}

func newMetrics(hooks []string) metrics {
	return metrics{handlers.NewMetrics(hooks), journal.NewMetrics(), crossbar.NewMetrics(), newEventMetrics()}
}

// registry is the one private registry of a service: the components' own
// collectors and those of the process. Reading them asks nobody but this
// process and its journal.
func (m metrics) registry(s *service, lines *sink.LogSink) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(m.handlers.Collectors()...)
	r.MustRegister(m.journal.Collectors(s.journal)...)
	r.MustRegister(m.crossbar.Collectors()...)
	r.MustRegister(m.events.total, buildInfo(version()), readyCollector{s})
	r.MustRegister(lines.Collector(), sink.NewCollector(s.journal, time.Now, s.log, s.snapshot), registration.NewCollector(s.engine.Overview))
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func buildInfo(b build) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kazoohook_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "goversion": b.Go},
	}, func() float64 { return 1 })
}

// readyCollector exposes what /readyz says.
type readyCollector struct{ s *service }

func (readyCollector) descs() (ready, check *prometheus.Desc) {
	return prometheus.NewDesc("kazoohook_ready", "Whether everything is ready to receive, as /readyz says.", nil, nil),
		prometheus.NewDesc("kazoohook_check_passed", "Whether one condition of being ready is met.", []string{"check"}, nil)
}

// Describe implements prometheus.Collector.
func (r readyCollector) Describe(ch chan<- *prometheus.Desc) {
	ready, check := r.descs()
	ch <- ready
	ch <- check
}

// Collect implements prometheus.Collector.
func (r readyCollector) Collect(ch chan<- prometheus.Metric) {
	ready, check := r.descs()
	all := !r.s.draining.Load()
	for _, c := range r.s.ready(context.Background()) {
		all = all && c.OK
		ch <- prometheus.MustNewConstMetric(check, prometheus.GaugeValue, truth(c.OK), c.Name)
	}
	ch <- prometheus.MustNewConstMetric(ready, prometheus.GaugeValue, truth(all))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// eventMetrics counts the events that enter the journal.
type eventMetrics struct {
	total  *prometheus.CounterVec
	known  map[eventLabels]prometheus.Counter
	others map[event.Source]prometheus.Counter
}

type eventLabels struct {
	name   string
	source event.Source
}

// otherEvent stands for names that come from outside: they must not make series
// without bound.
const otherEvent = "other"

func newEventMetrics() *eventMetrics {
	m := &eventMetrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kazoohook_events_total",
			Help: "New events in the journal, by name (other: one not known here) and by how we heard of it.",
		}, []string{"event", "source"}),
		known:  map[eventLabels]prometheus.Counter{},
		others: map[event.Source]prometheus.Counter{},
	}
	for _, source := range []event.Source{event.SourceWebhook, event.SourceRecovered, event.SourceResync} {
		m.others[source] = m.total.WithLabelValues(otherEvent, string(source))
		for _, name := range event.Names() {
			// A resync infers that an object is new or gone, nothing else.
			if source != event.SourceResync || strings.HasSuffix(name, ".created") || strings.HasSuffix(name, ".deleted") {
				m.known[eventLabels{name, source}] = m.total.WithLabelValues(name, string(source))
			}
		}
	}
	return m
}

func (m *eventMetrics) count(r event.Record) {
	if c, ok := m.known[eventLabels{r.Event, r.Source}]; ok {
		c.Inc()
	} else if c, ok := m.others[r.Source]; ok {
		c.Inc()
	}
}

// countedJournal counts what is appended to a journal, whoever appends it.
type countedJournal struct {
	*journal.Journal
	events *eventMetrics
}

// Append stores an event.
func (j countedJournal) Append(ctx context.Context, r event.Record) (event.Appended, error) {
	a, err := j.Journal.Append(ctx, r)
	if err == nil && !a.Duplicate {
		j.events.count(r)
	}
	return a, err
}

// AppendObserved stores an event that a resync inferred.
func (j countedJournal) AppendObserved(ctx context.Context, r event.Record, o event.SnapshotObject) (event.Appended, error) {
	a, err := j.Journal.AppendObserved(ctx, r, o)
	if err == nil && !a.Duplicate {
		j.events.count(r)
	}
	return a, err
}
