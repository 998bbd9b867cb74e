package journal

import (
	"context"
	"errors"
	"fmt"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// damaged wraps a failure to open and says what to do about it.
func (j *Journal) damaged(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrInUse), errors.Is(err, ErrNewer), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case database.IsDamage(err):
		return fmt.Errorf("%w: %s: %w. Nothing was changed. Stop the service and copy what can be read with kazoohook salvage, or put back a backup; "+
			"without either, move %[2]s and %[2]s-wal away: then a new journal is begun, and Kazoo's record of failed attempts and a resync bring back what can be had",
			ErrCorrupt, j.path, err)
	case database.Passes(err):
		err = j.unavailable(err)
	}
	return fmt.Errorf("open journal %s: %w", j.path, err)
}

// lacks reports whether absent events between two numbers, both included, should be
// there.
func (j *Journal) lacks(first, last int64) bool {
	oldest, _ := j.tail.Bounds()
	return first >= oldest && j.damage.NeverGiven(first-1) < last
}

// walk reads event by event and skips those that can't be read.
func (j *Journal) walk(ctx context.Context, c *conn, after, last int64, limit int) (recs []event.Record, err error) {
	for seq := after + 1; seq <= last && len(recs) < limit; seq++ {
		if end, ok := j.damage.Missing(seq); ok {
			seq = end
			continue
		}
		r, ok, err := tables.Read(ctx, c, j.damage, "events", seq)
		switch {
		case database.IsDamage(err), err == nil && !ok && j.lacks(seq, seq):
			j.damage.Unreadable(seq, err)
		case err != nil:
			return recs, err
		case ok:
			recs = append(recs, r.Record)
		}
	}
	return recs, nil
}

// damaged handles a command that can't be applied because of damage. Of what Kazoo says
// about objects only those are left out that can't be stored: otherwise one damaged page
// would end all comparisons and look-ups.
func (w *writer) damaged(k *work, err error) error {
	switch cmd := k.cmd.(type) {
	case *request:
		if !k.held {
			w.j.damage.Refused(err)
		}
		return err
	case *looked:
		k.result, k.err = result{}, nil
		w.unwritable(cmd.Look.Type, cmd.Look.Account, cmd.Look.ID, err)
	case *missing:
		k.result, k.err = result{appended: event.Appended{Duplicate: true}}, nil // it isn't reported
		w.unwritable(cmd.Missing.Type, cmd.Missing.Account, cmd.Missing.ID, err)
	case *listed:
		k.result, k.err = result{}, nil
		objects, part := cmd.Page.Objects, cmd.Page
		if len(objects) == 1 {
			w.unwritable(part.Type, part.Account, objects[0].ID, err)
			return nil
		}
		for i := range objects { // each alone
			part.Objects = objects[i : i+1]
			alone := &work{cmd: &listed{Page: part}}
			if w.transact([]*work{alone}); alone.err != nil {
				return alone.err
			}
			k.listing.Created = append(k.listing.Created, alone.listing.Created...)
			k.listing.Doubtful = append(k.listing.Doubtful, alone.listing.Doubtful...)
		}
	default:
		w.j.damage.LeftOut(fmt.Sprintf("%T", cmd), err)
		return err
	}
	return nil
}

func (w *writer) unwritable(typ, account, id string, err error) {
	w.j.damage.Unwritable(snapshot.Key(typ, account, id), typ+" "+id, err)
}

// readPage reads a page of 500 events for integrity's Patrol and Check.
func (j *Journal) readPage(ctx context.Context, after int64) (int64, error) {
	recs, err := j.readDisk(ctx, after, 500)
	if err != nil || len(recs) == 0 {
		return 0, err
	}
	return recs[len(recs)-1].Seq, nil
}

// Check looks at everything in the database and returns what is wrong with it.
func (j *Journal) Check(ctx context.Context) (findings []string, err error) {
	return j.damage.Check(ctx, j.pool, j.readPage)
}

// Damage returns what is known to be wrong; the zero value means nothing is.
func (j *Journal) Damage() integrity.Damage { return j.damage.Damage() }

// Trouble is nil, or what is wrong although the journal takes events: damage, or
// commands that the rules could not handle.
func (j *Journal) Trouble() error {
	if err := j.Damage().Err(); err != nil {
		return err
	}
	broken := int64(0)
	if j.count(func(s *Stats) { broken = s.Broken }); broken > 0 {
		return fmt.Errorf("%d commands could not be applied since the start, a fault of this program: requests are kept as unknown events; the log says more", broken)
	}
	return nil
}
