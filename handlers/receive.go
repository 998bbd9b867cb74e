package handlers

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
)

// receiver answers Kazoo's deliveries. Kazoo takes 200 alone for success and
// resends only on 503 with Retry-After (kazoo 4.3
// applications/webhooks/src/webhooks_util.erl and OTP's httpc), hence:
// everything that came with the secret is kept, or answered so that it comes
// again. Without the secret nothing is told apart: it is 404 always.
type receiver struct {
	journal  Journal
	route    func(event.Delivery) event.Record
	secrets  secrets
	sources  sources
	failures *limiter
	draining func() bool
	metrics  *Metrics
	log      zerolog.Logger
	now      func() time.Time
	maxBody  int64
	patience *patience
	refused  func(hookID string)
	usedOld  func() // may be nil

	previous, elsewhere, refusals, partial *throttle

	// Header values shared by all answers: net/http only reads them.
	text, length []string
}

const (
	rejectSecret  = "secret"       // wrong or missing secret
	rejectLimited = "secret_limit" // the same, from a source that has tried too often
	rejectAddress = "address"      // right secret, source not in ALLOW_CIDRS
	rejectPath    = "path"         // no such path

	// retrySoon and retryLater are Retry-After in seconds. Kazoo's client waits
	// that long and resends; it takes one or two digits, no more.
	retrySoon  = "2"
	retryLater = "5"

	ackBody = "OK\n"

	// failuresPerMinute of one source with a wrong secret are answered one by
	// one; what is above is still checked (a right secret is never limited) but
	// neither logged nor told apart in any way.
	failuresPerMinute = 30

	formType = "application/x-www-form-urlencoded"
)

func newReceiver(d Deps) *receiver {
	every := func(interval time.Duration) *throttle { return &throttle{every: interval, now: d.Now} }
	return &receiver{
		journal:   d.Journal,
		route:     event.Route,
		secrets:   newSecrets(d.Secret, d.PreviousSecret),
		sources:   sources{trusted: d.TrustedProxies, allowed: d.AllowFrom},
		failures:  newLimiter(failuresPerMinute, d.Now),
		draining:  d.Draining,
		metrics:   d.Metrics,
		log:       d.Log,
		now:       d.Now,
		maxBody:   d.MaxBody,
		refused:   d.Refused,
		usedOld:   d.PreviousUsed,
		patience:  &patience{length: d.AppendTimeout, now: time.Now},
		previous:  every(time.Minute),
		elsewhere: every(time.Minute),
		refusals:  every(time.Second),
		partial:   every(10 * time.Second),
		text:      []string{"text/plain; charset=utf-8"},
		length:    []string{"3"},
	}
}

// ServeHTTP answers one delivery. It is one function with explicit steps, not a
// stack of middleware, because every step decides what Kazoo does next and
// none may come before the secret.
func (h *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	secret, rest, ok := deliveryPath(r)
	if !ok {
		h.unknownPath(w, r)
		return
	}
	which := h.secrets.match(secret)
	if which == noSecret {
		h.wrongSecret(w, r)
		return
	}
	source := h.sources.of(r)
	if !h.sources.allow(source) {
		h.metrics.rejected.WithLabelValues(rejectAddress).Inc()
		if n, ok := h.elsewhere.pass(); ok {
			h.log.Warn().Str("source_address", source.text()).Int("not_logged", n).
				Msg("right hook secret from an address that may not deliver (ALLOW_CIDRS): answered 404")
		}
		h.tellRefused(r)
		notFound(w, r)
		return
	}
	if which == previousSecret {
		h.metrics.previous.Inc()
		if h.usedOld != nil {
			h.usedOld()
		}
		if n, ok := h.previous.pass(); ok {
			h.log.Warn().Str("hook_id", r.Header.Get("X-Hook-Id")).Int("not_logged", n).
				Msg("delivery with the previous hook secret: a hook still has its old URI")
		}
	}

	hook := hookName(rest)
	a := answer{w: w, r: r, receiver: h, hook: hook}
	defer a.recover()
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodGet:
	default:
		a.methodNotAllowed()
		return
	}
	if h.draining() {
		a.resend(draining, retryLater)
		return
	}
	d := event.Delivery{
		Source:        event.SourceWebhook,
		ReceivedAt:    start.UTC(),
		Hook:          hook,
		HookID:        clip(r.Header.Get("X-Hook-Id"), 256),
		HookAccountID: clip(r.Header.Get("X-Account-Id"), 256),
		Method:        r.Method,
		ContentType:   clip(r.Header.Get("Content-Type"), 256),
		RemoteAddr:    source.text(),
	}
	if r.Method == http.MethodGet {
		// A GET hook carries its event in the query (webhooks_util.erl).
		d.ContentType, d.Body = formType, []byte(r.URL.RawQuery)
	} else {
		body, err := readBody(r, h.maxBody)
		switch {
		case errors.Is(err, errTooLarge):
			a.tooLarge()
			return
		case err != nil:
			// Half a body is no event, and a 4xx would lose it for good.
			if n, ok := h.partial.pass(); ok {
				h.log.Warn().Err(err).Str("hook", hook).Int("not_logged", n).
					Msg("a delivery's body did not arrive in full: answered 503 for Kazoo to resend")
			}
			a.resend(broken, retrySoon)
			return
		}
		d.Body = body
	}
	rec := h.routed(d, r.Header.Get("Content-Encoding"))

	// Kazoo having hung up doesn't undo what happened: keep the event anyway.
	done, err := h.journal.Append(h.patience.context(), rec)
	if err != nil {
		a.resend(unavailable, retrySoon)
		h.journal.Refused(rec)
		if n, ok := h.refusals.pass(); ok {
			h.log.Error().Err(err).Str("hook", hook).Int("not_logged", n).
				Msg("the journal could not take an event: answered 503 for Kazoo to resend")
		}
		return
	}
	written := a.ok(rec, done)
	h.journal.Acknowledged(rec, done, written)
	h.metrics.ack.Observe(h.now().Sub(start).Seconds())
	h.log.Debug().Str("hook", hook).Str("event_name", rec.Event).Int64("seq", done.Seq).
		Bool("duplicate", done.Duplicate).Bool("answer_written", written).Msg("delivery taken")
}

// tellRefused tells of a request that is answered so that Kazoo, if it sent it,
// counts a failure of the hook.
func (h *receiver) tellRefused(r *http.Request) {
	if id := r.Header.Get("X-Hook-Id"); id != "" && h.refused != nil {
		h.refused(id)
	}
}

// wrongSecret answers a request without the secret. The body is never read.
func (h *receiver) wrongSecret(w http.ResponseWriter, r *http.Request) {
	source := h.sources.of(r)
	reason := rejectSecret
	if h.failures.over(source.key()) {
		reason = rejectLimited
	}
	h.metrics.rejected.WithLabelValues(reason).Inc()
	if reason == rejectSecret {
		h.tellRefused(r)
		h.log.Debug().Str("source_address", source.text()).Msg("wrong or missing hook secret")
	}
	notFound(w, r)
}

func (h *receiver) unknownPath(w http.ResponseWriter, r *http.Request) {
	h.metrics.rejected.WithLabelValues(rejectPath).Inc()
	notFound(w, r)
}

// notFound is the one 404 of the public listener. The connection is closed: a
// stranger keeps none idle.
func notFound(w http.ResponseWriter, r *http.Request) {
	hangUp(w, r)
	http.Error(w, "404 page not found", http.StatusNotFound)
}

// hangUp lets this answer be the connection's last. Of a body that was not read
// nothing more is awaited either: net/http would, for as long as a request may
// take to be read.
func hangUp(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // without a connection nothing waits
	}
}

// deliveryPath splits /kazoo/{secret}/{hook}. It takes the path as sent, still
// percent-encoded, so that no encoding of a slash or a dot means anything.
func deliveryPath(r *http.Request) (secret, rest string, ok bool) {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	path, ok = strings.CutPrefix(path, "/kazoo/")
	if !ok {
		return "", "", false
	}
	return strings.Cut(path, "/")
}

// hookName makes the rest of the path a hook name: [a-z0-9_]{1,64}. Another
// spelling is no reason to lose an event that came with the secret.
func hookName(s string) string {
	const longest = 64
	clean := s != "" && len(s) <= longest
	for i := 0; clean && i < len(s); i++ {
		clean = nameByte(s[i])
	}
	if clean {
		return s
	}
	if s == "" {
		return event.Unknown
	}
	b := []byte(strings.ToLower(clip(s, longest)))
	for i := range b {
		if !nameByte(b[i]) {
			b[i] = '_'
		}
	}
	return clip(string(b), longest)
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_'
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
