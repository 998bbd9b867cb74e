package balancer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeNode records its requests and answers as configured.
type fakeNode struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	ids    []string
	bodies []string
}

func newFakeNode(t *testing.T, status int) *fakeNode {
	t.Helper()
	n := &fakeNode{status: status}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if r.URL.Path == "/healthz" {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		n.ids, n.bodies = append(n.ids, r.Header.Get("X-Request-Id")), append(n.bodies, string(body))
		if n.status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(n.status)
	}))
	t.Cleanup(n.Close)
	return n
}

func (n *fakeNode) seen() ([]string, []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ids, n.bodies
}

// TestRetries proves that a request reaches a node that answers, with one id and its
// body, in whatever order the nodes are asked.
func TestRetries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statuses [2]int // 0: the connection breaks
		away     bool   // the first node's address refuses
		want     int
	}{
		"all answer":      {[2]int{200, 200}, false, 200},
		"one is away":     {[2]int{200, 200}, true, 200},
		"one breaks":      {[2]int{0, 200}, false, 200},
		"one is a proxy":  {[2]int{502, 200}, false, 200},
		"one says 503":    {[2]int{503, 503}, false, 503},
		"nobody answers":  {[2]int{0, 504}, false, 503},
		"what is refused": {[2]int{413, 413}, false, 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newFakeNode(t, c.statuses[0]), newFakeNode(t, c.statuses[1])
			first := a.Listener.Addr().String()
			if c.away {
				first = "127.0.0.1:1" // nobody takes this port meanwhile
			}
			lb := New(first, b.Listener.Addr().String())
			t.Cleanup(lb.Close)
			front := httptest.NewServer(lb)
			t.Cleanup(front.Close)
			for range 4 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/kazoo/secret?x=1", strings.NewReader("body"))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := front.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != c.want {
					t.Errorf("status %d, want %d", resp.StatusCode, c.want)
				}
				if c.want == 503 && c.statuses[0] == 0 && resp.Header.Get("Retry-After") != "2" {
					t.Errorf("Retry-After is %q", resp.Header.Get("Retry-After"))
				}
			}
			ids, bodies := b.seen()
			before, _ := a.seen()
			tries := map[string]int{}
			for _, id := range append(ids, before...) {
				tries[id]++
			}
			if len(tries) != 4 {
				t.Errorf("%d ids of 4 requests: %v", len(tries), tries)
			}
			for _, body := range bodies {
				if body != "body" {
					t.Errorf("a node got %q", body)
				}
			}
			if refused := lb.Refused() == 4; refused != (name == "nobody answers") {
				t.Errorf("%d refused", lb.Refused())
			}
		})
	}
}

// TestHealth proves that an unhealthy node is asked last.
func TestHealth(t *testing.T) {
	t.Parallel()
	var ill http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Error("the node that is ill was asked first")
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	a, b := httptest.NewServer(ill), newFakeNode(t, 200)
	t.Cleanup(a.Close)
	lb := New(a.Listener.Addr().String(), b.Listener.Addr().String())
	t.Cleanup(lb.Close)
	for end := time.Now().Add(time.Minute); !lb.nodes[0].bad.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never noticed")
		}
	}
	for range 4 {
		rec := httptest.NewRecorder()
		lb.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/kazoo/secret", strings.NewReader("body")))
		if rec.Code != 200 {
			t.Errorf("status %d", rec.Code)
		}
	}
}
