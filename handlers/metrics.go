package handlers

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what the handlers did. Register its Collectors in a registry.
// Every possible series exists from the start, at 0.
type Metrics struct {
	deliveries *prometheus.CounterVec
	rejected   *prometheus.CounterVec
	refused    *prometheus.CounterVec
	ack        prometheus.Histogram
	previous   prometheus.Counter
	panics     *prometheus.CounterVec
	streams    prometheus.Gauge
	cut        *prometheus.CounterVec
	signed     *prometheus.CounterVec
	signatures [2]prometheus.Counter // right, wrong

	hooks map[string]*[outcomes]prometheus.Counter
	other *[outcomes]prometheus.Counter
}

// outcome is the end of a request with the right secret.
type outcome int

const (
	accepted    outcome = iota // on disk as a new event
	duplicate                  // an event already held
	unknown                    // on disk as a new event, not understood
	unavailable                // the journal could not store it: Kazoo resends
	draining                   // we are stopping: Kazoo resends to our successor
	broken                     // the body did not arrive in full
	tooLarge                   // body over the limit
	badMethod                  // not GET, POST or PUT
	panicked                   // a bug here: Kazoo resends
	outcomes                   // the number of outcomes
)

func (o outcome) String() string {
	return [outcomes]string{"accepted", "duplicate", "unknown", "unavailable", "draining", "broken",
		"too_large", "bad_method", "panic"}[o]
}

// otherHook is the hook label of requests to a hook that is not configured: the
// path segment comes from outside and must not create unbounded series.
const otherHook = "other"

// NewMetrics returns the collectors, with a label value for each of hooks (the
// last path segments of our hook URIs: "object", "channel_create", ...).
func NewMetrics(hooks []string) *Metrics {
	m := &Metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kazoohook_deliveries_total",
			Help: "Requests with the right hook secret, by hook and outcome.",
		}, []string{"hook", "outcome"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kazoohook_rejected_total",
			Help: "Requests to the public listener answered 404, by reason.",
		}, []string{"reason"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kazoohook_admin_rejected_total",
			Help: "Requests refused by the admin listener, by reason.",
		}, []string{"reason"}),
		ack: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kazoohook_ack_seconds",
			Help: "Time from reading a request's headers to writing its 200.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5,
				1, 2.5, 5, 10},
		}),
		previous: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kazoohook_previous_secret_uses_total",
			Help: "Requests that came with the previous hook secret.",
		}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kazoohook_handler_panics_total",
			Help: "Panics caught in a handler, by listener.",
		}, []string{"listener"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kazoohook_streams",
			Help: "Live event streams being served now.",
		}),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kazoohook_streams_cut_total",
			Help: "Live event streams that the receiver ended, by reason.",
		}, []string{"reason"}),
		signed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kazoohook_signatures_total",
			Help: "Requests of hooks with a signing key, by the result of the signature check (right, wrong). Wrong ones are kept; their line has verified false.",
		}, []string{"result"}),
		hooks: make(map[string]*[outcomes]prometheus.Counter),
	}
	for _, reason := range []string{rejectSecret, rejectLimited, rejectAddress, rejectPath} {
		m.rejected.WithLabelValues(reason)
	}
	for _, reason := range []string{refuseToken, refuseLimited, refuseHost, refuseCrossSite} {
		m.refused.WithLabelValues(reason)
	}
	for _, reason := range []string{cutSlow, cutStopping, cutJournal, cutLimit} {
		m.cut.WithLabelValues(reason)
	}
	m.signatures = [2]prometheus.Counter{m.signed.WithLabelValues("right"), m.signed.WithLabelValues("wrong")}
	m.panics.WithLabelValues("public")
	m.panics.WithLabelValues("admin")
	m.other = m.hook(otherHook)
	for _, h := range hooks {
		if _, ok := m.hooks[h]; !ok && h != otherHook {
			m.hooks[h] = m.hook(h)
		}
	}
	return m
}

// hook looks up a hook's counters once. A look-up by label for each request would
// hash and allocate on the ack path.
func (m *Metrics) hook(name string) *[outcomes]prometheus.Counter {
	var c [outcomes]prometheus.Counter
	for o := range outcomes {
		c[o] = m.deliveries.WithLabelValues(name, o.String())
	}
	return &c
}

func (m *Metrics) delivered(hook string, o outcome) {
	c, ok := m.hooks[hook]
	if !ok {
		c = m.other
	}
	c[o].Inc()
}

// Collectors returns all collectors, to be registered once.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.deliveries, m.rejected, m.refused, m.ack, m.previous, m.panics,
		m.streams, m.cut, m.signed}
}
