package server_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kazoohook/server"
)

// TestIdleConnectionsDontKeepOthersOut: a new connection is answered despite thousands of
// connections that are silent or have sent half a request.
func TestIdleConnectionsDontKeepOthersOut(t *testing.T) {
	t.Parallel()
	const most = 20
	r := start(t, server.Options{Public: http.HandlerFunc(ok), MaxConns: most})
	for i := range 10 * most {
		c := r.dial()
		switch i % 3 {
		case 1:
			_, _ = io.WriteString(c, "POST / HT")
		case 2:
			_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n")
		}
	}
	if status, _ := ask(t, r.dial(), get); status != "200 OK" {
		t.Errorf("%q", status)
	}
}

// TestBusyConnectionsAreNeverDisplaced: at the limit a new connection waits until the
// request of another one has been handled.
func TestBusyConnectionsAreNeverDisplaced(t *testing.T) {
	t.Parallel()
	const most = 3
	release := make(chan struct{})
	entered := make(chan struct{}, most)
	r := start(t, server.Options{MaxConns: most, Public: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			entered <- struct{}{}
			<-release
		}
	})})
	answers := make(chan string, most+1)
	for range most {
		c := r.dial()
		go func() {
			s, _ := ask(t, c, "GET /busy HTTP/1.1\r\nHost: x\r\n\r\n")
			answers <- s
		}()
	}
	for range most {
		<-entered
	}
	late := r.dial()
	_, _ = io.WriteString(late, get)
	_ = late.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := late.Read(make([]byte, 1)); err == nil {
		t.Error("a fourth was served")
	}
	close(release)
	for range most {
		if s := <-answers; s != "200 OK" {
			t.Errorf("busy one: %q", s)
		}
	}
	_ = late.SetReadDeadline(time.Now().Add(deadline))
	line, _ := bufio.NewReader(late).ReadString('\n')
	if !strings.HasPrefix(line, "HTTP/1.1 200") {
		t.Errorf("late one: %q", line)
	}
}

func TestStopWhileAllAreBusy(t *testing.T) {
	t.Parallel()
	release, entered := make(chan struct{}), make(chan struct{})
	r := start(t, server.Options{MaxConns: 1, ShutdownTimeout: 100 * time.Millisecond,
		Public: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-release })})
	_, _ = io.WriteString(r.dial(), get)
	<-entered
	r.dial() // accepted, and waiting for a place
	r.stop()
	if err := <-r.done; err == nil {
		t.Error("no word of the request that was cut off")
	}
	close(release)
}
