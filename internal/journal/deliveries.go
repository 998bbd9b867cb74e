package journal

import (
	"context"
	"fmt"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/search"
	"kazoohook/internal/journal/tables"
)

// Configure adds destinations that are new or configured again, and notes which are no
// longer configured. It deletes all that is known of those in forget, if they are not
// configured. A configured destination holds up retention.
func (j *Journal) Configure(ctx context.Context, add []NewDestination, remove, forget []string) error {
	_, err := j.do(ctx, &configured{Add: add, Remove: remove, Forget: forget})
	return err
}

// Judge moves a destination's cursor and stores the deliveries of the events between
// from and to. It returns ErrCursorMoved if the cursor isn't at from. Like all
// outcomes of delivery, this survives the death of the process at once, and the death
// of the machine after the next event.
func (j *Journal) Judge(ctx context.Context, destination string, from, to int64, rows []Judged) error {
	_, err := j.do(ctx, &judged{Destination: destination, From: from, To: to, Rows: rows})
	return err
}

// Decide stores which undecided events are for a destination and which aren't.
func (j *Journal) Decide(ctx context.Context, destination string, match, drop []int64) error {
	_, err := j.do(ctx, &decided{Destination: destination, Match: match, Drop: drop})
	return err
}

// MaxOutcomes is how many outcomes one call of Attempted may have.
const MaxOutcomes = 256

// Attempted stores the outcomes of attempts, and pauses or resumes the destination
// if pause isn't nil. The outcome of a delivery that no longer waits is kept as an
// attempt and doesn't change the delivery. Outcomes that are stored again, with the same
// At, change nothing.
func (j *Journal) Attempted(ctx context.Context, destination string, outcomes []Outcome, pause *Pause) error {
	if len(outcomes) > MaxOutcomes {
		return fmt.Errorf("%d outcomes are more than %d", len(outcomes), MaxOutcomes)
	}
	_, err := j.do(ctx, &attempted{Destination: destination, Outcomes: outcomes, Pause: pause})
	return err
}

// Advance is Judge and Attempted in one transaction. rows must not have an event whose
// first attempt succeeded (Delivered and First): it never waited.
func (j *Journal) Advance(ctx context.Context, destination string, from, to int64, rows []Judged, outcomes []Outcome, pause *Pause) error {
	if len(outcomes) > MaxOutcomes {
		return fmt.Errorf("%d outcomes are more than %d", len(outcomes), MaxOutcomes)
	}
	_, err := j.do(ctx, &attempted{
		Destination: destination, Outcomes: outcomes, Pause: pause,
		Judged: &judged{Destination: destination, From: from, To: to, Rows: rows},
	})
	return err
}

// SetPause pauses or resumes a destination.
func (j *Journal) SetPause(ctx context.Context, destination string, p Pause) error {
	_, err := j.do(ctx, &paused{Destination: destination, Pause: p})
	return err
}

// Redeliver makes events wait again, and returns how many. It skips events whose body
// isn't kept, and events whose filters were not evaluated yet. There may be at most
// MaxOutcomes rows; their State and Due don't count.
func (j *Journal) Redeliver(ctx context.Context, destination string, rows []Judged) (int, error) {
	if len(rows) > MaxOutcomes {
		return 0, fmt.Errorf("%d events are more than %d", len(rows), MaxOutcomes)
	}
	res, err := j.do(ctx, &redelivered{Destination: destination, Rows: rows})
	return int(res.count), err
}

// Discard deletes dead letters, at most MaxOutcomes, and returns how many it
// deleted.
func (j *Journal) Discard(ctx context.Context, destination string, seqs []int64) (int, error) {
	if len(seqs) > MaxOutcomes {
		return 0, fmt.Errorf("%d events are more than %d", len(seqs), MaxOutcomes)
	}
	res, err := j.do(ctx, &discarded{Destination: destination, Seqs: seqs})
	return int(res.count), err
}

// GiveUp turns the deliveries of events up to a number into dead letters without a
// body, and returns how many it changed. Those that waited get reason as their error.
// All destinations must have been judged up to there.
func (j *Journal) GiveUp(ctx context.Context, through int64, reason string) (int, error) {
	res, err := j.do(ctx, &dropped{Through: through, Reason: reason})
	return int(res.count), err
}

// PlaceAccounts stores where accounts are in Kazoo's tree, at most MaxPage of them.
func (j *Journal) PlaceAccounts(ctx context.Context, places []AccountPlace) error {
	if len(places) > MaxPage {
		return fmt.Errorf("%d accounts are more than %d", len(places), MaxPage)
	}
	_, err := j.do(ctx, &placed{Accounts: places})
	return err
}

// SeqAt returns the number of the last event that was appended before a time, by the
// wall clock. If that event isn't kept, it is the number before the oldest one.
func (j *Journal) SeqAt(ctx context.Context, at time.Time) (seq int64, err error) {
	first, last := j.tail.Bounds()
	if first > last {
		return last, nil
	}
	err = j.read(ctx, func(c *conn) error {
		seq, err = search.SeqAt(ctx, c, first, last, at)
		return err
	})
	return seq - 1, err
}

// Kept returns the events with the given numbers that are in the journal or are kept
// for destinations. lost has the numbers of those that aren't, or can't be read. If
// the bodies are large, it handles only the first part of the list.
func (j *Journal) Kept(ctx context.Context, seqs []int64) (recs []event.Record, lost []int64, err error) {
	err = j.read(ctx, func(c *conn) error {
		recs, lost = nil, nil
		bytes := 0
		for _, seq := range seqs {
			r, ok, err := j.readKept(ctx, c, seq)
			switch {
			case err != nil && !database.IsDamage(err):
				return err
			case err != nil, !ok:
				lost = append(lost, seq)
			default:
				recs = append(recs, r.Record)
				if bytes += len(r.Body); bytes > maxReadBytes {
					return nil
				}
			}
		}
		return nil
	})
	return recs, lost, err
}

// readKept reads one event, also one that is kept only for destinations. It notes an
// event that can't be read.
func (j *Journal) readKept(ctx context.Context, c *conn, seq int64) (r row, ok bool, err error) {
	r, ok, err = tables.Read(ctx, c, j.damage, "events", seq)
	if !ok && err == nil {
		r, ok, err = tables.Read(ctx, c, j.damage, "backlog", seq)
	}
	if database.IsDamage(err) {
		j.damage.Unreadable(seq, err)
	}
	return r, ok, err
}
