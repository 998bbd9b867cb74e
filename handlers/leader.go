package handlers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"
)

// LeaderRequest is a request that only the leader can answer, passed on by another
// node. That node has checked the token.
type LeaderRequest struct {
	Method, Path, Query string
	Body                []byte
	Pieces              bool // the other node takes an answer in pieces; older ones don't
}

// LeaderAnswer is the answer to a LeaderRequest, or the next piece of it. The first
// piece has the status and the type.
type LeaderAnswer struct {
	Status      int
	ContentType string
	Body        []byte
}

// maxForwarded is the largest body that is passed on to the leader.
const maxForwarded = 64 << 10

// toLeader passes a request on to the leader if this process is not the leader, and the
// answer back as it comes.
func toLeader(d AdminDeps) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if d.Cluster.Leads == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if d.Cluster.Leads() {
				next.ServeHTTP(w, r)
				return
			}
			body, err := io.ReadAll(io.LimitReader(r.Body, maxForwarded+1))
			if err != nil || len(body) > maxForwarded {
				writeProblem(w, http.StatusRequestEntityTooLarge, "Send less than 64 KiB.")
				return
			}
			control, begun := http.NewResponseController(w), false
			write := func(a LeaderAnswer) {
				if !begun {
					begun = true
					w.Header().Set("Content-Type", a.ContentType)
					w.WriteHeader(a.Status)
				}
				_, _ = w.Write(a.Body) // the reader may have hung up
			}
			last, err := d.Cluster.Ask(r.Context(), LeaderRequest{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Body: body, Pieces: true},
				func(a LeaderAnswer) {
					extend(w, d.WriteTimeout) // a resync takes minutes
					write(a)
					_ = control.Flush()
				})
			if err != nil && begun {
				if r.Context().Err() == nil {
					d.Log.Error().Err(err).Str("path", clip(r.URL.Path, 200)).Msg("the leader's answer ended early")
				}
				panic(http.ErrAbortHandler) // so that the reader notices
			}
			extend(w, d.WriteTimeout)
			switch {
			case errors.Is(err, ErrNoLeader):
				w.Header().Set("Retry-After", retryLater)
				writeProblemOf(w, noLeader, http.StatusServiceUnavailable, "The cluster has no leader that answers now: one is being elected. Try again in some seconds.")
				return
			case err != nil:
				failed(w, r, d.Log, err)
				return
			}
			write(last)
		})
	}
}

// AnswerAsLeader answers a request that another node passed on, with the routes of
// Admin that need the leader. That node has checked the token. What a handler flushes
// is a piece of the answer; the result is the last piece.
func AnswerAsLeader(d AdminDeps) func(ctx context.Context, q LeaderRequest, piece func(LeaderAnswer)) LeaderAnswer {
	d = d.withDefaults()
	d.Cluster.Leads = nil // never pass it on again
	r := chi.NewRouter()
	r.Use(adminRecover(d.Common))
	r.NotFound(notFoundProblem)
	r.MethodNotAllowed(methodProblem)
	for _, route := range leaderRoutes(d) {
		r.Method(route.method, route.path, route.handler)
	}
	return func(ctx context.Context, q LeaderRequest, piece func(LeaderAnswer)) LeaderAnswer {
		a := &leaderAnswer{header: http.Header{}}
		if q.Pieces {
			a.piece = piece
		}
		u, err := url.Parse("http://leader" + q.Path + "?" + q.Query)
		if err != nil {
			return LeaderAnswer{Status: http.StatusBadRequest}
		}
		req, err := http.NewRequestWithContext(ctx, q.Method, u.String(), bytes.NewReader(q.Body))
		if err != nil {
			return LeaderAnswer{Status: http.StatusBadRequest}
		}
		req.Header.Set("Content-Type", "application/json")
		r.ServeHTTP(a, req)
		return a.take()
	}
}

// leaderAnswer is a ResponseWriter that keeps the answer in memory until it is flushed,
// or the whole answer without piece.
type leaderAnswer struct {
	header http.Header
	status int
	body   []byte
	piece  func(LeaderAnswer) // may be nil
}

// take takes what has been written since the last piece.
func (a *leaderAnswer) take() LeaderAnswer {
	a.WriteHeader(http.StatusOK)
	body := a.body
	a.body = nil
	return LeaderAnswer{Status: a.status, ContentType: a.header.Get("Content-Type"), Body: body}
}

// Flush implements http.Flusher.
func (a *leaderAnswer) Flush() {
	if a.piece != nil {
		a.piece(a.take())
	}
}

// Header implements http.ResponseWriter.
func (a *leaderAnswer) Header() http.Header { return a.header }

// WriteHeader keeps the first status.
func (a *leaderAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *leaderAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}
