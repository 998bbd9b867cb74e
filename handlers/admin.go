package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"
)

// adminHeaders sets the headers of every admin answer, and its write deadline: the
// server has no write timeout, because that would end every stream.
func adminHeaders(timeout time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Cache-Control", "no-store")
			extend(w, timeout)
			next.ServeHTTP(w, r)
		})
	}
}

// extend sets the write deadline to timeout from now. A test's recorder has no
// connection, and no deadline.
func extend(w http.ResponseWriter, timeout time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout))
}

func adminRecover(d Common) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(v)
				}
				d.Metrics.panics.WithLabelValues("admin").Inc()
				d.Log.Error().Str("path", clip(r.URL.Path, 200)).Str("panic", panicText(v)).
					Str("stack", string(debug.Stack())).Msg("panic in an admin handler")
				writeProblem(w, http.StatusInternalServerError, "")
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// failed answers 500, or 503 if the caller's context ended. Only the log gets the
// reason.
func failed(w http.ResponseWriter, r *http.Request, log zerolog.Logger, err error) {
	if r.Context().Err() != nil {
		writeProblem(w, http.StatusServiceUnavailable, "The request was cancelled.")
		return
	}
	log.Error().Err(err).Str("path", clip(r.URL.Path, 200)).Msg("an admin request failed")
	writeProblem(w, http.StatusInternalServerError, "See the log for the reason.")
}

// jsonOnly refuses a body that is not declared as JSON: any web page can make a
// browser post a form, but not JSON.
func jsonOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
			writeProblem(w, http.StatusUnsupportedMediaType, "Send Content-Type: application/json.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// problem is an error answer of the admin listener (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// writeProblem answers with an error. The detail tells the caller what to do. It
// must not reveal internals.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	writeProblemOf(w, "about:blank", status, detail)
}

// writeProblemOf is writeProblem for an error that programs must distinguish from
// others of the same status: by its type (RFC 9457).
func writeProblemOf(w http.ResponseWriter, kind string, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	writeJSONStatus(w, status, problem{
		Type: kind, Title: http.StatusText(status), Status: status, Detail: detail,
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	writeJSONStatus(w, http.StatusOK, v)
}

func writeJSONStatus(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(true)
	if err := e.Encode(v); err != nil {
		// Only the type of a dependency can fail to marshal. Nothing has been sent
		// yet.
		w.Header().Set("Content-Type", "application/problem+json")
		status = http.StatusInternalServerError
		b.Reset()
		b.WriteString(`{"type":"about:blank","title":"Internal Server Error","status":500}` + "\n")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader may have hung up
}

func notFoundProblem(w http.ResponseWriter, _ *http.Request) {
	writeProblem(w, http.StatusNotFound, "There is nothing at this path.")
}

func methodProblem(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, http.StatusMethodNotAllowed, r.Method+" is not possible here.")
}
