package handlers

import (
	"context"
	"sync"
	"time"
)

// patience makes contexts that end after a while, at most a tenth later than
// asked for. Deliveries that come close together share one: a context and a
// timer for each would be a third of what the ack path allocates.
type patience struct {
	length time.Duration
	now    func() time.Time
	mu     sync.Mutex
	shared context.Context //nolint:containedctx // handed out, never waited for here
	until  time.Time       // how long shared may be handed out
}

func (p *patience) context() context.Context {
	slice := p.length / 10
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); p.shared == nil || !now.Before(p.until) {
		ctx, cancel := context.WithTimeout(context.Background(), p.length+slice)
		context.AfterFunc(ctx, cancel) // it ends by its timer alone
		p.shared, p.until = ctx, now.Add(slice)
	}
	return p.shared
}
