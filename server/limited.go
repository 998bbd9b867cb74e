package server

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// limited is a listener with a bounded number of connections. At the limit a new
// connection displaces one that is not busy: no request is being handled, or the
// handler waits for a peer that has not shown the secret. Connections whose last
// request was refused go first, those that have shown the secret go last. Among the
// others, the peer with the most connections loses the one that has been silent for
// longest. So idle connections, slow headers, bodies and readers, and floods of wrong
// secrets can't keep Kazoo out. If no connection can be displaced, new ones wait in
// the kernel's queue.
type limited struct {
	*net.TCPListener
	most   int
	closed chan struct{}
	once   sync.Once

	// turns, if not nil, bounds the requests without the secret that are handled at
	// the same time. The others wait, so that only a few compete with Kazoo for the
	// processor. No request keeps its turn while it waits for its peer.
	turns chan struct{}

	waiting atomic.Bool   // Accept has no room
	freed   chan struct{} // a connection closed or is no longer busy

	until atomic.Pointer[time.Time] // read deadline, set when stopping

	mu        sync.Mutex
	conns     []*conn            // at most most
	strangers map[netip.Addr]int // connections by peer, without trusted ones
	leaving   int                // displaced, but still held by net/http
}

func newLimited(ln *net.TCPListener, most int) *limited {
	return &limited{
		TCPListener: ln, most: most, closed: make(chan struct{}), freed: make(chan struct{}, 1),
		strangers: make(map[netip.Addr]int),
	}
}

// Accept waits for a connection and for room for it.
func (l *limited) Accept() (net.Conn, error) {
	tcp, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	c := &conn{TCPConn: tcp, addr: peerOf(tcp), index: -1}
	c.since.Store(time.Now().UnixNano())
	for !l.admit(c) {
		select {
		case <-l.freed:
		case <-time.After(grace):
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
		// Set before the search: a connection that stops being busy after the
		// search wakes Accept.
		l.waiting.Store(true)
		victim := l.victim()
		if victim == nil || l.leaving >= l.most {
			return false // displaced connections still cost memory until net/http ends them
		}
		// The goroutine that serves it ends by itself; the place is free at once.
		l.remove(victim)
		l.leaving++
		_ = victim.TCPConn.Close()
	}
	l.waiting.Store(false)
	c.index = len(l.conns)
	l.conns = append(l.conns, c)
	l.strangers[c.addr]++
	return true
}

// remove removes a connection from the list. The caller holds the lock.
func (l *limited) remove(c *conn) {
	last := len(l.conns) - 1
	moved := l.conns[last]
	l.conns[c.index], l.conns[last] = moved, nil
	moved.index = c.index
	l.conns, c.index = l.conns[:last], -1
	if !c.trusted.Load() {
		l.uncount(c.addr)
	}
}

func (l *limited) uncount(addr netip.Addr) {
	if l.strangers[addr]--; l.strangers[addr] <= 0 {
		delete(l.strangers, addr)
	}
}

// grace is the time for which a connection without the secret can't be displaced, even
// at the limit. It is the time to send the first request, and after an answer the time
// to receive it and to send the next request.
const grace = 50 * time.Millisecond

// victim chooses the connection to displace, nil if there is none now. While the
// connections of the peer with the most have their grace, neither trusted
// connections nor those of smaller peers are displaced instead. The caller holds
// the lock.
func (l *limited) victim() *conn {
	var chosen *conn
	var rank, peers, most int
	var since int64
	latest := time.Now().Add(-grace).UnixNano()
	for _, c := range l.conns {
		if c.busy.Load() {
			continue
		}
		of, at, n := c.rank(), c.since.Load(), 0
		if of == rankStranger {
			n = l.strangers[c.addr]
			most = max(most, n)
			if at > latest {
				continue
			}
		}
		if chosen == nil || of < rank || of == rank && (n > peers || n == peers && at < since) {
			chosen, rank, peers, since = c, of, n, at
		}
	}
	if rank != rankRefused && peers < most {
		return nil
	}
	return chosen
}

// trust puts a connection among the last to be displaced.
func (l *limited) trust(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.trusted.CompareAndSwap(false, true) && c.index >= 0 {
		l.uncount(c.addr)
	}
}

// wake makes a waiting Accept search for room again.
func (l *limited) wake() {
	if l.waiting.Load() {
		select {
		case l.freed <- struct{}{}:
		default:
		}
	}
}

// state is the server's ConnState: it reports when a connection has closed.
func (l *limited) state(nc net.Conn, s http.ConnState) {
	c, ok := followed(nc)
	if !ok || s != http.StateClosed && s != http.StateHijacked {
		return
	}
	l.mu.Lock()
	if c.index >= 0 {
		l.remove(c)
	} else {
		l.leaving--
	}
	l.mu.Unlock()
	l.wake()
}

// closeSilent closes connections that have been open for age without a request,
// such as a browser's spare ones: Shutdown would wait 5 s for those. The others
// have until the given time to finish a request that they have begun.
func (l *limited) closeSilent(age time.Duration, until time.Time) {
	before := time.Now().Add(-age).UnixNano()
	l.until.Store(&until)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		if !c.asked.Load() && c.since.Load() <= before {
			_ = c.Close()
		} else if c.reading.Load() || !c.asked.Load() {
			_ = c.SetReadDeadline(until) // fails only if it is closed
		}
	}
}

// peerOf returns the address that counts as one peer: an IPv6 host has a whole /64.
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
