package server_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"kazoohook/server"
)

// TestThousandsOfIdleConnections: there are more connections than the limit, silent, with
// half a request, or kept alive. Memory stays within the limit, and every request from
// another address is taken.
func TestThousandsOfIdleConnections(t *testing.T) {
	const crowd, room, deliveries = 2000, 500, 20
	r, kept := receiving(t, server.Options{MaxConns: room})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	held := make([]net.Conn, 0, crowd)
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	for i := range crowd {
		c, err := dialMaybe(t, r.srv.Addr().String())
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		held = append(held, c)
		switch i % 3 { // some of these are displaced at once, which is fine
		case 1:
			_, _ = io.WriteString(c, "POST /kazoo/"+secret+"/object HTTP/1.1\r\nX: ")
		case 2:
			_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		}
	}
	kazoo := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for i := range deliveries {
		c, err := kazoo.DialContext(t.Context(), "tcp", r.srv.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(deadline))
		if status, _ := ask(t, c, delivery("/kazoo/"+secret+"/object", fmt.Sprint("id=", i))); status != "200 OK" {
			t.Errorf("delivery %d: %q", i, status)
		}
		held = append(held, c)
	}
	const most = room * 40 << 10
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) { // the displaced ones end by themselves
		runtime.GC()
		runtime.ReadMemStats(&after)
		// It includes the connections of the client side, but these have no buffers.
		grown := int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)
		if grown <= most {
			break
		}
		if time.Since(begun) > deadline {
			t.Fatalf("%d bytes for a crowd of %d, more than %d", grown, crowd, most)
		}
	}
	if n := len(kept.all()); n != deliveries {
		t.Errorf("%d kept", n)
	}
}

// TestWrongSecretsDontStarveTheRightOne: floods of wrong secrets come from Kazoo's own
// address, as behind a proxy that isn't trusted, far beyond the limit. All requests of
// Kazoo are taken and kept.
func TestWrongSecretsDontStarveTheRightOne(t *testing.T) {
	t.Parallel()
	const strangers, tries, deliveries = 4, 150, 150
	r, kept := receiving(t, server.Options{})
	var flood sync.WaitGroup
	for s := range strangers {
		flood.Go(func() {
			for i := range tries {
				c, err := dialMaybe(t, r.srv.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				if status, closes := ask(t, c, delivery(fmt.Sprintf("/kazoo/guess-%d-%d/object", s, i), "id=stranger")); status != "404 Not Found" || !closes {
					t.Errorf("a guess: %q", status)
				}
				_ = c.Close()
			}
		})
	}
	c := r.dial() // like Kazoo, on one connection
	for i := range deliveries {
		if status, closes := ask(t, c, delivery("/kazoo/"+secret+"/object", fmt.Sprint("id=", i))); status != "200 OK" || closes {
			t.Fatalf("delivery %d: %q", i, status)
		}
	}
	flood.Wait()
	all := kept.all()
	if len(all) != deliveries || strings.Contains(strings.Join(all, " "), "stranger") {
		t.Errorf("%d kept", len(all))
	}
}

// TestAByteAtATime: a client that sends a byte now and then is cut off after the time
// limit, with and without the secret, in the header and in the body. Many such clients
// delay no other request.
func TestAByteAtATime(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	// Only those who don't send their header have a short time for it: a loaded machine
	// is slow, too.
	headers, headersKept := receiving(t, server.Options{ReadHeaderTimeout: limit, ReadTimeout: deadline})
	r, kept := receiving(t, server.Options{ReadHeaderTimeout: deadline, ReadTimeout: 2 * limit})
	var drips sync.WaitGroup
	for name, d := range map[string]struct{ head, each, want string }{
		"request line":     {"", "G", ""},
		"header":           {"POST /kazoo/" + secret + "/object HTTP/1.1\r\nHost: x\r\nX: ", "y", ""},
		"headers":          {"POST /kazoo/" + secret + "/object HTTP/1.1\r\nHost: x\r\n", "X: y\r\n", ""},
		"body":             {"POST /kazoo/" + secret + "/object HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", "a", "HTTP/1.1 503 "},
		"chunks":           {"POST /kazoo/" + secret + "/object HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", "HTTP/1.1 503 "},
		"stranger's body":  {"POST /kazoo/wrong/object HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", "a", "HTTP/1.1 404 "},
		"stranger's chunk": {"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", "a", "HTTP/1.1 404 "},
	} {
		for range 3 {
			drips.Go(func() {
				to := r
				if d.want == "" {
					to = headers
				}
				got := drip(to.dial(), d.head, d.each)
				if d.want == "" && got != "" && !strings.HasPrefix(got, "HTTP/1.1 408 ") && !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.HasPrefix(got, d.want) {
					t.Errorf("%s: %q, want %q", name, got, d.want)
				}
			})
		}
	}
	for _, to := range []*running{headers, r} {
		if status, _ := ask(t, to.dial(), delivery("/kazoo/"+secret+"/object", "id=1")); status != "200 OK" {
			t.Errorf("meanwhile: %q", status)
		}
	}
	drips.Wait()
	for _, j := range []*taken{headersKept, kept} {
		if all := j.all(); len(all) != 1 {
			t.Errorf("kept %q", all)
		}
	}
}
