package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// Redelivery says what a person wants delivered again to a destination: its dead
// letters, one event, or the events of a span of time.
type Redelivery struct {
	Destination string

	Dead    bool   // all dead letters; From, To and Event narrow them
	EventID string // this event, even if the filters don't match it

	From, To time.Time // received at or after From and before To; zero: no limit
	Event    string    // pattern of the event's name; "": all that the filters match

	DryRun bool // only list the events
}

// Redeliveries are the events that a Redelivery selects, in order of their numbers.
type Redeliveries struct {
	Events []Redelivered
	More   int // events without a body that Events doesn't list
	Count  int // events that are, or would be, delivered again
	Left   int // dead letters that one order has no room for
}

// Redelivered is an event that is, or would be, delivered again.
type Redelivered struct {
	Seq     int64
	EventID string
	Event   string
	// Skipped says why the event can't be delivered again; "" if it can.
	Skipped string
}

// maxRedelivered bounds one order: all its events are held in memory. An order of dead
// letters takes the first ones, and can be repeated for the others.
const maxRedelivered = 100_000

// ErrRedelivery wraps the errors of a bad order.
var ErrRedelivery = errors.New("can't redeliver")

// Redeliver puts events before a destination's other waiting events, sorted by number.
// After an error some of them may wait already.
func (e *Engine) Redeliver(ctx context.Context, what Redelivery) (Redeliveries, error) {
	r, err := e.find(what.Destination)
	if err != nil {
		return Redeliveries{}, err
	}
	one := what.EventID != ""
	switch {
	case what.Dead && one, !what.Dead && !one && what.From.IsZero():
		return Redeliveries{}, fmt.Errorf("%w: say either which dead letters, which event, or from when on", ErrRedelivery)
	case one && (!what.From.IsZero() || !what.To.IsZero() || what.Event != ""):
		return Redeliveries{}, fmt.Errorf("%w: one event has its id alone, without a time or a pattern", ErrRedelivery)
	case !what.To.IsZero() && !what.From.Before(what.To):
		return Redeliveries{}, fmt.Errorf("%w: the time ends before it begins", ErrRedelivery)
	}
	var list Redeliveries
	var rows []journal.Judged
	switch {
	case what.Dead:
		list, rows, err = r.deadLetters(ctx, &what)
	case one:
		list.Events, rows, err = r.oneEvent(ctx, what.EventID)
	default:
		list.Events, rows, err = r.between(ctx, &what)
	}
	list.Count = len(rows)
	if err == nil && !what.DryRun {
		list.Count, err = r.redeliver(ctx, rows)
	}
	return list, err
}

// redeliver makes events wait again, and returns how many.
func (r *runner) redeliver(ctx context.Context, rows []journal.Judged) (n int, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	if err := r.moving.Lock(ctx); err != nil {
		return 0, err
	}
	defer r.moving.Unlock()
	ctx, end := r.whole(ctx)
	defer end()
	if err := r.flush(ctx); err != nil {
		return 0, err
	}
	for r.recordSome(ctx) { // an earlier outcome must not end the new delivery
	}
	if err := r.order(ctx, rows); err != nil {
		return 0, err
	}
	for part := range slices.Chunk(rows, journal.MaxOutcomes) {
		waiting, err := r.e.opt.Journal.Redeliver(ctx, r.name, part)
		n += waiting
		if err != nil {
			return n, errors.Join(fmt.Errorf("after %d events: %w", n, err), r.reload(ctx))
		}
	}
	r.m.redelivered.Add(float64(n))
	r.log.Info().Int("events", n).Msg("events are delivered again")
	return n, r.reload(ctx)
}

// noBody is why a dead letter without a body is skipped.
const noBody = "its body is no longer kept for this destination"

// skip marks the events that were given up for this destination, and returns the rows of
// the others. The events are in order of their numbers, and rows has them all.
func (r *runner) skip(ctx context.Context, list []Redelivered, rows []journal.Judged) ([]journal.Judged, error) {
	if len(list) == 0 {
		return rows, nil
	}
	given := map[int64]bool{}
	for after, last := list[0].Seq-1, list[len(list)-1].Seq; after < last; {
		page, err := r.e.opt.Journal.DeadLetters(ctx, r.name, after, redeliverPage)
		if err != nil {
			return nil, err
		}
		for i := range page {
			after = page[i].Seq
			if page[i].NoBody {
				given[after] = true
			}
		}
		if len(page) < redeliverPage {
			break
		}
	}
	for i := range list {
		if given[list[i].Seq] {
			list[i].Skipped = noBody
		}
	}
	return slices.DeleteFunc(rows, func(row journal.Judged) bool { return given[row.Seq] }), nil
}

const redeliverPage = 500

// deadLetters lists the dead letters that were asked for.
func (r *runner) deadLetters(ctx context.Context, what *Redelivery) (list Redeliveries, rows []journal.Judged, err error) {
	most := r.e.opt.most
	for after := int64(0); ; {
		page, err := r.e.opt.Journal.DeadLetters(ctx, r.name, after, redeliverPage)
		if err != nil {
			return list, nil, err
		}
		for i := range page {
			d := &page[i]
			after = d.Seq
			id, err := ulid.ParseStrict(d.EventID)
			at := time.UnixMilli(int64(id.Time()))
			if err != nil || what.Event != "" && !event.Wildcard(what.Event, d.Event) ||
				!what.From.IsZero() && at.Before(what.From) || !what.To.IsZero() && !at.Before(what.To) {
				continue
			}
			one := Redelivered{Seq: d.Seq, EventID: d.EventID, Event: d.Event}
			switch {
			case !d.NoBody && len(rows) == most:
				list.Left++
				continue
			case !d.NoBody:
				rows = append(rows, journal.Judged{Seq: d.Seq, ID: id, Event: d.Event, Key: d.Key})
			case len(list.Events) >= most:
				list.More++
				continue
			default:
				one.Skipped = noBody
			}
			list.Events = append(list.Events, one)
		}
		if len(page) < redeliverPage {
			return list, rows, nil
		}
	}
}

// oneEvent finds an event by its id.
func (r *runner) oneEvent(ctx context.Context, eventID string) ([]Redelivered, []journal.Judged, error) {
	seq, err := r.e.opt.Journal.SeqOf(ctx, eventID)
	if err != nil {
		return nil, nil, err
	}
	recs, _, err := r.e.opt.Journal.Kept(ctx, []int64{seq})
	if err != nil {
		return nil, nil, err
	}
	if len(recs) == 0 {
		return nil, nil, fmt.Errorf("%w: the body of event %s is no longer kept", ErrRedelivery, eventID)
	}
	if seq > r.judgedUpTo() {
		return nil, nil, fmt.Errorf("%w: event %s has not been delivered yet; it waits for its turn", ErrRedelivery, eventID)
	}
	one, row := redelivered(&recs[0])
	list := []Redelivered{one}
	rows, err := r.skip(ctx, list, []journal.Judged{row})
	return list, rows, err
}

// between lists the destination's events of a span of time.
func (r *runner) between(ctx context.Context, what *Redelivery) (list []Redelivered, rows []journal.Judged, err error) {
	q := event.Query{Since: what.From, Until: what.To, OldestFirst: true, Limit: redeliverPage}
	if what.Event != "" {
		q.Events = []string{what.Event}
	}
	dest, upTo := r.destination(), r.judgedUpTo()
	for {
		recs, next, err := r.e.opt.Journal.Query(ctx, q)
		if err != nil {
			return nil, nil, err
		}
		for i := range recs {
			if recs[i].Seq > upTo {
				continue
			}
			if match, known := r.matches(dest, &recs[i]); !match || !known {
				continue
			}
			if most := r.e.opt.most; len(list) == most {
				return nil, nil, fmt.Errorf("%w: more than %d events at once; narrow the time", ErrRedelivery, most)
			}
			one, row := redelivered(&recs[i])
			list, rows = append(list, one), append(rows, row)
		}
		if next == 0 {
			rows, err = r.skip(ctx, list, rows)
			return list, rows, err
		}
		q.After = next
	}
}

func redelivered(rec *event.Record) (Redelivered, journal.Judged) {
	id, _ := ulid.ParseStrict(rec.ID) // the journal made the id, so it is valid
	return Redelivered{Seq: rec.Seq, EventID: rec.ID, Event: rec.Event},
		journal.Judged{Seq: rec.Seq, ID: id, Event: rec.Event, Key: rec.OrderingKey()}
}

func (r *runner) judgedUpTo() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cursor
}

// Discarding says which dead letters a person wants to discard.
type Discarding struct {
	Destination string
	EventID     string // this event; "": all
	Event       string // pattern of the event's name; "": all
}

// Discard discards dead letters and returns how many.
func (e *Engine) Discard(ctx context.Context, what Discarding) (int, error) {
	r, err := e.find(what.Destination)
	if err != nil {
		return 0, err
	}
	n := 0
	for after := int64(0); ; {
		page, err := e.opt.Journal.DeadLetters(ctx, r.name, after, journal.MaxOutcomes)
		if err != nil || len(page) == 0 {
			return n, err
		}
		var seqs []int64
		for i := range page {
			d := &page[i]
			after = d.Seq
			if (what.EventID == "" || d.EventID == what.EventID) && (what.Event == "" || event.Wildcard(what.Event, d.Event)) {
				seqs = append(seqs, d.Seq)
			}
		}
		if len(seqs) == 0 {
			continue
		}
		ended, err := e.opt.Journal.Discard(ctx, r.name, seqs)
		n += ended
		if err != nil {
			return n, err
		}
	}
}
