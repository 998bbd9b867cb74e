package crossbar

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// TestMetrics: requests are counted under a fixed set of labels, and the series
// exist before the first request.
func TestMetrics(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(m.Collectors()...)
	series := func() int { return testutil.CollectAndCount(m.requests) }
	before := series()
	for status, code := range map[int]string{
		0: "none", 200: "2xx", 201: "2xx", 302: "3xx", 400: "4xx", 401: "401", 404: "404", 409: "4xx", 429: "429", 500: "5xx", 503: "5xx", 999: "none",
	} {
		counter := m.requests.WithLabelValues(opHooksGet, code)
		old := testutil.ToFloat64(counter)
		m.Observe(opHooksGet, status, 20*time.Millisecond)
		if got := testutil.ToFloat64(counter); got != old+1 {
			t.Errorf("status %d: %s is %v after %v", status, code, got, old)
		}
	}
	if before == 0 || series() != before {
		t.Errorf("%d series at the start, %d later", before, series())
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}
