//go:build real

package main

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"kazoohook/bench/chaos/trial"
)

// fakeNode listens instead of a node and fails in given ways, to test the proxy.
type fakeNode struct {
	t    *testing.T
	addr string

	mu       sync.Mutex
	how      string       // "": answer 200
	srv      *http.Server // nil: connections are refused
	ids      []string     // X-Request-Id of each request, in order
	released chan struct{}
}

func newFakeNode(t *testing.T) *fakeNode {
	t.Helper()
	s := &fakeNode{t: t, released: make(chan struct{})}
	var lc net.ListenConfig
	s.addr = freeAddrs(t, 1)[0] // nobody else takes it while the node refuses connections
	ln, err := lc.Listen(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.serve(ln)
	t.Cleanup(func() {
		close(s.released)
		s.behave("refused")
	})
	return s
}

func (s *fakeNode) serve(ln net.Listener) {
	srv := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.srv = srv
	go func() { _ = srv.Serve(ln) }() // ends when srv is closed
}

// behave changes how further requests are answered.
func (s *fakeNode) behave(how string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if how == "refused" && s.srv != nil {
		_ = s.srv.Close() // connections end as if the process was killed
		trial.Closed(s.t.Context(), s.addr)
		s.srv = nil
	}
	if how != "refused" && s.srv == nil {
		var lc net.ListenConfig
		ln, err := lc.Listen(s.t.Context(), "tcp", s.addr)
		if err != nil {
			s.t.Fatal(err)
		}
		s.serve(ln)
	}
	s.how = how
}

// taken returns the ids of the requests since the last call.
func (s *fakeNode) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.ids
	s.ids = nil
	return ids
}

func (s *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	how := s.how
	if r.URL.Path != "/healthz" {
		s.ids = append(s.ids, r.Header.Get("X-Request-Id"))
	}
	s.mu.Unlock()
	if r.URL.Path == "/healthz" {
		return // a hanging node may still answer this: the balancer can't rely on it
	}
	if _, err := io.ReadAll(r.Body); err != nil {
		return
	}
	switch how {
	case "hangs":
		<-s.released
	case "resets":
		s.reset(w, "")
	case "breaks off":
		s.reset(w, "HTTP/1.1 200 OK\r\nContent-Le")
	case "502":
		w.WriteHeader(http.StatusBadGateway)
	case "504":
		w.WriteHeader(http.StatusGatewayTimeout)
	case "503":
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
	case "404":
		w.WriteHeader(http.StatusNotFound)
	}
}

// reset sends the answer so far and then RST, as a killed process does.
func (s *fakeNode) reset(w http.ResponseWriter, answer string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.t.Error(err)
		return
	}
	_, _ = io.WriteString(c, answer)
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
