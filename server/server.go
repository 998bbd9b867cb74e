// Package server runs the public and the admin HTTP server: listeners, limits,
// timeouts and the order of stopping. What they serve is given to it.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// Off as the admin address means that there is no admin listener.
const Off = "off"

// Options say what to serve where. Zero numbers and durations have the default
// stated; they are variable for tests more than for operators.
type Options struct {
	PublicAddr string // host:port, required
	AdminAddr  string // host:port; empty or Off: none
	Public     http.Handler
	Admin      http.Handler

	// Drain is called once when stopping begins, before anything closes: from
	// then on the public handler is expected to answer 503. May be nil.
	Drain func()
	// DrainWindow is how long the public listener goes on accepting after that,
	// so that Kazoo is told to come back instead of being refused (a refused
	// connection counts as a failure); default 1 s.
	DrainWindow time.Duration
	// ShutdownTimeout bounds the whole stop, the drain window included; what is
	// still running then is cut off. Default 10 s.
	ShutdownTimeout time.Duration

	ReadHeaderTimeout time.Duration // default 10 s
	ReadTimeout       time.Duration // header and body; default 30 s
	// WriteTimeout, from the end of the header to the end of the answer, is for
	// the public server only: an admin stream has no end. Default 60 s, which
	// leaves time to read a slow body and to wait for the disk.
	WriteTimeout time.Duration
	// IdleTimeout must be above the 120 s for which Kazoo's HTTP client keeps an
	// idle connection (kazoo 4.3 webhooks_util.erl, OTP's httpc), or it would send
	// on one that we are just closing. Default 150 s.
	IdleTimeout    time.Duration
	MaxHeaderBytes int // default 32 KiB: a GET hook's event is in the request line
	// MaxConns limits the public listener's connections, default 2048 (about
	// 20 kB each); the admin listener takes 512, for streams.
	MaxConns int

	Log zerolog.Logger
}

// Server is a pair of bound listeners and their servers.
type Server struct {
	opts   Options
	public *listening
	admin  *listening // nil: none
}

// listening is one listener and its server.
type listening struct {
	ln   *limited
	http *http.Server
	stop context.CancelFunc // ends the base context of its requests
}

// adminConns limits the admin listener's connections.
const adminConns = 512

// New binds the listeners: when it returns, connections are already queued.
// Serve must follow, or Close.
func New(ctx context.Context, o Options) (*Server, error) {
	o = o.withDefaults()
	s := &Server{opts: o}
	var err error
	if o.AdminAddr != "" && o.AdminAddr != Off && o.Admin != nil {
		if s.admin, err = s.listen(ctx, "admin", o.AdminAddr, o.Admin, adminConns, 0); err != nil {
			return nil, err
		}
	}
	if s.public, err = s.listen(ctx, "public", o.PublicAddr, o.Public, o.MaxConns, o.WriteTimeout); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

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
	protocols.SetHTTP1(true) // HTTP/2 comes from a proxy, if at all
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

// endChunked lets the answer to a request with a chunked body be its
// connection's last. A request that gives a length as well is taken by net/http
// without a word, its length removed, though a proxy in front may have seen
// another end of it; RFC 9112 (6.1) demands that nothing which follows be
// believed. Kazoo's client always gives a length, and loses nothing by this.
func endChunked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Addr is the public listener's address.
func (s *Server) Addr() net.Addr { return s.public.ln.Addr() }

// AdminAddr is the admin listener's address, nil if there is none.
func (s *Server) AdminAddr() net.Addr {
	if s.admin == nil {
		return nil
	}
	return s.admin.ln.Addr()
}

// Close closes the listeners of a server that will not Serve.
func (s *Server) Close() error {
	var errs []error
	for _, l := range []*listening{s.public, s.admin} {
		if l != nil {
			l.stop()
			errs = append(errs, l.ln.Close())
		}
	}
	return errors.Join(errs...)
}

// Serve serves until ctx ends, then stops: it drains and stops the public
// server, then the admin server, so that the stop can be watched. It returns
// nil after an orderly stop, and an error if a server failed or if requests had
// to be cut off.
func (s *Server) Serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	servers := []*listening{s.public}
	if s.admin != nil {
		servers = append(servers, s.admin)
	}
	for _, l := range servers {
		g.Go(func() error {
			if err := l.http.Serve(l.ln); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", l.ln.Addr(), err)
			}
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		return s.stop(context.WithoutCancel(ctx))
	})
	return g.Wait()
}

// stop is the order of stopping.
func (s *Server) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.ShutdownTimeout)
	defer cancel()
	if s.opts.Drain != nil {
		s.opts.Drain()
	}
	window := time.NewTimer(min(s.opts.DrainWindow, s.opts.ShutdownTimeout/2))
	defer window.Stop()
	select {
	case <-window.C:
	case <-ctx.Done():
	}
	// Kazoo asks as soon as it is connected: who has kept silent for so long isn't Kazoo.
	s.public.ln.closeSilent(time.Second)
	err := s.public.shutdown(ctx, "public")
	if s.admin != nil {
		s.admin.stop() // streams end by themselves, and say so
		s.admin.ln.closeSilent(0)
		err = errors.Join(err, s.admin.shutdown(ctx, "admin"))
	}
	return err
}

// shutdown lets requests finish until ctx ends, then cuts them off.
func (l *listening) shutdown(ctx context.Context, name string) error {
	defer l.stop()
	err := l.http.Shutdown(ctx)
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("stop the %s server: requests were cut off: %w", name, err), l.http.Close())
}

func (o Options) withDefaults() Options {
	duration := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	duration(&o.DrainWindow, time.Second)
	duration(&o.ShutdownTimeout, 10*time.Second)
	duration(&o.ReadHeaderTimeout, 10*time.Second)
	duration(&o.ReadTimeout, 30*time.Second)
	duration(&o.WriteTimeout, 60*time.Second)
	duration(&o.IdleTimeout, 150*time.Second)
	if o.MaxHeaderBytes <= 0 {
		o.MaxHeaderBytes = 32 << 10
	}
	if o.MaxConns <= 0 {
		o.MaxConns = 2048
	}
	return o
}
