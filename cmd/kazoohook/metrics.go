package main

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"kazoohook/handlers"
	"kazoohook/internal/consumer"
	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal/collector"
	"kazoohook/registration"
)

//go:generate go test . -run ^TestMetrics$ -update

// metrics are the collectors that components report to, so they are made before the
// components.
type metrics struct {
	handlers *handlers.Metrics
	journal  *collector.Metrics
	crossbar *crossbar.Metrics
	events   *eventMetrics
}

func newMetrics(hooks []string) metrics {
	return metrics{handlers.NewMetrics(hooks), collector.New(), crossbar.NewMetrics(), newEventMetrics()}
}

// registry returns the private registry of a service: the components' collectors and
// those of the process. Reading them uses only this process and its journal.
func (m metrics) registry(s *service) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(m.handlers.Collectors()...)
	r.MustRegister(m.journal.Collectors(s.journal)...)
	r.MustRegister(m.crossbar.Collectors()...)
	r.MustRegister(m.events.total, buildInfo(version()), readyCollector{s})
	r.MustRegister(s.logs.dropped(), certificateExpiry(s.certificateStates))
	r.MustRegister(s.lines.Collector(), turnCollector{s}, clusterCollector{s})
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// turnCollector exposes the metrics of this process's turn, none if it doesn't
// lead. It is unchecked, because the parts change.
type turnCollector struct{ s *service }

// Describe implements prometheus.Collector.
func (turnCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c turnCollector) Collect(ch chan<- prometheus.Metric) {
	t := c.s.leading()
	if t == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(leadingSince(), prometheus.GaugeValue, float64(t.since.UnixMilli())/1000)
	for _, part := range append(t.onward.Collectors(), consumer.NewCollector(c.s.journal, time.Now, t.consumers...), registration.NewCollector(t.engine.Overview)) {
		part.Collect(ch)
	}
}

func leadingSince() *prometheus.Desc {
	return prometheus.NewDesc("kazoohook_leading_since_timestamp_seconds",
		"Since when this process has kept the hooks registered, delivered and printed events: its start, or in a cluster its election. Counters of that work began at 0 at that time.", nil, nil)
}

func buildInfo(b build) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kazoohook_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "goversion": b.Go},
	}, func() float64 { return 1 })
}

// readyCollector exposes the checks of /readyz.
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
	for _, c := range r.s.ready.checks(context.Background()) {
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

// otherEvent replaces unknown names, which come from outside and must not create
// unbounded series.
const otherEvent = "other"

func newEventMetrics() *eventMetrics {
	m := &eventMetrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kazoohook_events_total",
			Help: "New events in the journal, by name (other: one not known here) and by source. In a cluster each is counted by the node that took it.",
		}, []string{"event", "source"}),
		known:  map[eventLabels]prometheus.Counter{},
		others: map[event.Source]prometheus.Counter{},
	}
	for _, source := range event.Sources() {
		m.others[source] = m.total.WithLabelValues(otherEvent, string(source))
		for _, name := range event.Names() {
			if possible(name, source) {
				m.known[eventLabels{name, source}] = m.total.WithLabelValues(name, string(source))
			}
		}
	}
	return m
}

// possible reports whether events of a name can come from a source: a resync only
// infers creations and deletions, and only the receiver makes its own events.
func possible(name string, source event.Source) bool {
	if event.IsOwn(name) || source == event.SourceReceiver {
		return event.IsOwn(name) && source == event.SourceReceiver
	}
	return source != event.SourceResync || strings.HasSuffix(name, ".created") || strings.HasSuffix(name, ".deleted")
}

// counts returns the number of events of each name, and of all.
func (m *eventMetrics) counts() (byName map[string]int, total int) {
	byName = map[string]int{}
	collected := make(chan prometheus.Metric)
	go func() {
		defer close(collected)
		m.total.Collect(collected)
	}()
	for metric := range collected {
		var d dto.Metric
		if metric.Write(&d) != nil {
			continue
		}
		n := int(d.GetCounter().GetValue())
		for _, label := range d.GetLabel() {
			if label.GetName() == "event" && n > 0 {
				byName[label.GetValue()] += n
			}
		}
		total += n
	}
	return byName, total
}

// count counts an event. One that another node of the cluster took is counted there.
func (m *eventMetrics) count(r *event.Record, elsewhere bool) {
	if elsewhere {
		return
	}
	if c, ok := m.known[eventLabels{r.Event, r.Source}]; ok {
		c.Inc()
	} else if c, ok := m.others[r.Source]; ok {
		c.Inc()
	}
}
