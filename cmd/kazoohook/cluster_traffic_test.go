//go:build real

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"
)

// clusterFront does the work of a balancer: it tries each request on one node after the
// other, with the same X-Request-Id. Nodes that just failed come last.
type clusterFront struct {
	*httptest.Server
	c    *clusterOfProcesses
	next atomic.Int64

	mu     sync.Mutex
	failed map[*clusterProcess]time.Time
}

const (
	// frontTry is longer than a node needs to answer without a quorum.
	frontTry = 7 * time.Second
	// frontAvoids is how long a failed node comes last.
	frontAvoids = 3 * time.Second
)

func newClusterFront() *clusterFront {
	f := &clusterFront{failed: map[*clusterProcess]time.Time{}}
	f.Server = httptest.NewServer(f)
	return f
}

// ServeHTTP passes a request on until a node takes it.
func (f *clusterFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	n := f.next.Add(1)
	for _, node := range f.order(int(n)) {
		status := f.try(node, r, body, fmt.Sprint("request-", n))
		if status == http.StatusOK {
			w.WriteHeader(status)
			return
		}
		if status == 0 {
			f.mu.Lock()
			f.failed[node] = time.Now()
			f.mu.Unlock()
		}
	}
	w.Header().Set("Retry-After", "2")
	w.WriteHeader(http.StatusServiceUnavailable)
}

func (f *clusterFront) order(n int) (good []*clusterProcess) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var bad []*clusterProcess
	for i := range f.c.nodes {
		node := f.c.nodes[(n+i)%len(f.c.nodes)]
		if time.Since(f.failed[node]) < frontAvoids {
			bad = append(bad, node)
		} else {
			good = append(good, node)
		}
	}
	return append(good, bad...)
}

// try returns the status of a node's answer, 0 if there is none.
func (f *clusterFront) try(node *clusterProcess, r *http.Request, body []byte, id string) int {
	ctx, cancel := context.WithTimeout(r.Context(), frontTry)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, node.public+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:gosec // the test's own nodes
	if err != nil {
		return 0
	}
	req.Header = r.Header.Clone()
	req.Header.Set("X-Request-Id", id)
	resp, err := http.DefaultClient.Do(req) //nolint:gosec // as above
	if err != nil {
		return 0
	}
	_ = resp.Body.Close() // only the status matters
	return resp.StatusCode
}

// clusterTraffic is Kazoo's traffic to a URL until it ends: deletions of users, and
// edits of one user. A request that isn't taken is sent again.
type clusterTraffic struct {
	c    *clusterOfProcesses
	url  string
	ctx  context.Context //nolint:containedctx // ends with the traffic
	stop context.CancelFunc
	done sync.WaitGroup

	mu            sync.Mutex
	taken         map[string]bool // ids of deleted users
	edits, doubts int             // edits that were taken, and tries that were not, as far as known
}

const editedUser = "00000000000000000000000000000007"

func beginTraffic(c *clusterOfProcesses, url string) *clusterTraffic {
	f := &clusterTraffic{c: c, url: url, taken: map[string]bool{}}
	f.ctx, f.stop = context.WithCancel(c.t.Context())
	for worker := range 4 {
		f.done.Go(func() {
			for i := 0; f.ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%032x", worker*1_000_000+i+16)
				for f.ctx.Err() == nil {
					if f.send(id, "doc_deleted") {
						f.mu.Lock()
						f.taken[id] = true
						f.mu.Unlock()
						break
					}
				}
			}
		})
	}
	f.done.Go(func() {
		for f.ctx.Err() == nil {
			taken := f.send(editedUser, "doc_edited")
			f.mu.Lock()
			if taken {
				f.edits++
			} else {
				f.doubts++
			}
			f.mu.Unlock()
		}
	})
	return f
}

// send sends one request after a short wait, so that a machine with two processors can
// bear it.
func (f *clusterTraffic) send(id, action string) bool {
	if pause(f.ctx, 20*time.Millisecond) != nil {
		return false
	}
	body := fmt.Sprintf("id=%s&account_id=%032x&action=%s&type=user", id, 1, action)
	return f.c.nodes[0].send(http.MethodPost, f.url, body) == http.StatusOK
}

func (f *clusterTraffic) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.taken)
}

// more waits until n more deletions are taken.
func (f *clusterTraffic) more(n int) {
	f.c.t.Helper()
	want := f.count() + n
	f.c.nodes[0].until(fmt.Sprint(n, " more requests are taken"), func() bool { return f.count() >= want })
}

func (f *clusterTraffic) end() {
	f.stop()
	f.done.Wait()
}
