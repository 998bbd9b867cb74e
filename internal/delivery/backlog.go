package delivery

import (
	"context"
	"errors"
	"time"

	"kazoohook/internal/journal"
)

// giveUp cuts the backlog whenever it exceeds BACKLOG_MAX, until ctx ends.
func (e *Engine) giveUp(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case through := <-e.opt.Journal.BacklogExceeded():
			if err := e.giveUpThrough(ctx, through); err != nil && ctx.Err() == nil {
				e.opt.Log.Error().Err(err).Msg("the backlog of destinations is too large, and could not be cut; will try again")
			}
		}
	}
}

// reasonTooLarge is the last_error of these dead letters.
const reasonTooLarge = "the backlog became larger or older than BACKLOG_MAX allows: the body was removed"

func (e *Engine) giveUpThrough(ctx context.Context, through int64) error {
	runners := e.all()
	total := 0
	for _, r := range runners {
		n, err := r.giveUp(ctx, through)
		if err != nil {
			return err
		}
		total += n
	}
	n, err := e.opt.Journal.GiveUp(ctx, through, reasonTooLarge)
	for _, r := range runners { // also after an error: it may have been carried out
		if locked := r.moving.Lock(ctx); locked != nil {
			return errors.Join(err, locked)
		}
		err = errors.Join(err, r.reload(ctx))
		r.moving.Unlock()
	}
	if total+n > 0 {
		e.metrics.givenUp.Add(float64(total + n))
		e.opt.Log.Error().Int("deliveries", total+n).Int64("through", through).
			Msg("dead letters without a body: destinations have taken too little for too long, and BACKLOG_MAX is reached; these events can't be redelivered")
	}
	return err
}

// giveUp makes dead letters of the events up to through that weren't judged yet.
func (r *runner) giveUp(ctx context.Context, through int64) (n int, err error) {
	if err := r.moving.Lock(ctx); err != nil {
		return 0, err
	}
	defer r.moving.Unlock()
	if err := r.flush(ctx); err != nil {
		return 0, err
	}
	for {
		from, dest := r.judgedUpTo(), r.destination()
		if from >= through {
			return n, nil
		}
		recs, err := r.e.opt.Journal.Read(ctx, from, judgeBatch)
		if err != nil {
			return n, err
		}
		to, rows := through, []journal.Judged(nil)
		if len(recs) > 0 {
			var judged int
			rows, judged = r.evaluate(dest, recs)
			to = min(recs[judged-1].Seq, through)
		}
		for len(rows) > 0 && rows[len(rows)-1].Seq > to {
			rows = rows[:len(rows)-1]
		}
		for i := range rows {
			rows[i].State, rows[i].Due, rows[i].Error = journal.Dead, time.Time{}, reasonTooLarge
		}
		if err := r.moveTo(ctx, to, rows); err != nil {
			return n, err
		}
		n += len(rows)
		r.mu.Lock()
		r.handed = r.cursor // none of them waits
		r.mu.Unlock()
	}
}
