package registration

import (
	"context"
	"time"

	"kazoohook/internal/crossbar"
)

// Gap is a span in which events may have been missed.
type Gap struct {
	From, To time.Time // From zero: unknown
	Reason   string
}

const (
	aliveKey = "engine.alive"
	// Longer away than this is worth telling; shorter, Kazoo's own retries and
	// the record of attempts bridge it.
	gapWorthTelling = 2 * time.Second
	tellAgain       = 10 * time.Minute
)

// Gaps counts the gaps found since the start.
func (e *Engine) Gaps() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.gaps
}

func (e *Engine) gap(g Gap) {
	e.mu.Lock()
	e.gaps++
	e.mu.Unlock()
	line := e.opts.Log.Warn().Str("reason", g.Reason).Time("to", g.To.UTC())
	if !g.From.IsZero() {
		line.Time("from", g.From.UTC()).Int64("at_most_ms", g.To.Sub(g.From).Milliseconds())
	}
	line.Msg("events may have been missed in this time; recovering them now")
}

// repaired is told of a hook that was not firing and fires again.
func (e *Engine) repaired(r Repair) {
	from := r.LastGood
	if from.IsZero() {
		e.mu.Lock()
		from = e.alive
		e.mu.Unlock()
	}
	e.gap(Gap{From: from, To: r.At, Reason: "hook " + r.Hook + " was not firing: " + r.Reason})
	e.askResync("after a gap")
}

// awayGap notes how long the process was not running. The resync follows when
// the hooks are registered.
func (e *Engine) awayGap(ctx context.Context) {
	saved, err := e.store.State(ctx, aliveKey)
	if err != nil || saved == "" {
		return // the first start, or the journal will say what is wrong
	}
	alive, err := time.Parse(time.RFC3339Nano, saved)
	if err != nil {
		e.opts.Log.Warn().Err(err).Msg("the mark of the last time that all was well is unreadable")
		return
	}
	e.mu.Lock()
	e.alive = alive
	e.mu.Unlock()
	if now := e.opts.Now(); now.Sub(alive) > gapWorthTelling {
		e.gap(Gap{From: alive, To: now, Reason: "the receiver was not running"})
	}
}

// mark keeps durably that all is well now.
func (e *Engine) mark(ctx context.Context) {
	now := e.opts.Now()
	if err := e.store.SetState(ctx, aliveKey, now.UTC().Format(time.RFC3339Nano)); err != nil {
		return // the next gap looks longer than it was; the journal says what is wrong
	}
	e.mu.Lock()
	e.alive = now
	e.mu.Unlock()
}

// lastMark is mark at an orderly end.
func (e *Engine) lastMark(ctx context.Context) {
	e.mu.Lock()
	firing := e.firing
	e.mu.Unlock()
	if firing {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		e.mark(ctx)
	}
}

// reachability says in one line that Kazoo tries and fails, if nothing has
// arrived since. What failed while we weren't running has a line of its own.
func (e *Engine) reachability(attempts []crossbar.Attempt, now time.Time) {
	if len(attempts) == 0 {
		return
	}
	last := attempts[len(attempts)-1]
	delivered := e.opts.LastDelivery()
	e.mu.Lock()
	started := e.started.Add(-time.Second) // attempts are timed to the second
	e.mu.Unlock()
	if last.Result == "success" || last.Time.Before(started) || delivered.After(last.Time) || now.Sub(last.Time) > tellAgain {
		return
	}
	why := Explain(last)
	if !e.tell("reach: " + why) {
		return
	}
	line := e.opts.Log.Warn().Time("failed_at", last.Time.UTC()).Str("uri", redactURI(last.URI)).Str("hook_id", last.HookID)
	if !delivered.IsZero() {
		line.Time("last_delivery", delivered.UTC())
	}
	line.Msg("Kazoo tries to deliver and fails: " + why)
}

// tell limits a repeated message to one every ten minutes.
func (e *Engine) tell(what string) bool {
	now := e.opts.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, at := range e.told {
		if now.Sub(at) >= tellAgain {
			delete(e.told, k)
		}
	}
	if _, told := e.told[what]; told {
		return false
	}
	e.told[what] = now
	return true
}
