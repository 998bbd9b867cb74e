package crossbar

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts the requests sent to Kazoo's API. Set its Observe in
// Options.Observe and register its Collectors once. Every possible series exists
// from the start, at 0. It is safe for concurrent use.
type Metrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

// NewMetrics returns the collectors.
func NewMetrics() *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kazoohook_crossbar_requests_total",
			Help: "Requests to Kazoo's API, by operation and the answer's code: its class, or 401, 404 or 429, or none without an answer.",
		}, []string{"operation", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kazoohook_crossbar_request_duration_seconds",
			Help:    "Time from sending a request to Kazoo's API to having read its answer, by operation.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
		}, []string{"operation"}),
	}
	for _, op := range Operations() {
		m.took.WithLabelValues(op)
		for _, code := range []string{codeNone, "2xx", "3xx", "401", "404", "429", "4xx", "5xx"} {
			m.requests.WithLabelValues(op, code)
		}
	}
	return m
}

const codeNone = "none"

// codeLabel keeps the codes that tell the operator what to do and folds the others
// into classes.
func codeLabel(status int) string {
	switch {
	case status < 100 || status > 599:
		return codeNone
	case status == http.StatusUnauthorized, status == http.StatusNotFound, status == http.StatusTooManyRequests:
		return strconv.Itoa(status)
	}
	return strconv.Itoa(status/100) + "xx"
}

// Observe counts one request; see Options.Observe.
func (m *Metrics) Observe(op string, status int, d time.Duration) {
	m.requests.WithLabelValues(op, codeLabel(status)).Inc()
	m.took.WithLabelValues(op).Observe(d.Seconds())
}

// Collectors returns all collectors, to be registered once.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.took}
}
