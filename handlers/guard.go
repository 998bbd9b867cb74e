package handlers

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// guard decides who may use the admin listener.
type guard struct {
	token    [sha256.Size]byte
	required bool
	hosts    map[string]bool
	origin   *http.CrossOriginProtection
	sources  sources
	failures *limiter
	delay    time.Duration
	waiting  chan struct{}
	metrics  *Metrics
	log      zerolog.Logger
	now      func() time.Time
	logged   *throttle
}

const (
	refuseToken     = "token"       // missing or wrong token
	refuseLimited   = "token_limit" // source with too many wrong tokens
	refuseHost      = "host"        // Host that is not ours
	refuseCrossSite = "cross_site"  // a page of another origin

	// wrongTokensPerMinute of one source are compared at all, each answered
	// after wrongTokenDelay; waitingAtMost requests are kept waiting at once.
	wrongTokensPerMinute = 10
	wrongTokenDelay      = 500 * time.Millisecond
	waitingAtMost        = 64
)

func newGuard(d Deps) *guard {
	g := &guard{
		token:    sha256.Sum256([]byte(d.AdminToken)),
		required: d.AdminToken != "",
		hosts:    make(map[string]bool),
		origin:   http.NewCrossOriginProtection(),
		sources:  sources{trusted: d.TrustedProxies},
		failures: newLimiter(wrongTokensPerMinute, d.Now),
		delay:    wrongTokenDelay,
		waiting:  make(chan struct{}, waitingAtMost),
		metrics:  d.Metrics,
		log:      d.Log,
		now:      d.Now,
		logged:   &throttle{every: time.Minute, now: d.Now},
	}
	for _, h := range d.AdminHosts {
		g.hosts[strings.ToLower(h)] = true
	}
	return g
}

// authenticate lets through who carries the token or a session.
func (g *guard) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.required || g.inSession(r) {
			next.ServeHTTP(w, r)
			return
		}
		given, ok := bearer(r)
		if !ok {
			g.metrics.refused.WithLabelValues(refuseToken).Inc()
			g.unauthorized(w)
			return
		}
		if g.try(w, r, given) {
			next.ServeHTTP(w, r)
		}
	})
}

// try compares a token, and answers for the caller if it is wrong. A source
// that has tried too many is refused unheard for the rest of the minute:
// otherwise the delay could be had many times in parallel.
func (g *guard) try(w http.ResponseWriter, r *http.Request, token string) bool {
	from := g.sources.of(r)
	if g.failures.above(from.key()) {
		g.metrics.refused.WithLabelValues(refuseLimited).Inc()
		w.Header().Set("Retry-After", "60")
		writeProblem(w, http.StatusTooManyRequests, "Too many wrong tokens from this address. Wait a minute.")
		return false
	}
	if g.right(token) {
		return true
	}
	g.failures.over(from.key())
	g.metrics.refused.WithLabelValues(refuseToken).Inc()
	if n, ok := g.logged.pass(); ok {
		g.log.Warn().Str("source_address", from.text()).Int("not_logged", n).Msg("wrong admin token")
	}
	g.slow(r)
	g.unauthorized(w)
	return false
}

func (g *guard) unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="kazoohook"`)
	writeProblem(w, http.StatusUnauthorized, "Send the admin token: Authorization: Bearer <ADMIN_TOKEN>.")
}

func (g *guard) right(given string) bool {
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// slow keeps a wrong guess waiting, but not more of them than we can afford.
func (g *guard) slow(r *http.Request) {
	select {
	case g.waiting <- struct{}{}:
	default:
		return
	}
	defer func() { <-g.waiting }()
	t := time.NewTimer(g.delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}

// host refuses a Host that isn't ours. Without a token the listener trusts the
// machine it runs on, and a web page may point its own name at 127.0.0.1 (DNS
// rebinding): the name in Host then gives it away.
func (g *guard) host(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.required && !g.ours(r.Host) {
			g.metrics.refused.WithLabelValues(refuseHost).Inc()
			writeProblem(w, http.StatusForbidden,
				"Address the admin listener as localhost or by a loopback address, or set ADMIN_TOKEN.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *guard) ours(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || g.hosts[host] || g.hosts[strings.ToLower(hostport)] {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// sameOrigin refuses what a page of another origin makes a browser send.
func (g *guard) sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.origin.Check(r); err != nil {
			g.metrics.refused.WithLabelValues(refuseCrossSite).Inc()
			writeProblem(w, http.StatusForbidden, "This can't be asked by a page of another origin.")
			return
		}
		next.ServeHTTP(w, r)
	})
}
