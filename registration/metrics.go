package registration

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector exposes an engine's figures to Prometheus. It reads them when it is
// scraped.
type Collector struct {
	overview func() Overview
	metrics  []metric
}

// metric is one exposed figure and its source.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(Overview, func(float64, ...string))
}

// NewCollector returns a Collector of the figures in overview, usually
// Engine.Overview.
func NewCollector(overview func() Overview) *Collector {
	c := &Collector{overview: overview}
	add := func(kind prometheus.ValueType, name, help string, value func(Overview, func(float64, ...string)), labels ...string) {
		c.metrics = append(c.metrics, metric{prometheus.NewDesc("kazoohook_"+name, help, labels, nil), kind, value})
	}
	gauge := func(name, help string, value func(Overview) float64) {
		add(prometheus.GaugeValue, name, help, func(o Overview, emit func(float64, ...string)) { emit(value(o)) })
	}
	counter := func(name, help string, value func(Overview) float64) {
		add(prometheus.CounterValue, name, help, func(o Overview, emit func(float64, ...string)) { emit(value(o)) })
	}
	add(prometheus.GaugeValue, "hook_enabled", "Whether the hook is registered and enabled in Kazoo.", hooksEnabled, "name")
	add(prometheus.GaugeValue, "hook_failures", "Failures that Kazoo counted within the last minute; at the limit it switches the hook off.", hooksFailures, "name")
	gauge("hook_failures_limit", "Failures within a minute at which Kazoo switches a hook off.", func(o Overview) float64 { return float64(o.FailureLimit) })
	add(prometheus.CounterValue, "hook_repairs_total", "Times the hook was found switched off or missing and was repaired.", hooksRepairs, "name")
	counter("gaps_total", "Outages of hooks: spans in which events may have been missed.", func(o Overview) float64 { return float64(o.Outages) })
	gauge("last_delivery_timestamp_seconds", "When Kazoo last reached us; 0: not since the start.", func(o Overview) float64 { return unix(o.LastDelivery) })

	counter("reconcile_runs_total", "Comparisons of our hooks with Kazoo's.", func(o Overview) float64 { return float64(o.Registration.Runs) })
	counter("reconcile_failures_total", "Comparisons of our hooks with Kazoo's that failed.", func(o Overview) float64 { return float64(o.Registration.Failures) })
	counter("reconcile_seconds_total", "Time that comparing our hooks with Kazoo's took.", func(o Overview) float64 { return o.Registration.Took.Seconds() })
	gauge("reconcile_last_success_timestamp_seconds", "When our hooks were last compared without an error.", func(o Overview) float64 { return unix(o.Registration.OKAt) })
	gauge("hooks_not_offered", "Entries of HOOKS that this Kazoo doesn't offer.", func(o Overview) float64 { return float64(len(o.Registration.Problems)) })

	counter("recover_runs_total", "Readings of Kazoo's record of failed attempts.", func(o Overview) float64 { return float64(o.Recover.Runs) })
	counter("recover_failures_total", "Readings of Kazoo's record of failed attempts that failed.", func(o Overview) float64 { return float64(o.Recover.Failures) })
	counter("recovered_events_total", "Events that Kazoo could not deliver and that were read back from its record.", func(o Overview) float64 { return float64(o.Recover.Recovered) })
	counter("recover_held_events_total", "Events that Kazoo counts as undelivered and the journal holds.", func(o Overview) float64 { return float64(o.Recover.Held) })
	counter("unrecoverable_events_total", "Lost events of which Kazoo keeps no body.", func(o Overview) float64 { return float64(o.Recover.Unrecoverable) })
	counter("recover_archived_months_total", "Months of which Kazoo no longer had a record of failed attempts.", func(o Overview) float64 { return float64(o.Recover.ArchivedGaps) })
	gauge("recover_checked_timestamp_seconds", "Time up to which Kazoo's record of failed attempts was read.", func(o Overview) float64 { return unix(o.Recover.CheckedTo) })

	counter("resync_runs_total", "Comparisons of Kazoo's objects with the snapshot.", func(o Overview) float64 { return float64(o.Resync.Runs) })
	counter("resync_failures_total", "Comparisons of Kazoo's objects with the snapshot that failed.", func(o Overview) float64 { return float64(o.Resync.Failures) })
	counter("resync_seconds_total", "Time that comparing Kazoo's objects with the snapshot took.", func(o Overview) float64 { return o.Resync.Took.Seconds() })
	gauge("resync_last_success_timestamp_seconds", "When Kazoo's objects were last compared without an error.", func(o Overview) float64 { return unix(o.Resync.LastOK) })
	add(prometheus.CounterValue, "resync_events_total", "Events inferred by comparing Kazoo's objects with the snapshot.", resyncEvents, "action")
	counter("resync_unconfirmed_total", "Existing objects that a listing left out.", func(o Overview) float64 { return float64(o.Resync.Unconfirmed) })
	gauge("resync_awaiting_confirm", "Deletions held back until a person confirms them (kazoohook resync --confirm).", func(o Overview) float64 { return float64(o.Resync.AwaitingConfirm) })
	return c
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	o := c.overview()
	for _, m := range c.metrics {
		m.value(o, func(v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, v, labels...)
		})
	}
}

func hooksEnabled(o Overview, emit func(float64, ...string)) {
	for _, h := range o.Registration.Hooks {
		v := 0.0
		if h.ID != "" && h.Enabled {
			v = 1
		}
		emit(v, h.Name)
	}
}

func hooksFailures(o Overview, emit func(float64, ...string)) {
	for _, h := range o.Registration.Hooks {
		emit(float64(o.Failures[h.ID]), h.Name)
	}
}

func hooksRepairs(o Overview, emit func(float64, ...string)) {
	for _, h := range o.Registration.Hooks {
		emit(float64(h.Repairs), h.Name)
	}
}

func resyncEvents(o Overview, emit func(float64, ...string)) {
	emit(float64(o.Resync.Deleted), "deleted")
	emit(float64(o.Resync.Created), "created")
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
