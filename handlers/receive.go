package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// receiver answers Kazoo's requests. For Kazoo only 200 is success, and it resends
// only on 503 with Retry-After (kazoo 4.3
// applications/webhooks/src/webhooks_util.erl and OTP's httpc). So every request
// with the secret is stored, or answered so that Kazoo resends it. Without the
// secret every answer is the same 404.
type receiver struct {
	journal  Journal
	route    func(event.Request) event.Record
	secrets  secrets
	waiting  bool     // the secret is not known yet
	prefixes []string // paths that may precede /kazoo: none, and the path of PUBLIC_URL
	sources  sources
	failures *limiter
	draining func() bool
	metrics  *Metrics
	log      zerolog.Logger
	now      func() time.Time
	maxBody  int64
	waits    *sharedTimeout // for the journal
	signed   signatures
	refused  func(hookID string)
	requests Requests // may be nil
	usedOld  func()   // may be nil
	trace    func(r *http.Request, hook string, begun time.Time, proxied bool) Trace

	// Log lines that anyone can provoke are limited.
	previous, elsewhere, refusals, partial, forged *throttle

	// Header values shared by all answers: net/http only reads them.
	text, length []string
}

const (
	rejectSecret  = "secret"       // wrong or missing secret
	rejectLimited = "secret_limit" // the same, from a source with too many of them
	rejectAddress = "address"      // right secret, source not in ALLOW_CIDRS
	rejectPath    = "path"         // no such path

	// retrySoon and retryLater are values of Retry-After, in seconds. Kazoo's
	// client waits that long and resends. It accepts one or two digits.
	retrySoon  = "2"
	retryLater = "5"

	ackBody = "OK\n"

	// failuresPerMinute bounds the log lines for wrong secrets from one source.
	// Further requests are still checked: a right secret is never limited.
	failuresPerMinute = 30

	formType = "application/x-www-form-urlencoded"
)

func newReceiver(d PublicDeps) *receiver {
	every := func(interval time.Duration) *throttle { return &throttle{every: interval, now: d.Now} }
	prefixes := []string{""}
	if p := prefixOf(d.PublicURL); p != "" {
		prefixes = append(prefixes, p)
	}
	return &receiver{
		journal:   d.Journal,
		route:     event.Route,
		secrets:   newSecrets(d.Secret, d.PreviousSecret, d.OtherSecrets...),
		waiting:   d.Waiting,
		prefixes:  prefixes,
		sources:   sources{trusted: d.TrustedProxies, allowed: d.AllowFrom},
		failures:  newLimiter(failuresPerMinute, d.Now),
		draining:  d.Draining,
		metrics:   d.Metrics,
		log:       d.Log,
		now:       d.Now,
		maxBody:   d.MaxBody,
		refused:   d.Refused,
		requests:  d.Requests,
		usedOld:   d.PreviousUsed,
		trace:     d.Trace,
		waits:     &sharedTimeout{length: d.AppendTimeout, now: time.Now},
		previous:  every(time.Minute),
		elsewhere: every(time.Minute),
		refusals:  every(time.Second),
		partial:   every(10 * time.Second),
		forged:    every(10 * time.Second),
		signed:    signatures{keys: d.Keys},
		text:      []string{"text/plain; charset=utf-8"},
		length:    []string{"3"},
	}
}

// ServeHTTP answers one request. Its steps are explicit instead of middleware: each
// decides what Kazoo does next, and the check of the secret must come first.
func (h *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	which, rest, ok := h.secretIn(pathOf(r.URL))
	switch {
	case !ok:
		h.unknownPath(w, r)
		return
	case which == noSecret && h.waiting:
		a := answer{w: w, r: r, receiver: h, hook: hookName(rest)}
		a.resend(unavailable, retrySoon)
		return
	case which == noSecret:
		h.wrongSecret(w, r)
		return
	}
	trust(w)
	source := h.sources.of(r)
	if !h.sources.allow(source) {
		h.metrics.rejected.WithLabelValues(rejectAddress).Inc()
		if n, ok := h.elsewhere.pass(); ok {
			h.log.Warn().Str("source_address", source.text()).Int("not_logged", n).
				Msg("right hook secret from an address that ALLOW_CIDRS doesn't list: answered 404")
		}
		h.noteRefused(r)
		notFound(w)
		return
	}
	if which == previousSecret {
		h.notePrevious(r)
	}
	a := answer{w: w, r: r, receiver: h, hook: hookName(rest)}
	if h.trace != nil {
		a.trace = h.trace(r, a.hook, start, h.sources.proxied(r))
		defer a.traced()
	}
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
	if d, ok := h.read(&a, start, source); ok {
		h.keep(&a, d, start)
	}
}

// read reads a request, or answers it if the body can't be read.
func (h *receiver) read(a *answer, start time.Time, from source) (d event.Request, ok bool) {
	r := a.r
	d = event.Request{
		Source:        event.SourceWebhook,
		ReceivedAt:    start.UTC(),
		Hook:          a.hook,
		HookID:        clip(r.Header.Get("X-Hook-Id"), 256),
		HookAccountID: clip(r.Header.Get("X-Account-Id"), 256),
		Method:        r.Method,
		ContentType:   clip(r.Header.Get("Content-Type"), 256),
		RemoteAddr:    from.text(),
	}
	if h.sources.proxied(r) {
		d.RequestID = clip(r.Header.Get("X-Request-Id"), 256)
	}
	if r.Method == http.MethodGet {
		// A GET hook carries its event in the query (webhooks_util.erl).
		d.ContentType, d.Body = formType, []byte(r.URL.RawQuery)
		return d, true
	}
	body, err := readBody(r, h.maxBody)
	switch {
	case errors.Is(err, errTooLarge):
		a.tooLarge()
		return d, false
	case err != nil:
		// Half a body is not an event, and Kazoo would not resend after a 4xx.
		if n, ok := h.partial.pass(); ok {
			h.log.Warn().Err(err).Str("hook", a.hook).Int("not_logged", n).
				Msg("a request's body did not arrive in full: answered 503 for Kazoo to resend")
		}
		a.resend(broken, retrySoon)
		return d, false
	}
	d.Body = body
	return d, true
}

// keep stores a request in the journal and answers it. The event is stored even if
// Kazoo has hung up.
func (h *receiver) keep(a *answer, d event.Request, start time.Time) {
	rec := h.routed(d, a.r.Header.Get("Content-Encoding"))
	h.verify(&rec, start)
	if a.trace != nil {
		a.trace.Appending()
	}
	done, err := h.journal.Append(h.waits.context(), rec)
	if a.trace != nil {
		a.trace.Appended(rec.Event, rec.AccountID, done, err)
	}
	if errors.Is(err, journal.ErrTooLarge) {
		a.tooLarge()
		return
	}
	if err != nil {
		h.journal.Refused(rec, done) // before the answer: Kazoo may resend at once
		a.resend(unavailable, retrySoon)
		if n, ok := h.refusals.pass(); ok {
			h.log.Error().Err(err).Str("hook", a.hook).Int("not_logged", n).
				Msg("the journal could not take an event: answered 503 for Kazoo to resend")
		}
		return
	}
	written := a.ok(rec, done)
	h.journal.Acknowledged(rec, done, written)
	took := h.now().Sub(start)
	h.metrics.ack.Observe(took.Seconds())
	h.note(a, rec, done, written, took)
	h.log.Debug().Str("hook", a.hook).Str("event_name", rec.Event).Int64("seq", done.Seq).
		Bool("duplicate", done.Duplicate).Bool("answer_written", written).Msg("request taken")
}

// trust reports to the server that the request has shown the secret. At the limit
// of connections, those without the secret are closed first.
func trust(w http.ResponseWriter) {
	for {
		switch t := w.(type) {
		case interface{ Trusted() }:
			t.Trusted()
			return
		case interface{ Unwrap() http.ResponseWriter }: // e.g. the writer that masks secrets
			w = t.Unwrap()
		default:
			return
		}
	}
}
