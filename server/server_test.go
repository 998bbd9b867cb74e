package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/server"
)

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestBindsBeforeServing(t *testing.T) {
	t.Parallel()
	o := server.Options{PublicAddr: "127.0.0.1:0", Public: http.HandlerFunc(ok), AdminAddr: server.Off, Admin: http.HandlerFunc(ok)}
	s, err := server.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if s.AdminAddr() != nil {
		t.Error("an admin listener although off")
	}
	dial(t, s.Addr()) // queued, although the server doesn't accept yet
	o.PublicAddr = s.Addr().String()
	o.AdminAddr = "127.0.0.1:0"
	if _, err := server.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "bind the public listener") {
		t.Errorf("bound twice: %v", err)
	}
	o.AdminAddr = s.Addr().String()
	if _, err := server.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "bind the admin listener") {
		t.Errorf("bound twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestStopsInOrder: a stop drains, answers meanwhile and lets running requests finish.
// Then it stops the admin side, whose streams end by their context.
func TestStopsInOrder(t *testing.T) {
	t.Parallel()
	var draining atomic.Bool
	const window = time.Second
	drained, entered, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var adminStopped, publicDone atomic.Bool
	streaming := make(chan struct{})
	r := start(t, server.Options{
		DrainWindow: window, ShutdownTimeout: deadline,
		Drain: func() { draining.Store(true); close(drained) },
		Public: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/slow":
				close(entered)
				<-release
				publicDone.Store(true)
			case draining.Load():
				w.Header().Set("Connection", "close")
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}),
		Admin: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			close(streaming)
			<-r.Context().Done()
			if !publicDone.Load() {
				t.Error("the admin side stopped before the public one")
			}
			adminStopped.Store(true)
		}),
	})
	kept := r.dial()
	if status, _ := ask(t, kept, get); status != "200 OK" {
		t.Fatal(status)
	}
	slow := r.dial()
	answered := make(chan string, 1)
	go func() {
		s, _ := ask(t, slow, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
		answered <- s
	}()
	_, _ = io.WriteString(dial(t, r.srv.AdminAddr()), get)
	<-entered
	<-streaming
	begun := time.Now()
	r.stop()
	<-drained
	for _, name := range []string{"kept", "new"} {
		c, err := kept, error(nil)
		if name == "new" {
			c, err = dialMaybe(t, r.srv.Addr().String())
		}
		status, closes := "", false
		if err == nil {
			status, closes = ask(t, c, get)
			_ = c.Close()
		}
		// A machine that needs longer than the window shows nothing.
		if (status != "503 Service Unavailable" || !closes) && time.Since(begun) < window {
			t.Errorf("%s connection: %q, closes %v, %v", name, status, closes, err)
		}
	}
	close(release)
	if s := <-answered; s != "200 OK" {
		t.Errorf("the request that ran: %q", s)
	}
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	if !adminStopped.Load() {
		t.Error("the admin request did not end")
	}
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	entered := make(chan struct{})
	r := start(t, server.Options{
		ShutdownTimeout: 50 * time.Millisecond,
		Public:          http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-release }),
	})
	_, _ = io.WriteString(r.dial(), get)
	<-entered
	r.stop()
	if err := <-r.done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestSilentConnectionsDontDelayTheStop(t *testing.T) {
	t.Parallel()
	r := start(t, server.Options{Public: http.HandlerFunc(ok), Admin: http.HandlerFunc(ok)})
	silent := dial(t, r.srv.AdminAddr())
	if status, _ := ask(t, dial(t, r.srv.AdminAddr()), get); status != "200 OK" { // so the silent connection has been accepted
		t.Fatal(status)
	}
	begun := time.Now()
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	if d := time.Since(begun); d > deadline/2 {
		t.Errorf("took %v", d)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("still open")
	}
}

// TestSlowSenders: a client that sends a byte now and then is cut off after a time limit.
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	var readErr atomic.Value
	limited := func(o server.Options) *running {
		o.Public = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				readErr.Store(err)
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		return start(t, o)
	}
	// Each has one short limit: a loaded machine is slow, too.
	header := limited(server.Options{ReadHeaderTimeout: limit, IdleTimeout: deadline})
	whole := limited(server.Options{ReadHeaderTimeout: deadline, ReadTimeout: 2 * limit})
	quiet := limited(server.Options{ReadHeaderTimeout: deadline, IdleTimeout: limit})
	if got := drip(header.dial(), "POST / HTTP/1.1\r\nHost: x\r\n", "X: y\r\n"); got != "" && !strings.Contains(got, "408") && !strings.Contains(got, "400") {
		t.Errorf("slow headers: %q", got)
	}
	if got := drip(whole.dial(), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", "a"); got != "HTTP/1.1 503 Service Unavailable" {
		t.Errorf("slow body: %q", got)
	}
	if err, _ := readErr.Load().(error); err == nil {
		t.Error("the body was read to the end")
	}
	idle := quiet.dial()
	if status, _ := ask(t, idle, get); status != "200 OK" {
		t.Fatal(status)
	}
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // net's contract
		t.Errorf("an idle connection: %v", err)
	}
}

// TestStreamsOutliveTheTimeouts: the time limits of requests don't end a stream.
func TestStreamsOutliveTheTimeouts(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	outlived := make(chan bool, 1)
	r := start(t, server.Options{
		ReadTimeout: limit, WriteTimeout: limit, Public: http.HandlerFunc(ok),
		Admin: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			timer := time.NewTimer(2 * limit)
			defer timer.Stop()
			select {
			case <-timer.C:
				_, _ = io.WriteString(w, "still here")
				outlived <- c.Flush() == nil
			case <-r.Context().Done():
				outlived <- false
			}
		}),
	})
	if status, _ := ask(t, dial(t, r.srv.AdminAddr()), get); status != "200 OK" || !<-outlived {
		t.Errorf("cut off: %q", status)
	}
}

func TestHeadersAreLimited(t *testing.T) {
	t.Parallel()
	r := start(t, server.Options{Public: http.HandlerFunc(ok)})
	c := r.dial()
	go func() { // more than the server reads
		_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("a", 1<<20))
	}()
	line, _ := bufio.NewReader(c).ReadString('\n')
	if !strings.HasPrefix(line, "HTTP/1.1 431 ") {
		t.Errorf("%q", line)
	}
	if status, _ := ask(t, r.dial(), "GET /?"+strings.Repeat("a", 30<<10)+" HTTP/1.1\r\nHost: x\r\n\r\n"); status != "200 OK" {
		t.Errorf("a long query: %q", status)
	}
	if status, _ := ask(t, r.dial(), "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"); status != "200 OK" {
		t.Errorf("OPTIONS * did not reach the handler: %q", status)
	}
}

func TestServerErrorsAreLoggedSparingly(t *testing.T) {
	t.Parallel()
	r := start(t, server.Options{Public: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		w.WriteHeader(200) // net/http complains
	})})
	c := r.dial()
	for range 30 {
		if status, _ := ask(t, c, get); status != "200 OK" {
			t.Fatal(status)
		}
	}
	if n := strings.Count(r.log.String(), "superfluous"); n != 10 {
		t.Errorf("%d lines:\n%s", n, r.log)
	}
}

func TestListenerFailureStopsAll(t *testing.T) {
	t.Parallel()
	s, err := server.New(t.Context(), server.Options{PublicAddr: "127.0.0.1:0", Public: http.HandlerFunc(ok),
		AdminAddr: "127.0.0.1:0", Admin: http.HandlerFunc(ok), DrainWindow: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // as if it failed
		t.Fatal(err)
	}
	if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "serve 127.0.0.1:") {
		t.Errorf("%v", err)
	}
}
