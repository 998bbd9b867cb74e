package delivery

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"kazoohook/internal/journal"
)

// finished is an outcome that must be recorded.
type finished struct {
	journal.Outcome
	it *item
	at time.Time // when the attempt ended
}

// atOnce reports whether the first attempt delivered the event. If it has no row in the
// journal then, it never gets one.
func (o *finished) atOnce() bool { return o.Delivered && o.First }

const (
	// gatherFor is how long outcomes wait to be recorded with others, if nothing waits
	// for them.
	gatherFor = 5 * time.Millisecond
	// gatherMost is how many outcomes are recorded at once.
	gatherMost = journal.MaxOutcomes
	// holdFor bounds how long an outcome waits for those of earlier events. If the
	// cursor passes an event whose attempt still runs, that event needs a row.
	holdFor = 25 * time.Millisecond
	// rowlessFor is how long a judged event may wait without a row.
	rowlessFor = time.Second
	// rowsMost is how many rows are written at once.
	rowsMost = 1000
)

// record writes outcomes, as many together as there are, and how far events were
// judged, until ctx ends.
func (r *runner) record(ctx context.Context) {
	gather, again := time.NewTimer(gatherFor), time.NewTimer(rowlessFor)
	defer gather.Stop()
	defer again.Stop()
	for {
		select {
		case <-r.save:
		case <-again.C:
		case <-ctx.Done():
			return
		}
		for gather.Reset(gatherFor); !r.hurries(); {
			select {
			case <-r.save:
				continue
			case <-gather.C:
			case <-ctx.Done():
				return
			}
			break
		}
		for r.recordSome(ctx) && r.hurries() {
		}
		if wait := r.left(); wait > 0 {
			again.Reset(wait)
		} else {
			again.Stop()
		}
	}
}

// hurries reports whether outcomes must be recorded at once: later events of their keys
// wait, or there are many.
func (r *runner) hurries() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pause != nil || len(r.outcomes) >= gatherMost || r.stopped {
		return true
	}
	for i := len(r.outcomes) - 1; i >= r.looked && i >= 0; i-- {
		if len(r.outcomes[i].it.lane.items) > 1 {
			return true
		}
	}
	r.looked = len(r.outcomes)
	return false
}

// left returns when to look again for what wasn't written; 0 if there is nothing.
func (r *runner) left() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(r.outcomes) > 0:
		return gatherFor
	case len(r.rowless) > 0:
		return max(gatherFor, rowlessFor-time.Since(r.rowless[0].judged))
	}
	return 0
}

// writing is one command of the recorder.
type writing struct {
	from, to int64 // where the cursor moves; equal if it stays
	rows     []journal.Judged
	batch    []finished
	outcomes []journal.Outcome // of batch
	pause    *journal.Pause
}

// take decides what is written next; nil if there is nothing. mu is held.
func (r *runner) take() *writing {
	w := &writing{from: r.written, to: r.passable(time.Now()), pause: r.pause}
	rest := make([]finished, 0, len(r.outcomes)) // about as many will come again
	w.batch = make([]finished, 0, len(r.outcomes))
	for _, o := range r.outcomes {
		if o.it.row == nil || o.Seq <= w.to {
			w.batch = append(w.batch, o)
		} else {
			rest = append(rest, o)
		}
	}
	if len(w.batch) > journal.MaxOutcomes {
		// Outcomes without a row come last, so that the cursor can stay before one.
		slices.SortStableFunc(w.batch, func(a, b finished) int { return cmp.Compare(a.unwritten(), b.unwritten()) })
		later := slices.Clone(w.batch[journal.MaxOutcomes:])
		if i := slices.IndexFunc(later, func(o finished) bool { return o.it.row != nil }); i >= 0 {
			w.to = later[i].Seq - 1
		}
		rest = append(later, rest...)
		w.batch = w.batch[:journal.MaxOutcomes:journal.MaxOutcomes]
	}
	if len(w.batch) == 0 && w.to == w.from && w.pause == nil {
		return nil
	}
	r.outcomes, r.pause, r.looked = rest, nil, 0
	for _, it := range r.rowless {
		if it.seq <= w.to && !it.done {
			w.rows = append(w.rows, *it.row)
		}
	}
	w.outcomes = make([]journal.Outcome, len(w.batch))
	for i := range w.batch {
		w.outcomes[i] = w.batch[i].Outcome
	}
	return w
}

// unwritten returns the number of an event without a row, 0 if it has one.
func (o *finished) unwritten() int64 {
	if o.it.row == nil {
		return 0
	}
	return o.Seq
}

// passable returns how far the cursor may go now: over events that were delivered at
// once, and further if an outcome can't wait or an event has waited too long. mu is
// held.
func (r *runner) passable(now time.Time) int64 {
	to := r.cursor
	for _, it := range r.rowless {
		if !it.done {
			to = it.seq - 1
			break
		}
	}
	for i := range r.outcomes {
		o := &r.outcomes[i]
		if o.it.row != nil && o.Seq > to && (!o.atOnce() || len(o.it.lane.items) > 1 || now.Sub(o.at) >= holdFor || r.stopped || r.pause != nil) {
			to = o.Seq
		}
	}
	if len(r.rowless) > 0 && now.Sub(r.rowless[0].judged) >= rowlessFor {
		to = r.cursor
	}
	rows := 0
	for _, it := range r.rowless {
		if it.seq > to {
			break
		}
		if !it.done {
			rows++
		}
		if rows > rowsMost {
			return it.seq - 1
		}
	}
	return to
}

// recordSome writes what can be written, and reports whether it wrote anything.
func (r *runner) recordSome(ctx context.Context) bool {
	if r.pausing.Lock(ctx) != nil {
		return false
	}
	defer r.pausing.Unlock()
	r.mu.Lock()
	w := r.take()
	r.mu.Unlock()
	if w == nil {
		return false
	}
	for {
		err := r.write(ctx, w)
		if err == nil {
			break
		}
		if !r.unrecorded(ctx, err) {
			r.giveBack(w)
			return false
		}
	}
	r.mu.Lock()
	r.wrote(w.to)
	r.mu.Unlock()
	r.recorded(w.batch, w.pause)
	return true
}

// giveBack undoes take.
func (r *runner) giveBack(w *writing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes = append(w.batch, r.outcomes...)
	if r.pause == nil {
		r.pause = w.pause
	}
}

// write gives the journal a command. If an earlier one only seemed to fail, the
// journal's cursor is past w.from, and the events before it have rows. Then only the
// rest is written.
func (r *runner) write(ctx context.Context, w *writing) error {
	j := r.e.opt.Journal
	if w.from == w.to {
		return j.Attempted(ctx, r.name, w.outcomes, w.pause)
	}
	err := j.Advance(ctx, r.name, w.from, w.to, w.rows, w.outcomes, w.pause)
	if !errors.Is(err, journal.ErrCursorMoved) {
		return err
	}
	at, ok := r.place(ctx)
	if !ok || at <= w.from {
		return err
	}
	w.from, w.to = at, max(at, w.to)
	w.rows = slices.DeleteFunc(w.rows, func(row journal.Judged) bool { return row.Seq <= at })
	return r.write(ctx, w)
}

// unrecorded waits for the next try, and reports whether there is one.
func (r *runner) unrecorded(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	r.mu.Lock()
	first := r.failing.IsZero()
	if first {
		r.failing = time.Now()
	}
	r.mu.Unlock()
	if first {
		r.log.Error().Err(err).Msg("outcomes of attempts can't be recorded: no attempt is made until they can")
	}
	select {
	case <-time.After(time.Second):
		return true
	case <-ctx.Done():
		return false
	}
}

// recorded lets waiting events go on once the outcomes are durable.
func (r *runner) recorded(batch []finished, pause *journal.Pause) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = time.Time{}
	r.unsaved -= len(batch)
	for i := range batch {
		o := &batch[i]
		switch {
		case o.Delivered, o.Dead:
			r.w.remove(o.it)
			if o.Dead {
				r.m.dead.Inc()
				r.log.Error().Int64("seq", o.Seq).Int("attempts", o.it.attempts).Str("last_error", o.Error).
					Msg("dead letter: the event is not tried any more, until somebody redelivers it")
			}
		default:
			r.rest(o.it)
		}
	}
	if pause != nil && *pause != r.reported {
		r.reported = *pause
		r.announcePause(*pause)
	}
	signal(r.wake)
}
