package server_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"kazoohook/server"
)

const deadline = time.Minute

// TestMain checks for leaks. Goroutines for challenges in Pebble, and for limits and
// locks in the ACME library, never end.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
}

// running is a server under test.
type running struct {
	t    *testing.T
	srv  *server.Server
	stop context.CancelFunc
	done chan error
	log  *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func start(t *testing.T, o server.Options) *running {
	t.Helper()
	return startAt(t, "127.0.0.1:0", o)
}

func startAt(t *testing.T, addr string, o server.Options) *running {
	t.Helper()
	r := &running{t: t, done: make(chan error, 1), log: &logBuffer{}}
	o.PublicAddr, o.Log = addr, zerolog.New(r.log)
	if o.Admin != nil {
		o.AdminAddr = "127.0.0.1:0"
	}
	if o.DrainWindow == 0 {
		o.DrainWindow = time.Millisecond
	}
	srv, err := server.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r.srv = srv
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r.stop = stop
	go func() { r.done <- srv.Serve(ctx); close(r.done) }()
	t.Cleanup(func() {
		stop()
		for range r.done {
			continue // until it is closed
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return r
}

func (r *running) dial() net.Conn {
	r.t.Helper()
	return dial(r.t, r.srv.Addr())
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(deadline))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func dialMaybe(t *testing.T, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err == nil {
		_ = c.SetDeadline(time.Now().Add(deadline))
	}
	return c, err
}

// ask sends one request and returns the status line and whether the server
// closed the connection.
func ask(t *testing.T, c net.Conn, request string) (status string, closes bool) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		return "", true
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", true
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.Status, res.Close
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

func ok(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "ok")
}

// drip sends a head and then each every few milliseconds until the server closes, and
// returns the first line of its answer.
func drip(c net.Conn, head, each string) string {
	_, _ = io.WriteString(c, head)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if _, err := io.WriteString(c, each); err != nil {
					return
				}
			case <-stop:
				return
			}
		}
	})
	line, _ := bufio.NewReader(c).ReadString('\n')
	close(stop)
	wg.Wait()
	return strings.TrimSpace(line)
}

// contextUntil returns a context that ends with the input.
func contextUntil(t *testing.T, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, in)
	}()
	return ctx, stop
}
