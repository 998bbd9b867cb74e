package registration

import (
	"context"
	"fmt"
	"iter"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// scanBatch is how many objects go into the snapshot in one transaction.
const scanBatch = 500

// scan reads one listing into the snapshot, and reports what is new in it. For
// accounts the account is "": they are one set, whatever holds them.
func (p *pass) scan(ctx context.Context, typ, account string, listing iter.Seq2[crossbar.Object, error]) error {
	key := baselineKey + typ + "." + account
	done, err := p.store.State(ctx, key)
	if err != nil {
		return err
	}
	baseline := done == "" && !p.adopted[account]
	p.report.Baseline = p.report.Baseline || baseline
	batch := make([]event.SnapshotObject, 0, scanBatch)
	for o, err := range listing {
		if err != nil {
			return fmt.Errorf("list the %s of account %s: %w", kindOf(typ), account, err)
		}
		p.report.Listed++
		batch = append(batch, snapshot(o, typ, account, p.number, p.started.UTC()))
		if len(batch) == scanBatch {
			if err := p.take(ctx, batch, baseline); err != nil {
				return err
			}
			p.progress(typ, account, "listing")
			batch = batch[:0]
		}
	}
	if err := p.take(ctx, batch, baseline); err != nil {
		return err
	}
	p.progress(typ, account, "listing")
	if p.req.DryRun || !baseline {
		return nil
	}
	return p.store.SetState(ctx, key, p.started.UTC().Format(time.RFC3339))
}

// take brings listed objects into the snapshot.
func (p *pass) take(ctx context.Context, batch []event.SnapshotObject, baseline bool) error {
	keep := batch[:0]
	for _, s := range batch {
		ok, err := p.listed(ctx, s, baseline)
		if err != nil {
			return err
		}
		if ok {
			keep = append(keep, s)
		}
	}
	if p.req.DryRun || len(keep) == 0 {
		return nil
	}
	return p.store.UpsertObjects(ctx, keep)
}

// listed compares one listed object with the snapshot. keep says that it is
// still to be written there.
func (p *pass) listed(ctx context.Context, s event.SnapshotObject, baseline bool) (keep bool, err error) {
	if p.req.DryRun {
		p.seen[objectKey{s.Type, s.ID}] = struct{}{}
	}
	old, known, err := p.store.Object(ctx, s.Type, s.ID)
	if err != nil {
		return false, err
	}
	switch {
	case known && old.GoneAt.IsZero(), !known && baseline:
		return true, nil
	case known:
		return p.undeleted(ctx, s, old)
	}
	if s.Type == accountType && p.req.DryRun {
		p.adopted[s.ID] = true
	} else if s.Type == accountType {
		// Before the account itself, so that it stays so if this pass is cut short.
		if err := adopt(ctx, p.store, s.ID, p.started); err != nil {
			return false, err
		}
	}
	if p.watches(s.Type, event.Created) {
		return false, p.created(ctx, s)
	}
	return true, nil
}

// undeleted decides about a listed object that the snapshot knows as deleted.
// Kazoo has no event for bringing one back.
func (p *pass) undeleted(ctx context.Context, s, old event.SnapshotObject) (keep bool, err error) {
	now := p.opts.Now()
	// The listing may be older than the deletion.
	if old.GoneAt.After(p.started.Add(-reorder)) && old.GoneAt.Before(now.Add(reorder)) {
		return false, nil
	}
	if p.watches(s.Type, event.Created) {
		return false, p.created(ctx, s)
	}
	if p.req.DryRun {
		return false, nil
	}
	return true, p.store.Revive(ctx, s.Type, s.ID, p.started)
}

// created reports a new object. It is asked for by itself first: its deletion
// may have been told since the listing was made.
func (p *pass) created(ctx context.Context, s event.SnapshotObject) error {
	_, err := p.api.Object(ctx, s.AccountID, kindOf(s.Type), s.ID)
	if crossbar.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return p.trouble(ctx, fmt.Errorf("ask for the new %s %s: %w", s.Type, s.ID, err))
	}
	p.progress(s.Type, s.AccountID, "asking for each new object")
	if p.req.DryRun {
		p.report.Created = append(p.report.Created, s)
		return nil
	}
	got, err := appendObserved(ctx, p.store, s, event.Created, p.opts.Now())
	if err != nil || got.Duplicate {
		return err
	}
	p.report.Created = append(p.report.Created, s)
	p.count(func(st *ResyncStats) { st.Created++ })
	p.tell(s, got.Seq, "an object that Kazoo did not tell us of was found: created")
	return nil
}

func (p *pass) tell(o event.SnapshotObject, seq int64, msg string) {
	p.opts.Log.Warn().Str("object_type", o.Type).Str("object_id", o.ID).Str("object_name", o.Name).Int64("resync_seq", seq).Msg(msg)
}
