package handlers

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// limiter counts events per source and minute in a table of fixed size: sources
// beyond it displace others, so that no number of them costs memory. A source
// that is displaced starts anew, which errs on the side of letting through.
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

// above reports whether the source has reached its limit, without counting.
func (l *limiter) above(key netip.Addr) bool {
	slot := l.slot(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	return slot.key == key && slot.count >= l.perMinute && l.now().Sub(slot.since) < time.Minute
}

func (l *limiter) slot(key netip.Addr) *limiterSlot {
	return &l.slots[maphash.Comparable(l.seed, key)%uint64(len(l.slots))]
}

func (l *limiter) fresh(slot *limiterSlot, key netip.Addr) {
	if now := l.now(); slot.key != key || now.Sub(slot.since) >= time.Minute {
		*slot = limiterSlot{key: key, since: now}
	}
}

// throttle lets one log line through per interval and counts the others.
type throttle struct {
	every time.Duration
	now   func() time.Time
	mu    sync.Mutex
	next  time.Time
	held  int
}

// pass reports whether to log, and how many were not logged since the last.
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
