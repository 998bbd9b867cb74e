package links

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Network connects nodes.
type Network struct {
	nodes  []string       // where each node listens
	seen   [][]string     // where node i reaches node j
	closed chan struct{}  // by Close
	ends   []net.Listener // of all links
	group  sync.WaitGroup // of the goroutines
	dialer net.Dialer

	mu    sync.Mutex
	open  [][]chan struct{} // from i to j: closed while bytes pass
	conns map[net.Conn]bool
}

// New makes a network between nodes that listen at the given addresses. It calls
// listen for a listener on loopback.
func New(nodes []string, listen func() (net.Listener, error)) (*Network, error) {
	n := &Network{nodes: slices.Clone(nodes), closed: make(chan struct{}), conns: map[net.Conn]bool{}, dialer: net.Dialer{Timeout: 5 * time.Second}}
	healed := make(chan struct{})
	close(healed)
	for range nodes {
		n.seen = append(n.seen, slices.Clone(nodes))
		n.open = append(n.open, slices.Repeat([]chan struct{}{healed}, len(nodes)))
	}
	for i := range nodes {
		for j := range nodes {
			if i == j {
				continue
			}
			ln, err := listen()
			if err != nil {
				n.Close()
				return nil, fmt.Errorf("make the link from node %d to node %d: %w", i, j, err)
			}
			n.ends = append(n.ends, ln)
			n.seen[i][j] = ln.Addr().String()
			n.group.Go(func() { n.serve(ln, i, j) })
		}
	}
	return n, nil
}

// Peers are the addresses of all nodes for node i: its own, and those of its links.
func (n *Network) Peers(i int) []string { return slices.Clone(n.seen[i]) }

// Cut holds back everything that node from sends to node to.
func (n *Network) Cut(from, to int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if passes(n.open[from][to]) {
		n.open[from][to] = make(chan struct{})
	}
}

// Heal ends the cut from node from to node to.
func (n *Network) Heal(from, to int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !passes(n.open[from][to]) {
		close(n.open[from][to])
	}
}

// Close ends all links.
func (n *Network) Close() {
	close(n.closed)
	for _, ln := range n.ends {
		_ = ln.Close() // it is open
	}
	n.mu.Lock()
	for c := range n.conns {
		_ = c.Close() // perhaps the second time
	}
	n.mu.Unlock()
	n.group.Wait()
}

func passes(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// wait returns true when bytes pass from one node to another, or false when the
// network ends.
func (n *Network) wait(from, to int) bool {
	n.mu.Lock()
	c := n.open[from][to]
	n.mu.Unlock()
	select {
	case <-c:
		return true
	case <-n.closed:
		return false
	}
}

// serve accepts the connections that node i makes to node j.
func (n *Network) serve(ln net.Listener, i, j int) {
	for {
		in, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			n.group.Go(func() { n.connect(in, i, j) })
		}
	}
}

// connect forwards one connection. It is answered only while both directions pass.
func (n *Network) connect(in net.Conn, i, j int) {
	defer n.hold(in)()
	if !n.wait(i, j) || !n.wait(j, i) {
		return
	}
	out, err := n.dialer.Dial("tcp", n.nodes[j])
	if err != nil {
		return
	}
	defer n.hold(out)()
	var both sync.WaitGroup
	both.Go(func() { n.pass(out, in, i, j) })
	both.Go(func() { n.pass(in, out, j, i) })
	both.Wait()
}

// hold registers a connection; the function that it returns closes and removes it.
func (n *Network) hold(c net.Conn) func() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c] = true
	if passes(n.closed) {
		_ = c.Close() // Close was there first
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.conns, c)
		_ = c.Close() // perhaps the second time
	}
}

// pass copies what one node sends to another until one of them ends the connection.
// The end is forwarded like bytes.
func (n *Network) pass(dst, src net.Conn, from, to int) {
	buffer := make([]byte, 32<<10)
	for {
		read, err := src.Read(buffer)
		if !n.wait(from, to) {
			return
		}
		if read > 0 {
			if _, werr := dst.Write(buffer[:read]); werr != nil {
				_ = src.Close() // so that the other direction ends, too
				return
			}
		}
		if err != nil {
			_ = dst.Close() // likewise
			return
		}
	}
}
