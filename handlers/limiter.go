package handlers

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// limiter counts events per source and minute in a table of fixed size. New sources
// displace others, so memory is bounded. A displaced source starts again at zero,
// so it may pass too often, but never too seldom.
type limiter struct {
	perMinute int
	now       func() time.Time
	seed      maphash.Seed
	mu        sync.Mutex
	slots     [2048]limiterSlot
}

type limiterSlot struct {
	key   netip.Addr
	since time.Time
	count int
}

func newLimiter(perMinute int, now func() time.Time) *limiter {
	return &limiter{perMinute: perMinute, now: now, seed: maphash.MakeSeed()}
}

// over counts one event and reports whether the source is above its limit.
func (l *limiter) over(key netip.Addr) bool {
	slot := l.slot(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh(slot, key)
	slot.count++
	return slot.count > l.perMinute
}

func (l *limiter) slot(key netip.Addr) *limiterSlot {
	return &l.slots[maphash.Comparable(l.seed, key)%uint64(len(l.slots))]
}

func (l *limiter) fresh(slot *limiterSlot, key netip.Addr) {
	if now := l.now(); slot.key != key || now.Sub(slot.since) >= time.Minute {
		*slot = limiterSlot{key: key, since: now}
	}
}

// throttle passes one log line per interval and counts the others.
type throttle struct {
	every time.Duration
	now   func() time.Time
	mu    sync.Mutex
	next  time.Time
	held  int
}

// pass reports whether to log, and how many lines were not logged since the last
// one.
func (t *throttle) pass() (held int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if now.Before(t.next) {
		t.held++
		return 0, false
	}
	t.next = now.Add(t.every)
	held, t.held = t.held, 0
	return held, true
}

// sharedTimeout makes contexts that end after length, at most a tenth later.
// Requests that arrive close together share one. A context and a timer for each
// request would be a third of the ack path's allocations.
type sharedTimeout struct {
	length time.Duration
	now    func() time.Time
	mu     sync.Mutex
	shared context.Context //nolint:containedctx // handed out, never waited for here
	until  time.Time       // how long shared may be handed out
}

func (t *sharedTimeout) context() context.Context {
	slice := t.length / 10
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.now(); t.shared == nil || !now.Before(t.until) {
		ctx, cancel := context.WithTimeout(context.Background(), t.length+slice)
		context.AfterFunc(ctx, cancel) // it ends by its timer alone
		t.shared, t.until = ctx, now.Add(slice)
	}
	return t.shared
}
