package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// limited is a listener with a bounded number of connections. At the limit a
// newcomer displaces one whose request is not being handled: of the peer that
// holds the most of those, the one that has been silent for longest. So
// neither thousands of idle connections nor headers sent a byte a minute keep
// Kazoo out. Where all are being handled, newcomers wait in the kernel's queue.
type limited struct {
	*net.TCPListener
	most   int
	closed chan struct{}
	once   sync.Once

	waiting atomic.Bool   // Accept has no room
	freed   chan struct{} // a connection closed or fell silent

	mu     sync.Mutex
	conns  map[*conn]struct{}
	silent map[netip.Addr]int // scratch of victim
}

// conn is a connection and what is known of it, so that following its requests
// takes no lock.
type conn struct {
	*net.TCPConn
	peer    netip.Addr
	since   atomic.Int64 // Unix nanoseconds: accepted, or silent again
	served  atomic.Bool  // at least one request came to the handler
	handled atomic.Bool  // one is there, or its answer not written yet
}

type connKey struct{}

func newLimited(ln *net.TCPListener, most int) *limited {
	return &limited{
		TCPListener: ln, most: most, closed: make(chan struct{}), freed: make(chan struct{}, 1),
		conns: make(map[*conn]struct{}), silent: make(map[netip.Addr]int),
	}
}

// Accept waits for a connection and for room for it.
func (l *limited) Accept() (net.Conn, error) {
	tcp, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	c := &conn{TCPConn: tcp, peer: peerOf(tcp)}
	c.since.Store(time.Now().UnixNano())
	for !l.admit(c) {
		select {
		case <-l.freed:
		case <-l.closed:
			_ = c.Close()
			return nil, net.ErrClosed
		}
	}
	return c, nil
}

// Close stops accepting; connections stay.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.TCPListener.Close()
}

func (l *limited) admit(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.most {
		// Said before looking: who falls silent after the look wakes us.
		l.waiting.Store(true)
		victim := l.victim()
		if victim == nil {
			return false
		}
		// The goroutine that serves it notices by itself; the place is free at once.
		delete(l.conns, victim)
		_ = victim.Close()
	}
	l.waiting.Store(false)
	l.conns[c] = struct{}{}
	return true
}

// victim chooses whom to displace; nil if every connection's request is being
// handled.
func (l *limited) victim() *conn {
	clear(l.silent)
	for c := range l.conns {
		if !c.handled.Load() {
			l.silent[c.peer]++
		}
	}
	var chosen *conn
	var peers int
	var since int64
	for c := range l.conns {
		if c.handled.Load() {
			continue
		}
		n, at := l.silent[c.peer], c.since.Load()
		if chosen == nil || n > peers || n == peers && at < since {
			chosen, peers, since = c, n, at
		}
	}
	return chosen
}

// state is the server's ConnState: it tells when an answer has been written and
// when a connection has closed.
func (l *limited) state(nc net.Conn, s http.ConnState) {
	c, ok := nc.(*conn)
	if !ok {
		return
	}
	switch s {
	case http.StateIdle:
		c.since.Store(time.Now().UnixNano())
		c.handled.Store(false)
	case http.StateClosed, http.StateHijacked:
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
	default:
		return
	}
	if l.waiting.Load() {
		select {
		case l.freed <- struct{}{}:
		default:
		}
	}
}

// context is the server's ConnContext.
func (l *limited) context(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc)
}

// follow notes when a connection's request comes to the handler.
func (l *limited) follow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			c.served.Store(true)
			c.handled.Store(true)
		}
		next.ServeHTTP(w, r)
	})
}

// closeSilent closes connections that have been open for age without asking
// anything, such as a browser's in reserve: Shutdown waits 5 s for those.
func (l *limited) closeSilent(age time.Duration) {
	before := time.Now().Add(-age).UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if !c.served.Load() && c.since.Load() <= before {
			_ = c.Close()
		}
	}
}

// peerOf is what counts as one peer: an IPv6 host has a whole /64 to itself.
func peerOf(c *net.TCPConn) netip.Addr {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	addr := ap.Addr().Unmap()
	if addr.Is6() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
