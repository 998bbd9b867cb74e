package handlers

import (
	"errors"
	"mime"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"
)

// adminHeaders sets what every admin answer carries, and the time a reader may
// take for it: the server has no write timeout, which would end every stream.
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

// extend gives the reader that long from now. Without a connection (a test's
// recorder) there is nothing to limit.
func extend(w http.ResponseWriter, timeout time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout))
}

func adminRecover(d Deps) func(http.Handler) http.Handler {
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

// failed answers 500, or 503 if the caller's context ended, and logs why: what
// went wrong inside is for the log only.
func failed(w http.ResponseWriter, r *http.Request, log zerolog.Logger, err error) {
	if r.Context().Err() != nil {
		writeProblem(w, http.StatusServiceUnavailable, "The request was cancelled.")
		return
	}
	log.Error().Err(err).Str("path", clip(r.URL.Path, 200)).Msg("an admin request failed")
	writeProblem(w, http.StatusInternalServerError, "See the log for the reason.")
}

// jsonOnly refuses a body that is not declared as JSON: a form can be posted by
// any page a browser shows, JSON can't.
func jsonOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
			writeProblem(w, http.StatusUnsupportedMediaType, "Send Content-Type: application/json.")
			return
		}
		next.ServeHTTP(w, r)
	})
}
