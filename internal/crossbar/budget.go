package crossbar

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Priority is the order of requests that wait under Options.Rate.
type Priority int

// The priorities, highest first. Logins and everything about hooks have Hooks,
// reading attempts has Recovery, listing and reading objects and samples have
// Background.
const (
	Hooks      Priority = iota // checks and repairs of hooks
	Recovery                   // reading failed attempts
	Background                 // listings and look-ups: the rest, but at least a fifth of all
	priorities
)

// priorityOf returns the priority of an operation.
func priorityOf(op string) Priority {
	switch op {
	case opAttempts:
		return Recovery
	case opObjectsList, opObjectsGet, opDescendants, opSamples:
		return Background
	}
	return Hooks
}

// Kazoo's token bucket and the cost of requests: one each, but 35 for a login where
// the operator set token_costs to an object (kazoo 4.3 core/kazoo_token_buckets and
// applications/crossbar/src/crossbar.hrl).
const (
	requestCost  = 1
	loginCost    = 35
	bucketRefill = 10
	// bucketDepth is our share of Kazoo's 100 tokens: others use the bucket too.
	bucketDepth = 80
)

// backgroundShare is the number of turns of which Background gets at least one.
const backgroundShare = 5

// budget keeps requests below our own rate and within Kazoo's token bucket, and
// chooses the next one. It chooses when a request may be sent, so a hook check goes
// before a listing's request that has waited longer.
type budget struct {
	pace *rate.Limiter // requests, at Options.Rate
	cost *rate.Limiter // a model of Kazoo's bucket

	mu      sync.Mutex
	queues  [priorities][]*turn
	others  int           // requests of other priorities since the last of Background
	changed chan struct{} // closed when a turn ends: another request is next
}

// turn is a request that waits.
type turn struct{ cost int }

func newBudget(perSecond float64) *budget {
	return &budget{
		pace:    rate.NewLimiter(rate.Limit(perSecond), max(1, int(math.Ceil(perSecond)))),
		cost:    rate.NewLimiter(rate.Limit(max(bucketRefill, perSecond)), max(bucketDepth, int(math.Ceil(perSecond)))),
		changed: make(chan struct{}),
	}
}

// wait blocks until a request of that cost may be sent, or ctx ends.
func (b *budget) wait(ctx context.Context, p Priority, cost int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t := &turn{cost: cost}
	b.mu.Lock()
	b.queues[p] = append(b.queues[p], t)
	b.mu.Unlock()
	for {
		delay, changed, done := b.try(t, p)
		if done {
			return nil
		}
		var timer <-chan time.Time
		if delay > 0 {
			timer = time.After(delay)
		}
		select {
		case <-timer:
		case <-changed:
		case <-ctx.Done():
			b.mu.Lock()
			b.leave(t, p)
			b.mu.Unlock()
			return fmt.Errorf("no turn under KAZOO_API_RATE before the deadline: %w", context.Cause(ctx))
		}
	}
}

// try takes the turn if it is next and may be sent now. Otherwise it returns the
// time to wait, 0 if other requests go first, and a channel that is closed when
// that changes.
func (b *budget) try(t *turn, p Priority) (delay time.Duration, changed <-chan struct{}, done bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if next := b.next(); next != p || b.queues[p][0] != t {
		return 0, b.changed, false
	}
	now := time.Now()
	if delay = max(until(b.pace, now, requestCost), until(b.cost, now, t.cost)); delay > 0 {
		return delay, b.changed, false
	}
	b.pace.AllowN(now, requestCost)
	b.cost.AllowN(now, t.cost)
	if p == Background {
		b.others = 0
	} else {
		b.others++
	}
	b.leave(t, p)
	return 0, nil, true
}

// next returns the priority whose first turn goes next.
func (b *budget) next() Priority {
	if len(b.queues[Background]) > 0 && b.others >= backgroundShare-1 {
		return Background
	}
	for p := range priorities {
		if len(b.queues[p]) > 0 {
			return p
		}
	}
	return priorities
}

// leave removes a turn from its queue and wakes the waiting requests.
func (b *budget) leave(t *turn, p Priority) {
	b.queues[p] = slices.DeleteFunc(b.queues[p], func(other *turn) bool { return other == t })
	close(b.changed)
	b.changed = make(chan struct{})
}

// until returns the time until n tokens are available.
func until(l *rate.Limiter, now time.Time, n int) time.Duration {
	missing := float64(n) - l.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(missing / float64(l.Limit()) * float64(time.Second)))
}
