package registration

import (
	"context"
	"fmt"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// loss is an object that a look-up didn't find, as of a command.
type loss struct {
	snapshot.Object
	asOf int64
}

// confirm looks up each missing object. With now, it reports each deletion at once.
// It stops when the number of deletions requires confirmation; the rest then counts
// as deleted.
func (p *pass) confirm(ctx context.Context, f *finding, now bool) error {
	room, alive, lost := p.room(f.typ), 0, p.weigh(f.lost)
	for i := range f.missing {
		o := &f.missing[i]
		if p.silent {
			return nil
		}
		if lost > room {
			f.lost = append(f.lost, loss{*o, 0})
			continue
		}
		asOf := p.store.Applied() // later commands take precedence over what is read now
		if still, err := p.stillMissing(ctx, o); err != nil {
			return err
		} else if !still {
			continue // an event came in between
		}
		found, ok := p.look(ctx, o)
		switch {
		case !ok:
		case found != nil:
			p.count(func(s *ResyncStats) { s.Unconfirmed++ })
			if o.Touched <= f.asOf { // else it may be newer than the listing
				alive++
			}
			if alive > maxUnconfirmed {
				p.distrust(ctx, f, o.AccountID)
				return nil
			}
			if p.req.DryRun {
				break
			}
			if _, err := p.store.Looked(ctx, answer(o, found, asOf)); err != nil {
				return err
			}
		case now:
			p.guard(f.typ, p.weight(o))
			if err := p.deleted(ctx, loss{*o, asOf}); err != nil {
				return err
			}
		default:
			f.lost = append(f.lost, loss{*o, asOf})
			lost += p.weight(o)
		}
		p.progress(f.typ, o.AccountID, "looking up each missing object")
	}
	return nil
}

// distrust discards a listing that lacks many existing objects.
func (p *pass) distrust(ctx context.Context, f *finding, account string) {
	if f.typ == accountType {
		account = p.root
	}
	f.lost = nil
	p.fail(ctx, failure{account: account, typ: f.typ},
		fmt.Errorf("the listing of the %s of account %s lacks more than %d objects that exist: nothing is concluded from it",
			snapshot.Kind(f.typ), account, maxUnconfirmed))
}

// stillMissing reports whether an object is still alive in the snapshot.
func (p *pass) stillMissing(ctx context.Context, o *snapshot.Object) (bool, error) {
	now, _, err := p.store.Object(ctx, o.Type, o.AccountID, o.ID)
	return now.State == snapshot.Alive, err
}

// deleted reports a deletion if deletions of its type are watched.
func (p *pass) deleted(ctx context.Context, l loss) error {
	watched := p.watches(l.Type, event.Deleted)
	if p.req.DryRun || p.report.Held {
		if watched {
			p.report.Deleted = append(p.report.Deleted, l.Object)
		}
		return nil
	}
	return p.lose(ctx, l, watched, func(seq int64) {
		p.report.Deleted = append(p.report.Deleted, l.Object)
	})
}

// lose writes a deletion to the snapshot, and to the journal if it is watched.
func (r *Resyncer) lose(ctx context.Context, l loss, watched bool, reported func(seq int64)) error {
	got, err := r.store.Missing(ctx, snapshot.Missing{Type: l.Type, Account: l.AccountID, ID: l.ID, AsOf: l.asOf, Report: watched})
	if err != nil {
		return fmt.Errorf("keep the deletion of %s %s: %w", l.Type, l.ID, err)
	}
	if got.Duplicate || got.Seq == 0 {
		return nil
	}
	reported(got.Seq)
	r.count(func(s *ResyncStats) { s.Deleted++ })
	r.opts.Log.Warn().Str("object_type", l.Type).Str("object_id", l.ID).Str("object_name", l.Name).Int64("resync_seq", got.Seq).
		Msg("resync found a deletion that no webhook reported")
	return nil
}

// doubts looks up the objects that a listing shows although their deletion is
// known. A view may lag behind, or the object was restored, which Kazoo reports
// only as an edit.
func (p *pass) doubts(ctx context.Context) error {
	for i := range p.doubtful {
		if p.silent {
			return nil
		}
		d, asOf := &p.doubtful[i], p.store.Applied()
		now, _, err := p.store.Object(ctx, d.Type, d.AccountID, d.ID)
		if err != nil {
			return err
		}
		o := &now // an event may have come since the listing
		if o.State != snapshot.Deleted {
			continue
		}
		found, ok := p.look(ctx, o)
		if !ok {
			continue
		}
		report := p.reportsReturn(o)
		if p.req.DryRun {
			if found != nil && report {
				p.report.Created = append(p.report.Created, *o)
			}
			continue
		}
		l := answer(o, found, asOf)
		l.Report = report
		got, err := p.store.Looked(ctx, l)
		if err != nil {
			return err
		}
		p.created(got)
	}
	return nil
}
