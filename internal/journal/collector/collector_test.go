package collector_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/collector"
)

// TestMetrics compares what is exposed with what was done.
func TestMetrics(t *testing.T) {
	t.Parallel()
	m := collector.New()
	j, err := journal.Open(t.Context(), journal.Options{Dir: t.TempDir(), MaxBytes: 1 << 30, Retention: time.Hour, Observe: m.Observe()})
	if err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(m.Collectors(j)...)
	if got := gathered(t, r)["kazoohook_duplicates_suppressed_total lifecycle"]; got != 0 {
		t.Errorf("%v duplicates before anything happened", got)
	}
	for _, id := range []string{"a", "b", "b"} {
		rec := event.Route(event.Request{
			Source: event.SourceWebhook, ReceivedAt: time.Now(), Hook: "object", Method: "POST", ContentType: "application/x-www-form-urlencoded",
			Body: fmt.Appendf(nil, "id=%s&account_id=acc&action=doc_deleted&type=user", id),
		})
		a, err := j.Append(t.Context(), rec)
		if err != nil {
			t.Fatal(err)
		}
		j.Acknowledged(rec, a, true)
	}
	got := gathered(t, r)
	for name, want := range map[string]float64{
		"kazoohook_journal_available":                     1,
		"kazoohook_journal_events":                        2,
		"kazoohook_journal_last_seq":                      2,
		"kazoohook_journal_appended_events_total":         2,
		"kazoohook_journal_append_seconds":                3,
		"kazoohook_journal_size_limit_bytes":              1 << 30,
		"kazoohook_journal_retention_seconds":             3600,
		"kazoohook_journal_queued_appends":                0,
		"kazoohook_journal_queue_limit":                   4096,
		"kazoohook_journal_pruned_events_total":           0,
		"kazoohook_duplicates_suppressed_total lifecycle": 1,
		"kazoohook_duplicates_suppressed_total content":   0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: %v (exposed %v), want %v", name, v, ok, want)
		}
	}
	if got["kazoohook_journal_size_bytes"] == 0 || got["kazoohook_journal_sync_seconds"] == 0 {
		t.Errorf("%v", got)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	gathered(t, r) // a scrape while the service stops does no harm
}

// gathered returns each metric's value by its name and label values; of a histogram
// it is the count. It also lints the metrics.
func gathered(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}
