package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// Off as the admin address means no admin listener.
const Off = "off"

// Options say what to serve where. Numbers and durations that are zero take the
// stated default.
type Options struct {
	PublicAddr string // host:port, required
	AdminAddr  string // host:port; empty or Off: none
	Public     http.Handler
	Admin      http.Handler

	// TLS switches TLS on at the public listener (KeyPair, ACME); nil: off.
	TLS *tls.Config

	// Drain is called once when stopping begins, before anything closes. From then
	// on the public handler should answer 503. May be nil.
	Drain func()
	// DrainWindow is how long the public listener still accepts after Drain. Kazoo
	// is then asked to resend, whereas a refused connection would count as a
	// failure. Default 1 s.
	DrainWindow time.Duration
	// ShutdownTimeout bounds the whole stop, the drain window included. Then
	// running requests are cut off. Default 10 s.
	ShutdownTimeout time.Duration

	ReadHeaderTimeout time.Duration // default 10 s
	ReadTimeout       time.Duration // header and body; default 30 s
	// WriteTimeout lasts from the end of the header to the end of the answer. Only
	// the public server has it, because an admin stream has no end. Default 60 s:
	// enough to read a slow body and to wait for the disk.
	WriteTimeout time.Duration
	// IdleTimeout must exceed the 120 s for which Kazoo's HTTP client keeps an idle
	// connection (kazoo 4.3 webhooks_util.erl, OTP's httpc). Otherwise Kazoo would
	// send on a connection that we are closing. Default 150 s.
	IdleTimeout    time.Duration
	MaxHeaderBytes int // default 32 KiB: a GET hook's event is in the request line
	// MaxConns limits the public listener's connections, default 2048 (about 20 kB
	// each); the admin listener takes 512, for streams. If the process may open
	// fewer files, both take fewer, and a warning is logged.
	MaxConns int
	// HTTPChallenges says that an ACME listens for HTTP-01, and so takes connections,
	// too.
	HTTPChallenges bool
	// MaxFiles is how many files the process may open; default RLIMIT_NOFILE.
	MaxFiles int

	Log zerolog.Logger
}

// Server is a pair of bound listeners and their servers.
type Server struct {
	opts   Options
	public *listening
	admin  *listening // nil: none
}

// New binds the listeners: when it returns, the kernel queues connections. The
// caller must call Serve or Close.
func New(ctx context.Context, o Options) (*Server, error) {
	o = o.withDefaults()
	s := &Server{opts: o}
	room := roomFor(o.MaxFiles)
	if o.HTTPChallenges {
		room -= challenges(o.MaxFiles)
	}
	public, admin := share(room, o.MaxConns, adminConns)
	if public < o.MaxConns || admin < adminConns {
		o.Log.Warn().Int("files", o.MaxFiles).Int("public_connections", public).Int("admin_connections", admin).
			Msg("the process may open few files (RLIMIT_NOFILE, ulimit -n): the number of connections is limited accordingly")
	}
	var err error
	if o.AdminAddr != "" && o.AdminAddr != Off && o.Admin != nil {
		if s.admin, err = s.listen(ctx, "admin", o.AdminAddr, o.Admin, admin, 0); err != nil {
			return nil, err
		}
	}
	if s.public, err = s.listen(ctx, "public", o.PublicAddr, o.Public, public, o.WriteTimeout); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.public.http.TLSConfig = o.TLS
	// The admin listener has no turns, because it delays wrong tokens.
	s.public.ln.turns = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	return s, nil
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

// Serve serves until ctx ends. Then it drains and stops the public server, and
// after that the admin server, so that the stop can be watched. It returns nil
// after an orderly stop, and an error if a server failed or requests were cut off.
func (s *Server) Serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	servers := []*listening{s.public}
	if s.admin != nil {
		servers = append(servers, s.admin)
	}
	for _, l := range servers {
		g.Go(func() error {
			if err := l.serve(); !errors.Is(err, http.ErrServerClosed) {
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

// stop stops both servers in order.
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
	// Kazoo sends as soon as it is connected, so a connection that has been silent
	// for a second isn't Kazoo's. A body that doesn't arrive in time is answered
	// with a request to resend.
	until := time.Now().Add(min(lingering, s.opts.ShutdownTimeout/4))
	err := s.public.shutdown(ctx, "public", time.Second, until)
	if s.admin != nil {
		s.admin.stop() // streams end by themselves and send the reason
		err = errors.Join(err, s.admin.shutdown(ctx, "admin", 0, until))
	}
	return err
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
	if o.MaxFiles <= 0 {
		o.MaxFiles = maxFiles()
	}
	return o
}
