package journal

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// What a node gives to the log while no caller waits: outcomes of answers and retention.

// persist tries to give a command to the log until the log has it.
func (p *proposer) persist(ctx context.Context, cmd command) error {
	k, err := p.prepare(&work{cmd: cmd})
	if err != nil {
		return err
	}
	defer p.forget(k)
	for {
		err := p.publish(ctx, k)
		if err == nil || errors.Is(err, ErrTooLarge) {
			return err
		}
		select {
		case <-time.After(tryEvery):
		case <-ctx.Done():
			return err
		}
	}
}

// outcome queues the outcome of an answer and doesn't wait.
func (p *proposer) outcome(o *outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outcomes = append(p.outcomes, o); len(p.outcomes) > keptOutcomes {
		p.outcomes = p.outcomes[1:]
	}
	p.answer.signal()
}

// giveOutcomes gives the outcomes of answers to the log, many in one command.
func (p *proposer) giveOutcomes() {
	for {
		select {
		case <-p.answer:
		case <-p.ctx.Done():
			return
		}
		select {
		case <-time.After(outcomesEvery):
		case <-p.ctx.Done():
			return
		}
		p.flushOutcomes(p.ctx)
	}
}

func (p *proposer) flushOutcomes(ctx context.Context) {
	for ctx.Err() == nil {
		p.mu.Lock()
		n := min(len(p.outcomes), mostOutcomes)
		cmd := &answers{List: p.outcomes[:n:n]}
		p.outcomes = p.outcomes[n:]
		p.mu.Unlock()
		if n == 0 || p.persist(ctx, cmd) != nil {
			return
		}
	}
}

// retained is a command of retention on its way through the log; one at a time.
type retained struct {
	giving sync.WaitGroup // waits for it
	given  atomic.Bool    // there is such a command
	again  atomic.Bool    // it was applied: take the next step
}

// retain gives a command of retention to the log and doesn't wait.
func (w *writer) retain(cmd command) {
	r := &w.pruner.retained
	r.given.Store(true)
	r.giving.Go(func() {
		_, err := w.j.do(ctx0, cmd)
		r.given.Store(false)
		r.again.Store(err == nil)
		w.j.queue.wake.signal()
	})
}
