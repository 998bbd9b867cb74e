package delivery

import (
	"context"
	"slices"

	"kazoohook/internal/journal"
)

// wrote updates memory after the journal's cursor moved; mu is held.
func (r *runner) wrote(to int64) {
	r.written = to
	n := 0
	for n < len(r.rowless) && r.rowless[n].seq <= to {
		r.rowless[n].row = nil
		r.rowless[n] = nil
		n++
	}
	r.rowless = r.rowless[n:]
}

// flush moves the journal's cursor to the last judged event, with a row for each event
// that has none; moving is held.
func (r *runner) flush(ctx context.Context) error {
	r.mu.Lock()
	to := r.cursor
	r.mu.Unlock()
	return r.moveTo(ctx, to, nil)
}

// moveTo moves the journal's cursor. It writes a row for each event that has none, and
// the rows in more, whose events the window doesn't have; moving is held. The caller
// sets handed once these events are in the window, or load must read them.
func (r *runner) moveTo(ctx context.Context, to int64, more []journal.Judged) error {
	if err := r.pausing.Lock(ctx); err != nil {
		return err
	}
	defer r.pausing.Unlock()
	r.mu.Lock()
	from := r.written
	rows := make([]journal.Judged, 0, len(r.rowless)+len(more))
	for _, it := range r.rowless {
		rows = append(rows, *it.row)
	}
	r.mu.Unlock()
	if from == to {
		return nil
	}
	err := r.e.opt.Journal.Judge(ctx, r.name, from, to, append(rows, more...))
	at := to
	if err != nil {
		var ok bool
		if at, ok = r.place(ctx); !ok || at <= from {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrote(at)
	if at == to {
		err = nil
	} else if at > r.cursor {
		r.loaded, r.partly = false, true // the journal has rows that the window doesn't have
		r.handed = at
	}
	r.cursor = max(r.cursor, at)
	return err
}

// stored returns what the journal has of the destination.
func (r *runner) stored(ctx context.Context) (d journal.DestinationState, ok bool) {
	list, err := r.e.opt.Journal.Destinations(ctx)
	if err != nil {
		return d, false
	}
	i := slices.IndexFunc(list, func(d journal.DestinationState) bool { return d.Name == r.name })
	if i < 0 {
		return d, false
	}
	return list[i], true
}

// place returns the destination's cursor in the journal.
func (r *runner) place(ctx context.Context) (at int64, ok bool) {
	d, ok := r.stored(ctx)
	return d.Cursor, ok
}

// keepRows writes what was judged and not delivered. Otherwise these events would be
// judged again after the next start.
func (r *runner) keepRows(ctx context.Context) {
	err := r.moving.Lock(ctx)
	if err == nil {
		err = r.flush(ctx)
		r.moving.Unlock()
	}
	if err != nil {
		r.log.Warn().Err(err).Msg("how far events were judged could not be recorded: the last are judged again")
	}
}
