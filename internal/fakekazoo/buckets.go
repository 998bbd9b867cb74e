package fakekazoo

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// Kazoo's token buckets, one per client.
const (
	bucketSize   = 100
	bucketRefill = 10 // a second

	loginCost = -1 // stands for Options.LoginCost
)

type buckets struct {
	clock *clock
	off   bool
	mu    sync.Mutex
	of    map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newBuckets(c *clock, off bool) *buckets {
	return &buckets{clock: c, off: off, of: map[string]*bucket{}}
}

// left returns the number of the client's tokens.
func (b *buckets) left(r *http.Request) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if have := b.of[client]; err == nil && have != nil {
		return int(have.tokens)
	}
	return bucketSize
}

// take reports whether the client has enough tokens, and takes them.
func (b *buckets) take(r *http.Request, cost float64) bool {
	if b.off {
		return true
	}
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		client = r.RemoteAddr
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	have := b.of[client]
	if have == nil {
		have = &bucket{tokens: bucketSize, at: now}
		b.of[client] = have
	}
	have.tokens = min(bucketSize, have.tokens+now.Sub(have.at).Seconds()*b.clock.speed*bucketRefill)
	have.at = now
	if have.tokens < cost {
		return false
	}
	have.tokens -= cost
	return true
}
