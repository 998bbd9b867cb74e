package handlers

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"

	"kazoohook/internal/event"
)

// answer writes the one answer to a delivery that came with the secret, and
// counts it.
type answer struct {
	w        http.ResponseWriter
	r        *http.Request
	receiver *receiver
	hook     string
	begun    bool // the status line is out or on its way
}

// ok writes the 200 and reports whether it went out to a Kazoo that was still
// there. The flush is explicit because the outcome of the implicit one, after
// the handler has returned, is told to nobody.
func (a *answer) ok(rec event.Record, done event.Appended) bool {
	switch {
	case done.Duplicate:
		a.count(duplicate)
	case rec.Event == event.Unknown:
		a.count(unknown)
	default:
		a.count(accepted)
	}
	h := a.w.Header()
	h["Content-Type"], h["Content-Length"] = a.receiver.text, a.receiver.length
	gone := a.r.Context().Err() != nil
	a.begun = true
	a.w.WriteHeader(http.StatusOK)
	if _, err := a.w.Write([]byte(ackBody)); err != nil {
		return false
	}
	if f, ok := a.w.(interface{ FlushError() error }); ok {
		if err := f.FlushError(); err != nil {
			return false
		}
	}
	return !gone
}

// resend answers 503 so that Kazoo's HTTP client sends the same again.
func (a *answer) resend(o outcome, after string) {
	a.w.Header().Set("Retry-After", after)
	if o != unavailable {
		// Draining: the connection must not outlive us. Broken, panic: what follows
		// on it can't be trusted. What is left of the body is still read, after the
		// answer, since to close on unread bytes may cost Kazoo the answer.
		a.w.Header().Set("Connection", "close")
	}
	a.fail(o, http.StatusServiceUnavailable, "not taken now, please resend")
}

func (a *answer) tooLarge() {
	a.receiver.tellRefused(a.r)
	hangUp(a.w, a.r)
	a.fail(tooLarge, http.StatusRequestEntityTooLarge, "body too large")
}

func (a *answer) methodNotAllowed() {
	a.receiver.tellRefused(a.r)
	a.w.Header().Set("Allow", "GET, POST, PUT")
	hangUp(a.w, a.r)
	a.fail(badMethod, http.StatusMethodNotAllowed, "method not allowed")
}

func (a *answer) fail(o outcome, status int, text string) {
	a.count(o)
	a.begun = true
	http.Error(a.w, text, status)
}

func (a *answer) count(o outcome) { a.receiver.metrics.delivered(a.hook, o) }

// recover turns a panic into a 503 with Retry-After: a defect of ours must cost
// Kazoo no failure. It is deferred directly, as recover demands.
func (a *answer) recover() {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && err == http.ErrAbortHandler { //nolint:errorlint // compared as net/http does
		panic(v)
	}
	h := a.receiver
	h.metrics.panics.WithLabelValues("public").Inc()
	h.log.Error().Str("hook", a.hook).Str("panic", h.secrets.mask(panicText(v))).
		Str("stack", h.secrets.mask(string(debug.Stack()))).Msg("panic while taking a delivery")
	if a.begun {
		return // and counted
	}
	a.resend(panicked, retrySoon)
}

// panicText describes a panic without what it may have been given: only the
// runtime's own messages are free of the delivery's content.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return strings.ToValidUTF8(err.Error(), "?")
	}
	return fmt.Sprintf("a value of type %T", v)
}
