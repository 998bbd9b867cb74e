package tracing

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

const (
	// remembered is the number of newest events whose request's trace is kept:
	// about 100 bytes each.
	remembered = 8192
	// longestWait bounds how long an attempt waits for its request's trace.
	longestWait = time.Second
)

// recent holds the traces of the newest events' requests, by seq. An event may be
// delivered before its request has learned the seq. So a look-up of an unknown seq
// waits for the appends that are running.
type recent struct {
	mu      sync.Mutex
	list    [remembered]entry // the place of seq is seq modulo the length
	next    uint64            // the next append's ticket
	going   map[uint64]bool   // tickets of the running appends
	changed chan struct{}     // closed when one of them ends; nil: no look-up waits
}

type entry struct {
	seq  int64
	span trace.SpanContext
}

// begin records the start of an append.
func (r *recent) begin() (ticket uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.going == nil {
		r.going = map[uint64]bool{}
	}
	ticket = r.next
	r.next++
	r.going[ticket] = true
	return ticket
}

// end records the end of an append; its event was added.
func (r *recent) end(ticket uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.going, ticket)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// add keeps the trace of an event. A trace that isn't sampled is not kept: then the
// deliveries make their own sampling decisions.
func (r *recent) add(seq int64, span trace.SpanContext) {
	if !span.IsSampled() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list[seq%remembered] = entry{seq, span}
}

// get returns the trace of an event. It waits for the appends that have begun.
func (r *recent) get(ctx context.Context, seq int64) (trace.SpanContext, bool) {
	if seq < 0 {
		return trace.SpanContext{}, false
	}
	limit := time.NewTimer(longestWait)
	defer limit.Stop()
	r.mu.Lock()
	before := r.next
	for {
		e := r.list[seq%remembered]
		if e.seq == seq && e.span.IsValid() || !r.waits(before) {
			r.mu.Unlock()
			return e.span, e.seq == seq && e.span.IsValid()
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-limit.C:
			before = 0
		case <-ctx.Done():
			before = 0
		}
		r.mu.Lock()
	}
}

// waits reports whether an append with an earlier ticket runs. The caller holds the
// lock.
func (r *recent) waits(before uint64) bool {
	for ticket := range r.going {
		if ticket < before {
			return true
		}
	}
	return false
}
