package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"kazoohook/internal/fakekazoo"
)

// exposed is the content of /metrics, by metric name.
type exposed map[string]*dto.MetricFamily

// scrape reads /metrics as Prometheus does, and lints it.
func (s *scene) scrape() exposed {
	s.t.Helper()
	resp := s.get(s.admin + "/metrics")
	if resp.status != 200 {
		s.t.Fatalf("/metrics: %d %s", resp.status, resp.body)
	}
	problems, err := promlint.New(strings.NewReader(resp.body)).Lint()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range problems {
		s.t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(resp.body))
	if err != nil {
		s.t.Fatal(err)
	}
	return families
}

// value adds up the series of a metric that have the labels ("hook", "object", ...).
// For a histogram it adds the counts.
func (e exposed) value(name string, labels ...string) (sum float64) {
	for _, m := range e[name].GetMetric() {
		if !hasLabels(m, labels) {
			continue
		}
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

func hasLabels(m *dto.Metric, labels []string) bool {
	for i := 0; i+1 < len(labels); i += 2 {
		if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == labels[i] && l.GetValue() == labels[i+1] }) {
			return false
		}
	}
	return true
}

// busyScene returns a scene in which some of everything has happened, and its metrics.
func busyScene(t *testing.T) (*scene, exposed) {
	t.Helper()
	s := newScene(t, "FORWARD_URL=http://127.0.0.1:1")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	u, err := s.CreateUser(fakekazoo.User{AccountID: "acme"})
	check(err)
	s.logged(`"event":"user.created"`)
	check(s.DeleteUser(u.ID))
	s.logged(`"event":"user.deleted"`)
	_, err = s.PlaceCall(fakekazoo.Call{})
	check(err)
	check(s.Notify("acme", "of_a_new_kind", nil))
	s.logged(`"event":"notification.of_a_new_kind"`)
	s.deliver("object", "what is this")
	s.deliver("object", "id="+u.ID+"&account_id=acme&action=doc_deleted&type=user") // a duplicate
	s.deliver("elsewhere", "id=x&account_id=acme&action=doc_deleted&type=user")
	s.get(s.public + "/kazoo/a-wrong-secret/object")
	for _, h := range s.service.leading().engine.Reconciler.Status().Hooks {
		if strings.HasSuffix(h.Name, "doc_edited") {
			check(s.DisableHook(h.ID, "too many failed attempts"))
		}
	}
	s.logged("is enabled again")
	s.logged("resync: Kazoo's objects were compared")
	var got exposed
	s.until("what has happened is counted", func() bool { // some of it happens after the lines
		got = s.scrape()
		for _, name := range []string{"kazoohook_ready", "kazoohook_hook_repairs_total", "kazoohook_gaps_total", "kazoohook_recover_runs_total", "kazoohook_resync_runs_total"} {
			if got.value(name) < 1 {
				return false
			}
		}
		return got.value("kazoohook_hook_enabled") == 5 && got.value("kazoohook_destination_attempts_total", "outcome", "failed") >= 1
	})
	return s, got
}

// TestMetrics checks that what happened is counted, with known labels and by
// Prometheus' conventions. The documentation, the dashboard and the alert rules must
// match what is exposed.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s, got := busyScene(t)
	for _, c := range []struct {
		name    string
		least   float64
		labels  []string
		exactly bool
	}{
		{"kazoohook_ready", 1, nil, true},
		{"kazoohook_check_passed", 1, []string{"check", "journal"}, true},
		{"kazoohook_build_info", 1, []string{"goversion", version().Go}, true},
		{"kazoohook_deliveries_total", 2, []string{"hook", "object", "outcome", "accepted"}, false},
		{"kazoohook_deliveries_total", 1, []string{"hook", "object", "outcome", "duplicate"}, true},
		{"kazoohook_deliveries_total", 1, []string{"hook", "object", "outcome", "unknown"}, true},
		{"kazoohook_deliveries_total", 1, []string{"hook", "other"}, true},
		{"kazoohook_events_total", 1, []string{"event", "user.created", "source", "webhook"}, true},
		{"kazoohook_events_total", 2, []string{"event", "user.deleted", "source", "webhook"}, true},
		{"kazoohook_events_total", 1, []string{"event", "unknown", "source", "webhook"}, true},
		{"kazoohook_events_total", 1, []string{"event", "other", "source", "webhook"}, true},
		{"kazoohook_events_total", 0, []string{"event", "user.deleted", "source", "recovered"}, true},
		{"kazoohook_duplicates_suppressed_total", 1, []string{"rule", "lifecycle"}, true},
		{"kazoohook_rejected_total", 1, []string{"reason", "secret"}, true},
		{"kazoohook_decode_failures_total", 1, nil, false},
		{"kazoohook_ack_seconds", 6, nil, false},
		{"kazoohook_journal_available", 1, nil, true},
		{"kazoohook_journal_append_seconds", 6, nil, false},
		{"kazoohook_journal_sync_seconds", 2, nil, false},
		{"kazoohook_journal_batch_events", 2, nil, false},
		{"kazoohook_journal_size_bytes", 4096, nil, false},
		{"kazoohook_hook_enabled", 5, nil, true},
		{"kazoohook_hook_repairs_total", 1, nil, false},
		{"kazoohook_gaps_total", 1, nil, false},
		{"kazoohook_last_delivery_timestamp_seconds", 1, nil, false},
		{"kazoohook_leading_since_timestamp_seconds", 1, nil, false},
		{"kazoohook_reconcile_runs_total", 1, nil, false},
		{"kazoohook_recover_runs_total", 1, nil, false},
		{"kazoohook_resync_runs_total", 1, nil, false},
		{"kazoohook_resync_awaiting_confirm", 0, nil, true},
		{"kazoohook_crossbar_requests_total", 1, []string{"operation", "login", "code", "2xx"}, false},
		{"kazoohook_crossbar_request_duration_seconds", 1, []string{"operation", "hooks.list"}, false},
		{"kazoohook_destination_attempts_total", 1, []string{"destination", "forward", "outcome", "failed"}, false},
		{"kazoohook_destination_waiting_events", 1, []string{"destination", "forward"}, false},
		{"kazoohook_destination_dead_letters", 0, []string{"destination", "forward"}, true},
		{"kazoohook_consumer_failures_total", 0, []string{"consumer", "log"}, true},
		{"process_resident_memory_bytes", 1 << 20, nil, false},
		{"go_goroutines", 2, nil, false},
	} {
		v := got.value(c.name, c.labels...)
		if got[c.name] == nil || v < c.least || c.exactly && v != c.least {
			t.Errorf("%s %v is %v, want %v (exactly: %v)", c.name, c.labels, v, c.least, c.exactly)
		}
	}
	if lag := got["kazoohook_consumer_lag_events"].GetMetric(); len(lag) != 1 {
		t.Errorf("lag of %d consumers", len(lag))
	}
	for name, f := range got {
		if strings.HasPrefix(name, "kazoohook_") && len(f.GetMetric()) > 400 {
			t.Errorf("%s has %d series", name, len(f.GetMetric()))
		}
	}
	for _, secret := range []string{sceneSecret, fakekazoo.DefaultAPIKey, "a-wrong-secret"} {
		if strings.Contains(s.get(s.admin+"/metrics").body, secret) {
			t.Errorf("/metrics holds %s", secret)
		}
	}
	checkMetricsTable(t, got)
	checkDashboard(t, got)
	checkAlerts(t, got)
	checkNames(t, got)
}

// checkNames finds metrics that the documentation names but nothing exposes.
func checkNames(t *testing.T, got exposed) {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`(kazoohook_[a-z_]+)").FindAllStringSubmatch(string(text), -1) {
			if got[m[1]] == nil && m[1] != "kazoohook_session" { // this is the cookie
				t.Errorf("%s names %s, which is not exposed", file, m[1])
			}
		}
	}
}

// checkMetricsTable compares the table in docs/metrics.md with what is exposed.
func checkMetricsTable(t *testing.T, got exposed) {
	t.Helper()
	var names []string
	for name := range got {
		if strings.HasPrefix(name, "kazoohook_") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	table := "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n"
	for _, name := range names {
		f := got[name]
		var labels []string
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if label := "`" + l.GetName() + "`"; !slices.Contains(labels, label) {
					labels = append(labels, label)
				}
			}
		}
		table += fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	const path = "../../docs/metrics.md"
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- metrics:begin -->\n", "<!-- metrics:end -->"
	head, rest, ok := strings.Cut(string(old), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks %q and %q", path, begin, end)
	}
	want := head + begin + table + end + tail
	switch {
	case want == string(old):
	case *update:
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil { //nolint:gosec // documentation is for everybody
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is stale: go test ./cmd/kazoohook -run TestMetrics -update", path)
	}
}
