package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"kazoohook/internal/event"
)

// Common is what the handlers of both listeners depend on. A nil or zero field is
// absent or has the stated default.
type Common struct {
	// TrustedProxies are the proxies whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Draining reports whether the service is stopping. Called for each request.
	Draining func() bool
	// Ready runs the checks of /readyz. It must be cheap: anyone may ask.
	Ready func(context.Context) []Check

	Metrics *Metrics // default: an unregistered set
	Log     zerolog.Logger
	Now     func() time.Time // default time.Now
}

// PublicDeps is what the public handlers depend on. Journal and Secret are
// required.
type PublicDeps struct {
	Common
	Journal Journal

	// Secret is the secret path segment of our hook URIs; without it no request is
	// taken. PreviousSecret, if any, is accepted too while hooks move.
	Secret, PreviousSecret string
	// PublicURL's path, if any, may precede every public path: a proxy may remove
	// it or not. May be nil.
	PublicURL *url.URL
	// MaxBody limits a request's body, in bytes; default 1 MiB.
	MaxBody int64
	// AppendTimeout bounds the wait for the journal. After that Kazoo is asked to
	// resend. Default 10 s.
	AppendTimeout time.Duration
	// AllowFrom, if not empty, lists who may send events (ALLOW_CIDRS).
	AllowFrom []netip.Prefix
	// Instance, if set, is the nonce of the self-check. The public /healthz sends
	// it in the header Kazoohook-Instance.
	Instance string
	// Refused is called with the hook id of each request that had the right secret
	// and was answered with neither 200 nor 503: Kazoo counts those as failures and
	// may switch the hook off. May be nil.
	Refused func(hookID string)
	// Keys returns the keys that may sign a hook's requests, several during a change;
	// whether the hook is known to have one; and since when it has. If it is not known
	// to have one, since is when the first hook got one; zero: none has, or the time is
	// not known. It must be cheap. May be nil.
	Keys func(hookID string) (keys [][]byte, since time.Time, signed bool)
	// Requests, if set, gets each request after it was answered 200.
	Requests Requests
	// Trace, if set, is called for each request that came with the secret; proxied
	// says that a trusted proxy sent it. It must be cheap.
	Trace func(r *http.Request, hook string, begun time.Time, proxied bool) Trace
	// PreviousUsed, if set, is called for each request that came with
	// PreviousSecret. It must be cheap.
	PreviousUsed func()
	// OtherSecrets are the secrets of other nodes of the cluster, also accepted.
	OtherSecrets []string
	// Waiting says that the secret is not known yet, because the node has not
	// joined its cluster, or because the disk fails or doesn't answer. Every
	// request to a hook's path is then answered 503, so that Kazoo resends it.
	Waiting bool
}

// Trace follows one request. Answered is called last, and once.
type Trace interface {
	// Appending is called before the journal is asked, and Appended after it.
	// Appended gets the event's name and account instead of the record, because a
	// pointer to the record would cost an allocation in every request without a
	// trace.
	Appending()
	Appended(name, account string, done event.Appended, err error)
	// Answered gets the status of the answer; 0: none.
	Answered(status int)
}

// AdminDeps is what the admin handlers depend on. History is required. The route of
// a nil function answers 404.
type AdminDeps struct {
	Common
	History History

	// Token, if set, is the bearer token of every admin route but health.
	Token string
	// Hosts are names for the admin listener besides localhost and the loopback
	// addresses. They are checked only if there is no Token.
	Hosts []string
	// Gatherer is what /metrics exposes; nil: no /metrics.
	Gatherer prometheus.Gatherer
	// Hooks returns the desired and actual state of our hooks.
	Hooks func() Overview
	// Consumers returns the positions of the journal's consumers.
	Consumers func(context.Context) ([]Consumer, error)
	// Attempts returns what Kazoo could not deliver lately, and why.
	Attempts func() []FailureGroup
	// Replay moves a consumer back; see ReplayRequest.
	Replay func(context.Context, ReplayRequest) (ReplayResult, error)
	// Resync compares Kazoo's objects with the snapshot now. It may take minutes;
	// progress may be called from other goroutines until it returns.
	Resync func(ctx context.Context, q ResyncRequest, progress func(ResyncProgress)) (ResyncResult, error)
	// Held returns the deletions that the last comparison held back.
	Held func() HeldDeletions
	// Exchanges returns the kept requests of an event; may be nil.
	Exchanges Exchanges
	// PublicURL is the receiver's URL without its secret. A proxy may offer the
	// admin listener below its path, too. May be nil.
	PublicURL *url.URL
	// About returns version, start, and room for the journal.
	About func(context.Context) (About, error)
	// Onward holds the functions for destinations.
	Onward Onward
	// Cluster holds the functions for the cluster.
	Cluster Cluster
	// Enrich completes an event before it is shown (object_name); may be nil.
	Enrich func(*event.Event)
	// Page serves every path without an admin route; nil: 404. It needs no token,
	// because a browser gets the token from the page. So it must hold no data.
	Page http.Handler

	// Heartbeat is the interval between signs of life of a silent stream; default
	// 15 s.
	Heartbeat time.Duration
	// WriteTimeout is how long the reader of an admin answer may stall before it is
	// cut off; default 30 s. In a stream it applies to each write.
	WriteTimeout time.Duration
	// MaxStreams limits concurrent streams; default 256.
	MaxStreams int
}

// Journal is the receiver's view of the journal.
//
// Append returns when the record, or the one that it is a duplicate of, is on disk.
// After any error it is not, and Kazoo should resend. Acknowledged is called once
// after each Append that succeeded and says whether the 200 was written. Refused is
// called after each that failed, before the 503 is written. Both get what Append
// returned. All are safe for concurrent use. The caller doesn't modify the record's
// body afterwards.
type Journal interface {
	Append(ctx context.Context, r event.Record) (event.Appended, error)
	Acknowledged(r event.Record, a event.Appended, written bool)
	Refused(r event.Record, a event.Appended)
}

// History is the readers' view of the journal.
//
// Query returns events in order of seq: descending, or ascending with
// OldestFirst; it may stop before Limit, and next is the Before (or After) to go
// on with, 0 at the end. Read returns events with seq > after, ascending; Wait returns
// once there is one on disk, or with the error of ctx. Last is the newest seq, 0
// if there is none.
type History interface {
	Query(ctx context.Context, q event.Query) (records []event.Record, next int64, err error)
	Read(ctx context.Context, after int64, max int) ([]event.Record, error)
	Wait(ctx context.Context, after int64) error
	Last(ctx context.Context) (int64, error)
}

// Errors of AdminDeps.Replay, wrapped or not, that are not answered with 500.
var (
	ErrNoConsumer = errors.New("no such consumer")
	ErrConflict   = errors.New("the consumer's cursor moved meanwhile")
)

// Public returns the handler of the public listener, a chi.Routes, which can be
// walked. Public and Admin list all routes.
func Public(d PublicDeps) http.Handler {
	d = d.withDefaults()
	receive := newReceiver(d)
	alive, ready := healthz(d.Common, d.Instance), readyz(d.Common, publicDetail, http.StatusServiceUnavailable)
	r := chi.NewRouter()
	// The hook is one segment. A request with more segments is stored as unknown.
	r.Handle("/kazoo/{secret}/*", receive)
	r.Method(http.MethodGet, "/healthz", alive)
	r.Method(http.MethodHead, "/healthz", alive)
	r.Method(http.MethodGet, "/readyz", ready)
	r.Method(http.MethodHead, "/readyz", ready)
	// For other spellings of a path, and methods that chi doesn't know, the
	// receiver decides by the secret between 404 and 405.
	r.MethodNotAllowed(receive.ServeHTTP)
	r.NotFound(func(w http.ResponseWriter, req *http.Request) {
		path, under := strings.CutPrefix(pathOf(req.URL), prefixOf(d.PublicURL))
		health := under && (req.Method == http.MethodGet || req.Method == http.MethodHead)
		switch {
		case health && path == "/healthz":
			alive.ServeHTTP(w, req)
		case health && path == "/readyz":
			ready.ServeHTTP(w, req)
		default:
			receive.ServeHTTP(w, req)
		}
	})
	return r
}

// Admin returns the handler of the admin listener, a chi.Routes.
func Admin(d AdminDeps) http.Handler {
	d = d.withDefaults()
	guard := newGuard(d)
	r := chi.NewRouter()
	r.Use(withoutPrefix(d.PublicURL), adminHeaders(d.WriteTimeout), adminRecover(d.Common), guard.host)
	r.NotFound(notFoundProblem)
	r.MethodNotAllowed(methodProblem)
	r.Method(http.MethodGet, "/healthz", healthz(d.Common, ""))
	r.Method(http.MethodGet, "/readyz", readyz(d.Common, adminDetail, http.StatusServiceUnavailable))
	r.With(guard.sameOrigin, jsonOnly).Method(http.MethodPost, "/api/session", guard.login())
	r.With(guard.sameOrigin).Method(http.MethodDelete, "/api/session", guard.logout())
	r.Group(func(r chi.Router) {
		r.Use(guard.authenticate)
		if d.Gatherer != nil {
			r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(d.Gatherer, promhttp.HandlerOpts{}))
		}
		r.Method(http.MethodGet, "/api/checks", readyz(d.Common, adminDetail, http.StatusOK))
		r.Method(http.MethodGet, "/api/about", about(d))
		r.Method(http.MethodGet, "/api/cluster", clusterStatus(d))
		r.With(guard.sameOrigin, jsonOnly).Method(http.MethodPost, "/api/cluster/remove", removeNode(d))
		r.With(guard.sameOrigin, jsonOnly).Method(http.MethodPost, "/api/cluster/rebuild", rebuildCluster(d))
		for _, route := range journalRoutes(d) {
			r.With(readable(d)).Method(route.method, route.path, route.handler)
		}
		for _, route := range leaderRoutes(d) {
			chain := chi.Middlewares{toLeader(d)}
			if route.method != http.MethodGet {
				chain = chi.Middlewares{guard.sameOrigin, jsonOnly, toLeader(d)}
			}
			r.With(chain...).Method(route.method, route.path, route.handler)
		}
	})
	if d.Page != nil {
		r.Method(http.MethodGet, "/*", d.Page)
	}
	return r
}

// route is a route of Admin.
type route struct {
	method, path string
	handler      http.Handler
}

// journalRoutes are answered from the journal, by every node of a cluster.
func journalRoutes(d AdminDeps) []route {
	return []route{
		{http.MethodGet, "/api/events", listEvents(d)},
		{http.MethodGet, "/api/events/stream", newStreams(d)},
		{http.MethodGet, "/api/events/{seq}", oneEvent(d)},
		{http.MethodGet, "/api/events/{seq}/deliveries", eventDeliveries(d)},
		{http.MethodGet, "/api/rates", newRates(d)},
		{http.MethodGet, "/api/dead", listDead(d)},
		{http.MethodGet, "/api/accounts", listAccounts(d)},
	}
}

// leaderRoutes are answered by the leader of a cluster only.
func leaderRoutes(d AdminDeps) []route {
	return []route{
		{http.MethodGet, "/api/hooks", overview(d)},
		{http.MethodGet, "/api/consumers", consumers(d)},
		{http.MethodGet, "/api/attempts", attempts(d)},
		{http.MethodGet, "/api/resync", held(d)},
		{http.MethodGet, "/api/destinations", listDestinations(d)},
		{http.MethodPost, "/api/destinations/{name}/pause", setPause(d, d.Onward.Pause)},
		{http.MethodPost, "/api/destinations/{name}/resume", setPause(d, d.Onward.Resume)},
		{http.MethodPost, "/api/dead/discard", discardDead(d)},
		{http.MethodPost, "/api/redeliver", redeliver(d)},
		{http.MethodPost, "/api/replay", replay(d)},
		{http.MethodPost, "/api/resync", resync(d)},
	}
}

func (d PublicDeps) withDefaults() PublicDeps {
	d.Common = d.Common.withDefaults()
	if d.MaxBody <= 0 {
		d.MaxBody = 1 << 20
	}
	if d.AppendTimeout <= 0 {
		d.AppendTimeout = 10 * time.Second
	}
	return d
}

func (d AdminDeps) withDefaults() AdminDeps {
	d.Common = d.Common.withDefaults()
	if d.Heartbeat <= 0 {
		d.Heartbeat = 15 * time.Second
	}
	if d.WriteTimeout <= 0 {
		d.WriteTimeout = 30 * time.Second
	}
	if d.MaxStreams <= 0 {
		d.MaxStreams = 256
	}
	return d
}

func (d Common) withDefaults() Common {
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
