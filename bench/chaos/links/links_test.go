package links

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"
)

func listen() (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
}

// echo answers each line with itself.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return ln.Addr().String()
}

// line is a connection between two nodes, and the lines that come back.
type line struct {
	net.Conn
	back chan string // closed at its end
}

func dial(t *testing.T, addr string) line {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	l := line{c, make(chan string, 10)}
	go func() {
		defer close(l.back)
		for r := bufio.NewScanner(c); r.Scan(); {
			l.back <- r.Text()
		}
	}()
	return l
}

func (l line) say(t *testing.T, s string) {
	t.Helper()
	if _, err := io.WriteString(l, s+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (l line) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-l.back:
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%q never came", want)
	}
}

// silent proves that nothing comes for a moment. Without a cut a line comes within
// microseconds.
func (l line) silent(t *testing.T) {
	t.Helper()
	select {
	case got := <-l.back:
		t.Fatalf("%q passed a cut", got)
	case <-time.After(100 * time.Millisecond):
	}
}

// TestCut cuts each direction, and both, under a connection, and before one.
func TestCut(t *testing.T) {
	t.Parallel()
	for name, cuts := range map[string][][2]int{
		"there": {{0, 1}}, "back": {{1, 0}}, "both": {{0, 1}, {1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := New([]string{echo(t), echo(t), echo(t)}, listen)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(n.Close)
			to := n.Peers(0)[1]
			l, aside := dial(t, to), dial(t, n.Peers(0)[2])
			l.say(t, "a")
			l.expect(t, "a")
			for _, c := range cuts {
				n.Cut(c[0], c[1])
				n.Cut(c[0], c[1]) // changes nothing
			}
			l.say(t, "b")
			l.silent(t)
			late := dial(t, to)
			late.say(t, "c")
			late.silent(t)
			aside.say(t, "d")
			aside.expect(t, "d")
			for _, c := range cuts {
				n.Heal(c[0], c[1])
				n.Heal(c[0], c[1])
			}
			l.expect(t, "b")
			late.expect(t, "c")
		})
	}
}

// TestEnd proves that the end of a connection is forwarded like its bytes.
func TestEnd(t *testing.T) {
	t.Parallel()
	ln, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	n, err := New([]string{"127.0.0.1:1", ln.Addr().String()}, listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	l := dial(t, n.Peers(0)[1])
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	n.Cut(1, 0)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	l.silent(t)
	n.Heal(1, 0)
	l.expect(t, "") // the end
}

// TestClose proves that a network ends while it is cut, and that nothing answers for
// a node that is down.
func TestClose(t *testing.T) {
	t.Parallel()
	n, err := New([]string{echo(t), "127.0.0.1:1"}, listen)
	if err != nil {
		t.Fatal(err)
	}
	if own := n.Peers(1); own[1] != "127.0.0.1:1" || own[0] == n.Peers(0)[0] {
		t.Fatalf("node 1 finds the nodes at %q", own)
	}
	away := dial(t, n.Peers(0)[1])
	away.expect(t, "")
	l := dial(t, n.Peers(1)[0])
	l.say(t, "a")
	l.expect(t, "a")
	n.Cut(0, 1)
	l.say(t, "b")
	n.Close()
	l.expect(t, "")
}
