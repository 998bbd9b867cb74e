package delivery

import (
	"context"
	"time"

	"kazoohook/internal/journal"
)

// Pause stops a destination until it is resumed. Running attempts go on.
func (e *Engine) Pause(ctx context.Context, name string) error {
	return e.setPause(ctx, name, journal.PausedByPerson)
}

// Resume ends any pause of a destination, whatever caused it. Waiting events are due at
// once.
func (e *Engine) Resume(ctx context.Context, name string) error {
	return e.setPause(ctx, name, journal.NotPaused)
}

func (e *Engine) setPause(ctx context.Context, name string, p journal.Pause) error {
	r, err := e.find(name)
	if err != nil {
		return err
	}
	return r.setPause(ctx, p)
}

// setPause pauses or resumes. After an error it does so if the journal has the change.
// Otherwise the recorder writes again what holds in memory: the change may still be
// carried out, and the next start must not follow it.
func (r *runner) setPause(ctx context.Context, p journal.Pause) error {
	if err := r.pausing.Lock(ctx); err != nil {
		return err
	}
	defer r.pausing.Unlock()
	ctx, end := r.whole(ctx)
	defer end()
	if err := r.e.opt.Journal.SetPause(ctx, r.name, p); err != nil {
		if d, ok := r.stored(ctx); !ok || d.Paused != p {
			r.mu.Lock()
			r.turn(r.paused)
			r.mu.Unlock()
			return err
		}
	}
	r.mu.Lock()
	was := r.paused
	r.pause = nil // results of earlier attempts no longer count
	r.setPaused(p)
	if p == journal.NotPaused {
		r.resumed++
		r.breaker = breaker{}
		now := time.Now()
		for _, it := range r.w.items {
			if it.phase == idle {
				it.due = now
			}
		}
		r.w.reorder(r.dest.Order)
	}
	r.reported = p
	r.mu.Unlock()
	switch {
	case p == was:
	case p == journal.NotPaused:
		r.log.Info().Msg("destination resumed: what waits is delivered")
	default:
		r.log.Warn().Msg("destination paused until it is resumed: events wait")
	}
	signal(r.wake)
	signal(r.room)
	return nil
}

// setPaused sets the pause in memory; mu is held.
func (r *runner) setPaused(p journal.Pause) {
	if r.paused != p {
		r.paused, r.since = p, time.Now()
	}
}

// turn pauses or resumes the destination; the change is recorded with the next
// outcomes; mu is held.
func (r *runner) turn(p journal.Pause) {
	r.setPaused(p)
	r.pause = &p
	signal(r.save)
	signal(r.room)
}

func (r *runner) announcePause(p journal.Pause) {
	switch p {
	case journal.PausedByBreaker:
		r.log.Warn().Str("last_error", r.last.error).Msg("destination paused: it takes nothing. Events wait, and a probe is made now and then")
	case journal.PausedByRecipient:
		r.log.Warn().Msg("destination paused: it answered that it wants no more (410). Events wait until somebody resumes it")
	case journal.NotPaused:
		r.log.Info().Msg("destination works again: what waits is delivered")
	case journal.PausedByPerson:
	}
}
