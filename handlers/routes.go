package handlers

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

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
