// Package handlers holds every HTTP handler and route: on the public side the
// receiver of Kazoo's deliveries and the health of the service, on the admin
// side metrics, the history, the live stream and replay.
package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"kazoohook/internal/event"
)

// Deps is everything the handlers depend on. Journal, History and Secret are
// required; what else is nil or zero is absent or has the default stated.
type Deps struct {
	Journal Journal
	History History

	// Secret is the secret path segment of our hook URIs; without it no delivery
	// is taken. PreviousSecret, if any, is taken as well while hooks move.
	Secret, PreviousSecret string
	// MaxBody limits a delivery's body, in bytes; default 1 MiB.
	MaxBody int64
	// AppendTimeout bounds how long Kazoo is kept waiting for the journal before
	// it is told to resend; default 10 s.
	AppendTimeout time.Duration
	// AllowFrom, if not empty, lists who may deliver (ALLOW_CIDRS).
	AllowFrom []netip.Prefix
	// TrustedProxies are those whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Draining reports whether the service is stopping. Called for each delivery.
	Draining func() bool
	// Instance, if set, is told by the public /healthz in the header
	// Kazoohook-Instance: the nonce of the self-check.
	Instance string
	// Refused is told the hook id, as the request claims it, of each delivery that
	// was answered with neither 200 nor a request to resend: Kazoo counts those
	// towards switching the hook off. Anyone can claim an id. May be nil.
	Refused func(hookID string)
	// PreviousUsed, if set, is told of each delivery that came with
	// PreviousSecret. It must be cheap.
	PreviousUsed func()
	// Ready makes the checks behind /readyz. It must be cheap: anyone may ask.
	Ready func(context.Context) []Check

	// AdminToken, if set, is the bearer token of every admin route but health.
	AdminToken string
	// AdminHosts are names by which the admin listener may be addressed besides
	// localhost and the loopback addresses. Looked at only without a token.
	AdminHosts []string
	// Gatherer is what /metrics exposes; nil: no /metrics.
	Gatherer prometheus.Gatherer
	// Hooks gives the desired and actual state of our hooks, as /api/hooks shows
	// it; Consumers likewise the journal's consumers. Any JSON-able value.
	Hooks     func(context.Context) (any, error)
	Consumers func(context.Context) (any, error)
	// Attempts gives what Kazoo could not deliver lately and why, a JSON-able list.
	Attempts func(context.Context) (any, error)
	// Replay moves a consumer back; see ReplayRequest.
	Replay func(context.Context, ReplayRequest) (ReplayResult, error)
	// Resync compares Kazoo's objects with the snapshot now. It may take minutes;
	// progress may be called from other goroutines until it returns.
	Resync func(ctx context.Context, q ResyncRequest, progress func(ResyncProgress)) (ResyncResult, error)
	// Enrich completes an event before it is shown (object_name); may be nil.
	Enrich func(*event.Event)
	// Page serves what no other route of the admin side does; nil: 404. It needs
	// no token, because a browser has none to show before it has the page: it must
	// hold no data of its own.
	Page http.Handler

	// Heartbeat is how often a silent stream shows that it lives; default 15 s.
	Heartbeat time.Duration
	// WriteTimeout is how long the reader of an admin answer may stall before it
	// is cut off; default 30 s. A stream has it for each write.
	WriteTimeout time.Duration
	// MaxStreams limits concurrent streams; default 256.
	MaxStreams int

	Metrics *Metrics // default: a set that nobody sees
	Log     zerolog.Logger
	Now     func() time.Time // default time.Now
}

// Journal is the receiver's view of the journal.
//
// Append returns when the record is on disk, or is a duplicate of one that is;
// any error means that it is not, and that Kazoo should resend. Acknowledged is
// called once after each Append that succeeded and says whether the 200 was
// written; Refused after each that failed. All are safe for concurrent use. The
// record's body is not touched again by the caller.
type Journal interface {
	Append(ctx context.Context, r event.Record) (event.Appended, error)
	Acknowledged(r event.Record, a event.Appended, written bool)
	Refused(r event.Record)
}

// History is the readers' view of the journal.
//
// Query returns events in order of seq: descending, or ascending with
// OldestFirst. Read returns events with seq > after, ascending; Wait returns
// once there is one on disk, or with the error of ctx. Last is the newest seq, 0
// if there is none.
type History interface {
	Query(ctx context.Context, q event.Query) ([]event.Record, error)
	Read(ctx context.Context, after int64, max int) ([]event.Record, error)
	Wait(ctx context.Context, after int64) error
	Last(ctx context.Context) (int64, error)
}

// Errors that Deps.Replay may return, wrapped or not, to be answered other than
// by 500.
var (
	ErrNoConsumer = errors.New("no such consumer")
	ErrConflict   = errors.New("the consumer's cursor moved meanwhile")
)

// New returns the handlers of the public and of the admin listener. Both are
// chi.Routes, which can be walked.
func New(d Deps) (public, admin http.Handler) {
	d = d.withDefaults()
	return publicRoutes(d), adminRoutes(d)
}

// publicRoutes and adminRoutes are all the routes there are.
func publicRoutes(d Deps) http.Handler {
	receive := newReceiver(d)
	r := chi.NewRouter()
	// The hook is one segment; more than one is still a delivery, kept as unknown.
	r.Handle("/kazoo/{secret}/*", receive)
	r.Method(http.MethodGet, "/healthz", healthz(d.Instance))
	r.Method(http.MethodHead, "/healthz", healthz(d.Instance))
	r.Method(http.MethodGet, "/readyz", readyz(d, publicDetail, http.StatusServiceUnavailable))
	r.Method(http.MethodHead, "/readyz", readyz(d, publicDetail, http.StatusServiceUnavailable))
	// A method that chi doesn't know never reaches a route: the receiver tells
	// 404 from 405 by the secret, also for those.
	r.MethodNotAllowed(receive.ServeHTTP)
	r.NotFound(receive.unknownPath)
	return r
}

func adminRoutes(d Deps) http.Handler {
	guard := newGuard(d)
	r := chi.NewRouter()
	r.Use(adminHeaders(d.WriteTimeout), adminRecover(d), guard.host)
	r.NotFound(notFoundProblem)
	r.MethodNotAllowed(methodProblem)
	r.Method(http.MethodGet, "/healthz", healthz(""))
	r.Method(http.MethodGet, "/readyz", readyz(d, adminDetail, http.StatusServiceUnavailable))
	r.With(guard.sameOrigin, jsonOnly).Method(http.MethodPost, "/api/session", guard.login())
	r.With(guard.sameOrigin).Method(http.MethodDelete, "/api/session", guard.logout())
	r.Group(func(r chi.Router) {
		r.Use(guard.authenticate)
		if d.Gatherer != nil {
			r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(d.Gatherer, promhttp.HandlerOpts{}))
		}
		r.Method(http.MethodGet, "/api/events", listEvents(d))
		r.Method(http.MethodGet, "/api/events/stream", newStreams(d))
		r.Method(http.MethodGet, "/api/events/{seq}", oneEvent(d))
		r.Method(http.MethodGet, "/api/hooks", answerWith(d, d.Hooks))
		r.Method(http.MethodGet, "/api/consumers", answerWith(d, d.Consumers))
		r.Method(http.MethodGet, "/api/checks", readyz(d, adminDetail, http.StatusOK))
		r.Method(http.MethodGet, "/api/attempts", answerWith(d, d.Attempts))
		r.Method(http.MethodGet, "/api/rates", newRates(d))
		r.With(guard.sameOrigin, jsonOnly).Method(http.MethodPost, "/api/replay", replay(d))
		r.With(guard.sameOrigin, jsonOnly).Method(http.MethodPost, "/api/resync", resync(d))
	})
	if d.Page != nil {
		r.Method(http.MethodGet, "/*", d.Page)
	}
	return r
}

func (d Deps) withDefaults() Deps {
	if d.MaxBody <= 0 {
		d.MaxBody = 1 << 20
	}
	if d.AppendTimeout <= 0 {
		d.AppendTimeout = 10 * time.Second
	}
	if d.Heartbeat <= 0 {
		d.Heartbeat = 15 * time.Second
	}
	if d.WriteTimeout <= 0 {
		d.WriteTimeout = 30 * time.Second
	}
	if d.MaxStreams <= 0 {
		d.MaxStreams = 256
	}
	if d.Draining == nil {
		d.Draining = func() bool { return false }
	}
	if d.Ready == nil {
		d.Ready = func(context.Context) []Check { return nil }
	}
	if d.Metrics == nil {
		d.Metrics = NewMetrics(nil)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return d
}
