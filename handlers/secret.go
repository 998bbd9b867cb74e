package handlers

import (
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"kazoohook/internal/event"
)

// notePrevious records and logs a request with the previous secret.
func (h *receiver) notePrevious(r *http.Request) {
	h.metrics.previous.Inc()
	if h.usedOld != nil {
		h.usedOld()
	}
	if n, ok := h.previous.pass(); ok {
		h.log.Warn().Str("hook_id", r.Header.Get("X-Hook-Id")).Int("not_logged", n).
			Msg("request with the previous hook secret: a hook still has its old URI")
	}
}

// secretIn finds the secret in the path: below PUBLIC_URL's path or, if the proxy
// removes that, at the root. It returns the rest of the path, and false if the path
// is not a hook's.
func (h *receiver) secretIn(path string) (which secretMatch, rest string, ok bool) {
	for _, prefix := range h.prefixes {
		below, under := strings.CutPrefix(path, prefix)
		if !under {
			continue
		}
		secret, after, found := hookPath(below)
		if !found {
			continue
		}
		ok = true
		if which = h.secrets.match(secret); which != noSecret {
			return which, after, true
		}
	}
	return noSecret, "", ok
}

// verify sets the record's Signature. The event is kept whatever the result.
func (h *receiver) verify(rec *event.Record, now time.Time) {
	defer func() {
		if v := recover(); v != nil { // answered 503, Kazoo would resend it forever
			h.metrics.panics.WithLabelValues("public").Inc()
			h.log.Error().Str("hook", rec.Hook).Str("panic", h.secrets.mask(panicText(v))).
				Str("stack", h.secrets.mask(string(debug.Stack()))).Msg("panic while verifying a signature: the event is kept as not verified")
			rec.Signature = event.SignedWrong
		}
	}()
	rec.Signature = h.signed.of(*rec, now)
	switch rec.Signature {
	case event.SignedRight:
		h.metrics.signatures[0].Inc()
	case event.SignedWrong:
		h.metrics.signatures[1].Inc()
		if n, ok := h.forged.pass(); ok {
			h.log.Warn().Str("hook", rec.Hook).Str("hook_id", rec.HookID).Str("source_address", rec.RemoteAddr).Int("not_logged", n).
				Msg("request with the right hook secret but without a right signature: kept, and marked as not verified")
		}
	}
}

// noteRefused records a request with the right secret whose answer Kazoo counts as
// a failure of the hook.
func (h *receiver) noteRefused(r *http.Request) {
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
		h.log.Debug().Str("source_address", source.text()).Msg("wrong or missing hook secret")
	}
	notFound(w)
}

func (h *receiver) unknownPath(w http.ResponseWriter, _ *http.Request) {
	h.metrics.rejected.WithLabelValues(rejectPath).Inc()
	notFound(w)
}

// notFound is the only 404 of the public listener. It closes the connection, so
// that requests without the secret leave no idle connections.
func notFound(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	http.Error(w, "404 page not found", http.StatusNotFound)
}
