package collector

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// Metrics measures a journal. Pass its Observe in Options.Observe to Open; afterwards
// register its Collectors once.
type Metrics struct {
	appends, syncs, batches prometheus.Histogram
}

// New returns the collectors of one journal.
func New() *Metrics {
	// From a sync of a fast disk to a stall that Kazoo notices.
	seconds := []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	return &Metrics{
		appends: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kazoohook_journal_append_seconds", Buckets: seconds,
			Help: "Time of one append, from the call to the event being on disk.",
		}),
		syncs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kazoohook_journal_sync_seconds", Buckets: seconds,
			Help: "Time of one commit of the journal with its sync to disk.",
		}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kazoohook_journal_batch_events", Buckets: append([]float64{0}, prometheus.ExponentialBuckets(1, 2, 11)...),
			Help: "New events that one sync made durable; 0 where only a cursor or other state moved.",
		}),
	}
}

// Observe returns the callbacks for Options.
func (m *Metrics) Observe() journal.Observe {
	return journal.Observe{
		Append: func(took time.Duration) { m.appends.Observe(took.Seconds()) },
		Commit: func(took time.Duration, events int) {
			m.syncs.Observe(took.Seconds())
			m.batches.Observe(float64(events))
		},
	}
}

// Collectors returns all collectors of j, to be registered once.
func (m *Metrics) Collectors(j *journal.Journal) []prometheus.Collector {
	return []prometheus.Collector{m.appends, m.syncs, m.batches, stateCollector{j}}
}

// stateCollector reads a journal's figures at each scrape. It neither waits for the
// writer nor reads events.
type stateCollector struct{ j *journal.Journal }

// figure is one metric without labels.
type figure struct {
	name, help string
	kind       prometheus.ValueType
	value      func(journal.Stats) float64
}

func figures() []figure {
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	return []figure{
		{"kazoohook_journal_available", "Whether the journal can take events: 0 after a failure to write, until it is written again, and while the disk does not answer.", gauge,
			func(s journal.Stats) float64 { return truth(s.Available) }},
		{"kazoohook_journal_events", "Events held.", gauge,
			func(s journal.Stats) float64 { return float64(held(s)) }},
		{"kazoohook_journal_last_seq", "Number of the newest event ever appended.", gauge,
			func(s journal.Stats) float64 { return float64(s.Last) }},
		{"kazoohook_journal_size_bytes", "Size of the journal's files on disk.", gauge,
			func(s journal.Stats) float64 { return float64(s.Bytes) }},
		{"kazoohook_journal_size_limit_bytes", "Size from which the oldest events are removed (JOURNAL_MAX_BYTES), 0 without a limit.", gauge,
			func(s journal.Stats) float64 { return float64(s.MaxBytes) }},
		{"kazoohook_journal_retention_seconds", "Age at which events are removed (JOURNAL_RETENTION), 0 if never.", gauge,
			func(s journal.Stats) float64 { return s.Retention.Seconds() }},
		{"kazoohook_journal_queued_appends", "Appends that wait for the writer.", gauge,
			func(s journal.Stats) float64 { return float64(s.Queued) }},
		{"kazoohook_journal_queue_limit", "Appends that may wait; more are answered 503.", gauge,
			func(s journal.Stats) float64 { return float64(s.QueueLimit) }},
		{"kazoohook_journal_damaged_events", "Events found unreadable on disk since the start.", gauge,
			func(s journal.Stats) float64 { return float64(s.Damaged) }},
		{"kazoohook_journal_broken_commands_total", "Commands that could not be applied by a fault of this program: a request is kept as unknown, anything else is ignored.", counter,
			func(s journal.Stats) float64 { return float64(s.Broken) }},
		{"kazoohook_journal_appended_events_total", "New events stored.", counter,
			func(s journal.Stats) float64 { return float64(s.Appends) }},
		{"kazoohook_journal_commits_total", "Transactions committed, of events, of cursors and of other state.", counter,
			func(s journal.Stats) float64 { return float64(s.Transactions) }},
		{"kazoohook_journal_pruned_events_total", "Events removed by retention.", counter,
			func(s journal.Stats) float64 { return float64(s.Pruned) }},
		{"kazoohook_journal_pruned_unread_events_total", "Events removed by retention that some consumer had not read.", counter,
			func(s journal.Stats) float64 { return float64(s.PrunedUnread) }},
	}
}

func (f figure) desc() *prometheus.Desc { return prometheus.NewDesc(f.name, f.help, nil, nil) }

func duplicatesDesc() *prometheus.Desc {
	return prometheus.NewDesc("kazoohook_duplicates_suppressed_total",
		"Duplicates of an event already held, by the rule that recognised them.", []string{"rule"}, nil)
}

// Describe names the metrics.
func (c stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range figures() {
		ch <- f.desc()
	}
	ch <- duplicatesDesc()
}

// Collect reads the metrics.
func (c stateCollector) Collect(ch chan<- prometheus.Metric) {
	s, err := c.j.Stats(context.Background())
	if err != nil {
		return // the other metrics are still useful
	}
	for _, f := range figures() {
		ch <- prometheus.MustNewConstMetric(f.desc(), f.kind, f.value(s))
	}
	for rule, n := range s.Duplicates {
		ch <- prometheus.MustNewConstMetric(duplicatesDesc(), prometheus.CounterValue, float64(n), ruleLabel(rule))
	}
}

func ruleLabel(r event.Rule) string {
	switch r {
	case event.RuleUnacknowledged:
		return "unacknowledged"
	case event.RuleContent:
		return "content"
	case event.RuleLifecycle:
		return "lifecycle"
	}
	return "other"
}

// held is how many events the journal holds.
func held(s journal.Stats) int64 {
	if s.First == 0 {
		return 0
	}
	return max(0, s.Last-s.First+1)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
