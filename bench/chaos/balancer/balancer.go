// Package balancer is a layer-7 balancer in front of the nodes of a cluster under
// test, by the rules of the documentation. It asks /healthz. If a node refuses a
// request or doesn't answer, the next one gets it, with the same X-Request-Id. If no
// node answers, the answer is 503 with Retry-After.
package balancer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Balancer is the handler that Kazoo reaches. For each node one goroutine checks its
// health, until Close.
type Balancer struct {
	nodes   []*node
	next    atomic.Uint64
	client  *http.Client
	refused atomic.Int64 // requests that no node answered
	group   sync.WaitGroup
	stop    context.CancelFunc
}

type node struct {
	url *url.URL
	bad atomic.Bool
}

// Times of the balancer.
const (
	tryFor     = 7 * time.Second // a node itself gives up after 5
	askEvery   = 250 * time.Millisecond
	retryAfter = 2 // seconds
)

// New makes a balancer in front of nodes; each address is host:port.
func New(addrs ...string) *Balancer {
	ctx, stop := context.WithCancel(context.Background())
	b := &Balancer{stop: stop, client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, a := range addrs {
		n := &node{url: &url.URL{Scheme: "http", Host: a}}
		b.nodes = append(b.nodes, n)
		b.group.Go(func() { b.ask(ctx, n) })
	}
	return b
}

// Close ends the health checks.
func (b *Balancer) Close() {
	b.stop()
	b.group.Wait()
	b.client.CloseIdleConnections()
}

// Refused counts the requests that no node answered.
func (b *Balancer) Refused() int { return int(b.refused.Load()) }

// ask checks again and again whether a node takes requests.
func (b *Balancer) ask(ctx context.Context, n *node) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, time.Second)
		req, err := http.NewRequestWithContext(one, http.MethodGet, n.url.String()+"/healthz", http.NoBody)
		if err == nil {
			var resp *http.Response
			if resp, err = b.client.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body) // it is short
				_ = resp.Body.Close()                 // only read from
				if resp.StatusCode != http.StatusOK {
					err = errors.New(resp.Status)
				}
			}
		}
		cancel()
		n.bad.Store(err != nil)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// ServeHTTP tries a request at one node after the other, unhealthy nodes last.
func (b *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return
	}
	id := rand.Text()
	for _, n := range b.order() {
		if answered := b.try(w, r, n, id, body); answered || r.Context().Err() != nil {
			return
		}
	}
	b.refused.Add(1)
	w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	http.Error(w, "no node answers", http.StatusServiceUnavailable)
}

// order lists each node once: the next in turn first, unhealthy ones last.
func (b *Balancer) order() (healthy []*node) {
	var bad []*node
	first := int(b.next.Add(1) % uint64(len(b.nodes)))
	for i := range b.nodes {
		n := b.nodes[(first+i)%len(b.nodes)]
		if n.bad.Load() {
			bad = append(bad, n)
		} else {
			healthy = append(healthy, n)
		}
	}
	return append(healthy, bad...)
}

// try sends a request to a node. The node's own 502 and 504 never reach Kazoo.
func (b *Balancer) try(w http.ResponseWriter, r *http.Request, n *node, id string, body []byte) (answered bool) {
	ctx, cancel := context.WithTimeout(r.Context(), tryFor)
	defer cancel()
	to := *n.url
	to.Path, to.RawPath, to.RawQuery = r.URL.Path, r.URL.RawPath, r.URL.RawQuery
	req, err := http.NewRequestWithContext(ctx, r.Method, to.String(), bytes.NewReader(body))
	if err != nil {
		http.Error(w, fmt.Sprintf("no request: %v", err), http.StatusBadRequest)
		return true
	}
	req.Header = r.Header.Clone()
	req.Header.Set("X-Request-Id", id)
	resp, err := b.client.Do(req) //nolint:gosec // a balancer forwards any request
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusGatewayTimeout {
		return false
	}
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer) // Kazoo may have hung up
	return true
}
