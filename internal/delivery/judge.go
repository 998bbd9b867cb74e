package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

const (
	// judgeBatch is the largest number of events judged together.
	judgeBatch = 256
	// judgeFor is about how long one batch may take; then the events found so far are
	// delivered before more are judged.
	judgeFor = 250 * time.Millisecond
	// heldMost and heldBytes bound the events kept in memory until their first attempt:
	// enough for a destination that accepts all. The others are read again.
	heldMost  = 2 * lowWater
	heldBytes = 2 << 20
)

// judge evaluates the filters for new events, and moves the cursor, until ctx ends.
func (r *runner) judge(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.judgeNext(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.Error().Err(err).Msg("events could not be judged; will try again")
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
}

// judgeNext judges some events, or waits until it can.
func (r *runner) judgeNext(ctx context.Context) error {
	r.mu.Lock()
	most := 0
	if r.hasRoom() {
		most = min(judgeBatch, r.e.opt.ahead-len(r.w.items))
	}
	r.full = most == 0
	from, dest := r.cursor, r.dest
	r.mu.Unlock()
	if most == 0 {
		select {
		case <-r.room:
		case <-ctx.Done():
		}
		return nil
	}
	recs, err := r.e.opt.Journal.Read(ctx, from, most)
	if err != nil {
		return err
	}
	if len(recs) == 0 {
		return r.e.opt.Journal.Wait(ctx, from)
	}
	rows, n := r.evaluate(dest, recs)
	return r.judged(ctx, from, recs[:n], rows)
}

// evaluate finds the events for the destination among the first n of recs. n is less
// than all only if judging takes longer than judgeFor.
func (r *runner) evaluate(dest *Destination, recs []event.Record) (rows []journal.Judged, n int) {
	start := time.Now()
	for n = 0; n < len(recs); n++ {
		if n > 0 && time.Since(start) > judgeFor {
			break
		}
		rec := &recs[n]
		match, known := r.matches(dest, rec)
		if !match {
			continue
		}
		id, err := ulid.ParseStrict(rec.ID)
		if err != nil {
			continue // not an event of the journal
		}
		row := journal.Judged{Seq: rec.Seq, ID: id, Event: rec.Event, Key: rec.OrderingKey()}
		if !known {
			row.State, row.Due = journal.Undecided, time.Now().Add(lookUpFor)
			r.e.accounts.want(accountOf(rec))
		}
		rows = append(rows, row)
	}
	return rows, n
}

// matches evaluates all filters. known is false if only the account's place in the tree
// is unknown.
func (r *runner) matches(dest *Destination, rec *event.Record) (match, known bool) {
	if len(dest.Accounts) > 0 {
		r.e.accounts.saw(rec)
	}
	if !dest.selects(rec.Event) {
		return false, true
	}
	if match, known = r.e.accounts.within(accountOf(rec), dest.Accounts); known && !match {
		return false, true
	}
	e := event.Event{Record: *rec}
	if dest.Where != "" {
		e = event.Decode(*rec)
		e.Journal = r.e.opt.Journal.Name()
	}
	match, err := dest.Matches(&e)
	if err != nil {
		r.m.filterErrors.Inc()
		r.log.Warn().Err(err).Int64("seq", rec.Seq).Str("event_name", rec.Event).Msg("a filter failed: the event counts as a match")
	}
	return match, known
}

// judged makes the events found ready for attempts. The recorder makes them durable: an
// event that is delivered at once needs no row in the journal.
func (r *runner) judged(ctx context.Context, from int64, recs []event.Record, rows []journal.Judged) error {
	if err := r.moving.Lock(ctx); err != nil {
		return err
	}
	defer r.moving.Unlock()
	r.mu.Lock()
	moved := r.cursor != from // by giveUp
	r.mu.Unlock()
	if moved {
		return nil
	}
	to := recs[len(recs)-1].Seq
	waiting := !slices.ContainsFunc(rows, func(row journal.Judged) bool { return row.State != journal.Waiting })
	byNumber := func(seq int64) *event.Record { return &recs[seq-recs[0].Seq] }
	if recs[len(recs)-1].Seq-recs[0].Seq != int64(len(recs)-1) { // some numbers are missing
		index := make(map[int64]*event.Record, len(recs))
		for i := range recs {
			index[recs[i].Seq] = &recs[i]
		}
		byNumber = func(seq int64) *event.Record { return index[seq] }
	}
	r.mu.Lock()
	rowless := waiting && !r.partly
	if !rowless {
		r.mu.Unlock()
		if err := r.moveTo(ctx, to, rows); err != nil {
			return err
		}
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	r.cursor, r.handed = to, to
	if r.partly {
		return nil // load reads them later
	}
	now := time.Now()
	for i := range rows {
		row := &rows[i]
		rec := byNumber(row.Seq)
		it := &item{seq: row.Seq, key: row.Key, due: now}
		if rowless {
			it.row, it.judged = row, now
			r.rowless = append(r.rowless, it)
		}
		if row.State == journal.Undecided {
			it.phase, it.until, it.account, it.read = undecided, now.Add(lookUpFor), accountOf(rec), true
			signal(r.resolve)
		}
		if r.w.held < heldMost && r.w.heldBytes+len(rec.Body) <= heldBytes {
			kept := *rec
			it.rec = &kept
		}
		r.w.add(it)
	}
	signal(r.wake)
	signal(r.save)
	return nil
}
