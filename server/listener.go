package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// listening is one listener and its server.
type listening struct {
	ln   *limited
	http *http.Server
	stop context.CancelFunc // ends the base context of its requests
}

// adminConns limits the admin listener's connections.
const adminConns = 512

func (s *Server) listen(ctx context.Context, name, addr string, h http.Handler, conns int, write time.Duration,
) (*listening, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("bind the %s listener: %w", name, err)
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("bind the %s listener: %T is not TCP", name, ln), ln.Close())
	}
	limited := newLimited(tcp, conns)
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	var protocols http.Protocols
	protocols.SetHTTP1(true) // HTTP/2 ends at a proxy
	return &listening{ln: limited, stop: stop, http: &http.Server{
		Handler:           limited.follow(endChunked(h)),
		ReadHeaderTimeout: s.opts.ReadHeaderTimeout,
		ReadTimeout:       s.opts.ReadTimeout,
		WriteTimeout:      write,
		IdleTimeout:       s.opts.IdleTimeout,
		MaxHeaderBytes:    s.opts.MaxHeaderBytes,
		Protocols:         &protocols,
		ConnState:         limited.state,
		ConnContext:       limited.context,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          errorLog(s.opts.Log.With().Str("listener", name).Logger()),
		// OPTIONS * is for the handler to refuse, like everything it doesn't know.
		DisableGeneralOptionsHandler: true,
	}}, nil
}

// endChunked closes the connection after the answer to a request with a chunked
// body. If such a request also gives a length, net/http silently drops the length.
// But a proxy in front may have used it and seen another end of the request. RFC
// 9112 (6.1) therefore demands that the connection be closed. Kazoo's client always
// gives a length, so this costs it nothing.
func endChunked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func (l *listening) serve() error {
	if l.http.TLSConfig != nil {
		return l.http.ServeTLS(l.ln, "", "")
	}
	return l.http.Serve(l.ln)
}

// shutdown lets requests finish until ctx ends, then cuts them off. Connections
// that have been silent for that long are closed at once. Unfinished requests have
// until the given time to arrive.
func (l *listening) shutdown(ctx context.Context, name string, silent time.Duration, until time.Time) error {
	defer l.stop()
	done := make(chan error, 1)
	go func() { done <- l.http.Shutdown(ctx) }()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	var err error
	for waiting := true; waiting; {
		// Repeated, because a connection accepted late may set its own deadline.
		l.ln.closeSilent(silent, until)
		select {
		case err = <-done:
			waiting = false
		case <-again.C:
		}
	}
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("stop the %s server: requests were cut off: %w", name, err), l.http.Close())
}

// errorWriter logs net/http's errors, a few a minute, because anyone can provoke
// them.
type errorWriter struct {
	log  zerolog.Logger
	now  func() time.Time
	mu   sync.Mutex
	from time.Time
	n    int
}

const errorsPerMinute = 10

func errorLog(l zerolog.Logger) *log.Logger {
	return log.New(&errorWriter{log: l, now: time.Now}, "", 0)
}

// Write logs one line.
func (w *errorWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if now.Sub(w.from) >= time.Minute {
		if held := w.n - errorsPerMinute; held > 0 {
			w.log.Warn().Int("not_logged", held).Msg("more errors of the HTTP server in the last minute")
		}
		w.from, w.n = now, 0
	}
	w.n++
	if w.n <= errorsPerMinute {
		w.log.Warn().Bytes("detail", bytes.TrimSpace(line)).Msg("error of the HTTP server")
	}
	return len(line), nil
}
