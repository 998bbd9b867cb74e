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

	// Wrong tokens are answered after wrongTokenDelay, and with 429 beyond
	// wrongTokensPerMinute from one source. At most waitingAtMost requests are
	// delayed at once. The right token is never refused or delayed, because an
	// attacker may share its address, and because it is too long to be guessed.
	wrongTokensPerMinute = 10
	wrongTokenDelay      = 500 * time.Millisecond
	waitingAtMost        = 64
)

func newGuard(d AdminDeps) *guard {
	g := &guard{
		token:    sha256.Sum256([]byte(d.Token)),
		required: d.Token != "",
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
	for _, h := range d.Hosts {
		g.hosts[strings.ToLower(h)] = true
	}
	return g
}

// authenticate passes on requests that carry the token or a session.
func (g *guard) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.required || g.inSession(r) {
			trust(w)
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

// try checks a token. If it is wrong, try has answered the request.
func (g *guard) try(w http.ResponseWriter, r *http.Request, token string) bool {
	if g.right(token) {
		trust(w)
		return true
	}
	from := g.sources.of(r)
	if g.failures.over(from.key()) {
		g.metrics.refused.WithLabelValues(refuseLimited).Inc()
		g.slow(r)
		w.Header().Set("Retry-After", "60")
		writeProblem(w, http.StatusTooManyRequests, "Too many wrong tokens from this address. The right one is still taken.")
		return false
	}
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

// slow delays a wrong token, at most waitingAtMost of them at once.
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

// host refuses a Host that isn't ours. Without a token the listener trusts its
// machine, but a web page may resolve its own name to 127.0.0.1 (DNS rebinding).
// Host then holds that name.
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

// sameOrigin refuses requests that a browser sends for a page of another origin.
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
