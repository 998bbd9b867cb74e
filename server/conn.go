package server

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// conn is a connection with its state. The goroutine that serves it writes the
// atomic fields, so a request takes no lock. The search for a connection to
// displace reads them.
type conn struct {
	*net.TCPConn
	since   atomic.Int64 // Unix nanoseconds: accepted, or answered
	asked   atomic.Bool  // at least one request came to the handler
	busy    atomic.Bool  // a request is in the handler, which doesn't wait for a stranger
	reading atomic.Bool  // the handler may still read its body
	failed  atomic.Bool  // reading the body failed
	refused atomic.Bool  // the last answer was a 4xx
	trusted atomic.Bool  // the handler has called Trusted

	addr  netip.Addr // guarded by limited.mu, like index
	index int        // in limited.conns; -1: not there
}

// lingering bounds the wait for the unread rest of a trusted sender's body after
// the answer. Closing a connection with unread bytes resets it, and Kazoo may lose
// the answer.
const lingering = 2 * time.Second

// The ranks of connections that are not busy. The lowest rank is displaced first.
const (
	rankRefused = iota
	rankStranger
	rankTrusted
)

func (c *conn) rank() int {
	switch {
	case c.trusted.Load():
		return rankTrusted
	case c.refused.Load():
		return rankRefused
	}
	return rankStranger
}

type connKey struct{}

// context implements ConnContext of http.Server.
func (l *limited) context(ctx context.Context, nc net.Conn) context.Context {
	if c, ok := followed(nc); ok {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// followed returns the conn below a net.Conn, with or without TLS.
func followed(nc net.Conn) (*conn, bool) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, ok := nc.(*conn)
	return c, ok
}

// follow updates the connection's state while a request is handled. A connection is
// busy while its handler runs, except while the handler waits for a stranger (awaiting).
// Afterwards it may be closed with a part of the answer still buffered, so a handler
// flushes an answer that must arrive.
func (l *limited) follow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		a := &answer{ResponseWriter: w, listener: l, conn: c}
		c.asked.Store(true)
		if l.turns != nil && !c.trusted.Load() {
			l.turns <- struct{}{}
			a.turn = true
		}
		c.busy.Store(true)
		if r.ContentLength != 0 {
			c.reading.Store(true)
			r.Body = &requestBody{r.Body, a}
		}
		defer a.pass()
		next.ServeHTTP(a, r)
		a.head(http.StatusOK)
		c.since.Store(time.Now().UnixNano())
		c.busy.Store(false)
		l.wake()
	})
}

// answer is the ResponseWriter of one request. If the handler answers before it has
// read the whole body, the answer is the connection's last one and goes out at
// once. net/http alone would first wait for the rest of the body, up to
// ReadTimeout.
type answer struct {
	http.ResponseWriter
	listener *limited
	conn     *conn
	headed   bool
	turn     bool // it holds one of listener.turns
}

// pass gives the turn to the next stranger.
func (a *answer) pass() {
	if a.turn {
		a.turn = false
		<-a.listener.turns
	}
}

// awaiting is called before a handler reads from the peer or writes to it, and the
// function it returns afterwards. The request gives up its turn for good, and meanwhile
// the connection can be displaced unless it has shown the secret. Otherwise strangers
// who send half a body, or don't read their answers, would keep every turn and every
// place.
func (a *answer) awaiting() (done func()) {
	a.pass()
	if a.conn.trusted.Load() {
		return func() {}
	}
	a.conn.busy.Store(false)
	a.listener.wake()
	return func() { a.conn.busy.Store(true) }
}

// Trusted is called by the handler when the request has shown the secret. Such a
// connection is the last to be displaced.
func (a *answer) Trusted() {
	if !a.conn.trusted.Load() {
		a.listener.trust(a.conn)
	}
	a.pass()
}

// head is called before the first byte of the answer.
func (a *answer) head(status int) {
	if a.headed || status < http.StatusOK {
		return
	}
	a.headed = true
	a.conn.refused.Store(status/100 == 4)
	if !a.conn.reading.Swap(false) {
		return
	}
	a.Header().Set("Connection", "close")
	until := time.Unix(1, 0) // long ago: nothing more is read
	if a.conn.trusted.Load() && !a.conn.failed.Load() {
		until = time.Now().Add(lingering)
		if stop := a.listener.until.Load(); stop != nil && stop.Before(until) {
			until = *stop
		}
	}
	_ = a.conn.SetReadDeadline(until) // fails only if it is closed
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.head(status)
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.head(http.StatusOK)
	defer a.awaiting()()
	return a.ResponseWriter.Write(b)
}

// FlushError implements Flush of http.ResponseController.
func (a *answer) FlushError() error {
	a.head(http.StatusOK)
	defer a.awaiting()()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() }

// Unwrap gives http.ResponseController its other methods.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// requestBody records that the body was read to its end.
type requestBody struct {
	io.ReadCloser
	answer *answer
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	done := b.answer.awaiting()
	n, err := b.ReadCloser.Read(p)
	done()
	switch err {
	case nil:
	case io.EOF:
		b.answer.conn.reading.Store(false)
	default:
		b.answer.conn.failed.Store(true)
	}
	return n, err
}
