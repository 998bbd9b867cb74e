package registration

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

const (
	// A listing that misses more living objects than this is not to be trusted.
	maxUnconfirmed = 20
	minDeletions   = 20 // of the default limit, so that small accounts aren't held up
)

// finding is what is gone of one type.
type finding struct {
	typ   string
	gone  []event.SnapshotObject
	known int // living ones in the snapshot
	limit int // how many may vanish at once
}

// find looks for what the snapshot holds and complete listings of all the
// accounts don't, and returns what is gone.
//
// Missing from a listing is not proof: each object must be gone by its own 404,
// or with its whole account. The asking stops where a person must decide.
func (p *pass) find(ctx context.Context, typ string, accounts []string) ([]event.SnapshotObject, error) {
	missing, err := p.missing(ctx, typ, accounts)
	if err != nil {
		return nil, err
	}
	var held []event.SnapshotObject // by deleted accounts
	if typ != accountType {
		for _, a := range p.gone {
			if held, err = collect(held, p.store.Objects(ctx, typ, a.ID)); err != nil {
				return nil, err
			}
		}
	}
	if len(missing)+len(held) == 0 {
		return nil, nil
	}
	f := finding{typ: typ, limit: p.opts.MaxDeletions}
	if f.known, err = p.store.CountObjects(ctx, typ, ""); err != nil {
		return nil, err
	}
	if f.limit <= 0 {
		f.limit = max(minDeletions, f.known/10)
	}
	ask := f.limit
	if p.req.Confirm || !p.watches(typ, event.Deleted) {
		ask = len(missing) // no person is asked
	}
	if f.gone, err = p.confirm(ctx, typ, missing, ask); err != nil {
		return nil, err
	}
	f.gone = append(f.gone, held...)
	if len(f.gone) > 0 {
		p.findings = append(p.findings, f)
	}
	return f.gone, nil
}

// missing collects the living objects of the accounts that no listing of this
// pass showed, and the orphans.
func (p *pass) missing(ctx context.Context, typ string, accounts []string) (missing []event.SnapshotObject, err error) {
	for _, account := range accounts {
		unseen := p.store.ObjectsNotSeen(ctx, typ, account, p.number)
		if p.req.DryRun { // nothing was marked
			unseen = p.store.Objects(ctx, typ, account)
		}
		if missing, err = collect(missing, func(yield func(event.SnapshotObject, error) bool) {
			for o, err := range unseen {
				if _, ok := p.seen[objectKey{typ, o.ID}]; !ok && !yield(o, err) {
					return
				}
			}
		}); err != nil {
			return nil, err
		}
	}
	if typ == accountType {
		return missing, nil
	}
	return collect(missing, p.orphans(ctx, typ, accounts))
}

// orphans are the living objects of accounts that are noted as gone: whatever
// came between the end of an account and that of what it held (a listing that
// could not be trusted, an object that was noted late) must not let them be
// forgotten. Those of the accounts that were listed are not among them.
func (p *pass) orphans(ctx context.Context, typ string, listed []string) iter.Seq2[event.SnapshotObject, error] {
	unseen := p.store.ObjectsNotSeen(ctx, typ, "", p.number)
	if p.req.DryRun { // nothing was marked
		unseen = p.store.Objects(ctx, typ, "")
	}
	return func(yield func(event.SnapshotObject, error) bool) {
		gone := map[string]bool{}
		for o, err := range unseen {
			if slices.Contains(listed, o.AccountID) {
				continue
			}
			is, known := gone[o.AccountID]
			if !known && err == nil {
				var a event.SnapshotObject
				a, known, err = p.store.Object(ctx, accountType, o.AccountID)
				is = known && !a.GoneAt.IsZero()
				gone[o.AccountID] = is
			}
			if (is || err != nil) && !yield(o, err) {
				return
			}
		}
	}
}

func collect(list []event.SnapshotObject, objects iter.Seq2[event.SnapshotObject, error]) ([]event.SnapshotObject, error) {
	for o, err := range objects {
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// confirm asks for each missing object by itself and returns those that are
// gone. It stops asking once there are more than limit: what is left counts as
// gone, but a person decides.
func (p *pass) confirm(ctx context.Context, typ string, missing []event.SnapshotObject, limit int) ([]event.SnapshotObject, error) {
	var gone []event.SnapshotObject
	alive := 0
	for i, o := range missing {
		if len(gone) > limit {
			return append(gone, missing[i:]...), nil
		}
		got, err := p.api.Object(ctx, o.AccountID, kindOf(typ), o.ID)
		switch {
		case crossbar.IsNotFound(err):
			gone = append(gone, o)
		case err != nil:
			if err := p.trouble(ctx, fmt.Errorf("ask for %s %s: %w", typ, o.ID, err)); err != nil {
				return nil, err
			}
		default:
			if alive++; alive > maxUnconfirmed {
				return nil, fmt.Errorf("the listing of %s left out %d objects that exist: it is not to be trusted, nothing is concluded from it", kindOf(typ), alive)
			}
			if err := p.stillThere(ctx, o, got); err != nil {
				return nil, err
			}
		}
		p.progress(typ, o.AccountID, "asking for each missing object")
	}
	return gone, nil
}

func (p *pass) stillThere(ctx context.Context, o event.SnapshotObject, got crossbar.Object) error {
	p.count(func(s *ResyncStats) { s.Unconfirmed++ })
	if p.req.DryRun {
		return nil
	}
	return p.store.UpsertObjects(ctx, []event.SnapshotObject{snapshot(got, o.Type, o.AccountID, p.number, p.opts.Now().UTC())})
}

// conclude reports what is gone. More at once than the limit is no matter for a
// program to decide: then nothing is reported until a person confirms.
func (p *pass) conclude(ctx context.Context) error {
	for _, f := range p.findings {
		p.report.Limit = max(p.report.Limit, f.limit)
		if len(f.gone) <= f.limit || p.req.Confirm || !p.watches(f.typ, event.Deleted) {
			continue
		}
		p.report.Held, p.report.Limit = true, f.limit
		p.opts.Log.Error().Str("object_type", f.typ).Int("missing", len(f.gone)).Int("known", f.known).Int("limit", f.limit).
			Msg("more objects are gone from Kazoo than may vanish at once; no deletion is reported before a person looks: kazoohook resync --dry-run, then kazoohook resync --confirm")
		break
	}
	// Accounts last: a pass that is cut short must still find what they held.
	var accounts []event.SnapshotObject
	for _, f := range p.findings {
		if f.typ == accountType {
			accounts = f.gone
		} else if err := p.end(ctx, f.gone); err != nil {
			return err
		}
	}
	return p.end(ctx, accounts)
}

// end reports the deletion of objects that are gone, as far as that is watched.
func (p *pass) end(ctx context.Context, gone []event.SnapshotObject) error {
	for _, o := range gone {
		watched := p.watches(o.Type, event.Deleted)
		switch {
		case watched && (p.req.DryRun || p.report.Held):
			p.report.Deleted = append(p.report.Deleted, o)
		case watched:
			if err := p.deleted(ctx, o, p.opts.Now()); err != nil {
				return err
			}
		case !p.req.DryRun && !p.report.Held:
			if err := p.store.MarkGone(ctx, o.Type, o.ID, p.opts.Now().UTC()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pass) deleted(ctx context.Context, o event.SnapshotObject, now time.Time) error {
	got, err := appendDeleted(ctx, p.store, o, now)
	if err != nil || got.Duplicate {
		return err
	}
	p.report.Deleted = append(p.report.Deleted, o)
	p.count(func(s *ResyncStats) { s.Deleted++ })
	p.tell(o, got.Seq, "an object that Kazoo did not tell us of was found: deleted")
	return nil
}
