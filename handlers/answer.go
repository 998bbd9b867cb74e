package handlers

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"kazoohook/internal/event"
)

// answer writes the answer to a request that came with the secret, and counts it.
type answer struct {
	w        http.ResponseWriter
	r        *http.Request
	receiver *receiver
	hook     string
	begun    bool // the status line may have been sent
	status   int  // of the answer
	trace    Trace
}

// traced ends the request's trace.
func (a *answer) traced() { a.trace.Answered(a.status) }

// ok writes the 200 and reports whether it was sent while Kazoo was still
// connected. The flush is explicit because the implicit one, after the handler has
// returned, reports no error.
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
	hungUp := a.r.Context().Err() != nil
	a.begun, a.status = true, http.StatusOK
	a.w.WriteHeader(http.StatusOK)
	if _, err := a.w.Write([]byte(ackBody)); err != nil {
		return false
	}
	if a.flush() != nil {
		return false
	}
	return !hungUp
}

// resend answers 503 so that Kazoo's HTTP client sends the same again.
func (a *answer) resend(o outcome, after string) {
	a.w.Header().Set("Retry-After", after)
	if o != unavailable {
		// Draining: the process ends soon. Broken or panicked: the rest of the
		// connection can't be trusted.
		a.w.Header().Set("Connection", "close")
	}
	a.fail(o, http.StatusServiceUnavailable, "not taken now, please resend")
}

func (a *answer) tooLarge() {
	a.receiver.noteRefused(a.r)
	a.w.Header().Set("Connection", "close")
	a.fail(tooLarge, http.StatusRequestEntityTooLarge, "body too large")
}

func (a *answer) methodNotAllowed() {
	a.receiver.noteRefused(a.r)
	a.w.Header().Set("Allow", "GET, POST, PUT")
	a.w.Header().Set("Connection", "close")
	a.fail(badMethod, http.StatusMethodNotAllowed, "method not allowed")
}

// fail writes an answer other than 200 and flushes it: once the handler has
// returned, the server may give the connection's place to another.
func (a *answer) fail(o outcome, status int, text string) {
	a.count(o)
	a.begun, a.status = true, status
	h := a.w.Header()
	h["Content-Type"] = a.receiver.text
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	a.w.WriteHeader(status)
	if _, err := io.WriteString(a.w, text+"\n"); err == nil {
		_ = a.flush() // the sender sends it again, or has hung up
	}
}

func (a *answer) flush() error {
	if f, ok := a.w.(interface{ FlushError() error }); ok {
		return f.FlushError()
	}
	return nil
}

func (a *answer) count(o outcome) { a.receiver.metrics.delivered(a.hook, o) }

// recover turns a panic into a 503 with Retry-After: a bug here must not count as a
// failure of the hook. It must be deferred directly (Go's recover).
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
		Str("stack", h.secrets.mask(string(debug.Stack()))).Msg("panic while taking a request of Kazoo")
	if a.begun {
		return // the request is counted already
	}
	a.resend(panicked, retrySoon)
}

// panicText describes a panic without the request's content: it repeats only
// messages of Go's runtime.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return strings.ToValidUTF8(err.Error(), "?")
	}
	return fmt.Sprintf("a value of type %T", v)
}
