package registration

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// pass is one run of a Resyncer. It lists everything, then finds what is
// missing, then decides, then reports: the deletions are reported together or,
// if they are too many, not at all. Every step can be repeated, so a pass that
// is cut short anywhere loses and doubles nothing.
type pass struct {
	*Resyncer
	root    string // the account that is logged in to
	req     Request
	started time.Time
	told    time.Time // of the last line of progress
	number  int64     // marks what the listings of this pass showed

	report   Report
	expected int // objects that the snapshot holds
	findings []finding
	troubles []error                // with single objects
	gone     []event.SnapshotObject // descendant accounts that were deleted

	// DryRun: in place of what is written otherwise.
	seen    map[objectKey]struct{} // what the listings showed
	adopted map[string]bool        // new accounts
}

type objectKey struct{ typ, id string }

func (p *pass) run(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return fmt.Errorf("resync: %w", err)
	}
	// What fails in one type says nothing of another, unless nobody answers.
	var errs []error
	stop := false
	note := func(err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("resync: %w", err))
			stop = stop || ctx.Err() != nil || unanswered(err)
		}
	}
	accounts := []string{p.root}
	if p.opts.IncludeSubaccounts {
		descendants, err := p.accounts(ctx)
		accounts = append(accounts, descendants...)
		note(err)
	}
	for _, typ := range p.watched() {
		if typ != accountType && !stop {
			note(p.objects(ctx, typ, accounts))
		}
	}
	if ctx.Err() == nil {
		note(p.conclude(ctx))
	}
	for _, err := range p.troubles {
		note(err)
	}
	return errors.Join(errs...)
}

// trouble notes that one object could not be asked for: nothing is concluded
// about it, and the pass goes on to others unless nobody answers.
func (p *pass) trouble(ctx context.Context, err error) error {
	const told = 5
	if ctx.Err() != nil || unanswered(err) {
		return err
	}
	if len(p.troubles) < told {
		p.troubles = append(p.troubles, err)
	}
	return nil
}

func unanswered(err error) bool {
	var e *crossbar.Error
	return errors.As(err, &e) && e.Status == 0
}

// begin checks whose the snapshot is and numbers the pass.
func (p *pass) begin(ctx context.Context) error {
	owner, err := p.store.State(ctx, ownerKey)
	if err != nil {
		return err
	}
	if owner != "" && owner != p.root {
		return fmt.Errorf("%w: it is of %s, the login is to %s; use another DATA_DIR for another account", ErrOtherAccount, owner, p.root)
	}
	for _, typ := range p.watched() {
		n, err := p.store.CountObjects(ctx, typ, "")
		if err != nil {
			return err
		}
		p.expected += n
	}
	if p.req.DryRun {
		p.seen, p.adopted = map[objectKey]struct{}{}, map[string]bool{}
		return nil
	}
	if owner == "" {
		if err := p.store.SetState(ctx, ownerKey, p.root); err != nil {
			return err
		}
	}
	if p.number, err = passNumber(ctx, p.store); err != nil {
		return err
	}
	p.number++
	return p.store.SetState(ctx, passKey, strconv.FormatInt(p.number, 10))
}

// accounts lists the descendants and finds which are gone.
func (p *pass) accounts(ctx context.Context) ([]string, error) {
	var ids []string
	err := p.scan(ctx, accountType, "", func(yield func(crossbar.Object, error) bool) {
		for a, err := range p.api.Descendants(ctx, p.root) {
			if err == nil {
				ids = append(ids, a.ID)
			}
			if !yield(crossbar.Object{ID: a.ID, Fields: map[string]string{"name": a.Name, "realm": a.Realm}}, err) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	gone, err := p.find(ctx, accountType, []string{""})
	p.gone = gone
	return ids, err
}

// objects lists one type in all accounts and finds what is gone in those whose
// listing was complete.
func (p *pass) objects(ctx context.Context, typ string, accounts []string) error {
	var complete []string
	var failed error
	for _, account := range accounts {
		err := p.scan(ctx, typ, account, p.api.Objects(ctx, account, kindOf(typ)))
		if account != p.root && crossbar.IsNotFound(err) {
			continue // deleted since the accounts were listed: for the next pass
		}
		if err != nil {
			failed = err
			break
		}
		complete = append(complete, account)
	}
	if ctx.Err() != nil {
		return failed
	}
	_, err := p.find(ctx, typ, complete)
	return errors.Join(failed, err)
}

// progress tells how far the pass is: to who asked, or else to the log now and
// then.
func (p *pass) progress(typ, account, doing string) {
	const every = 10 * time.Second
	if p.req.Progress != nil {
		p.req.Progress(Progress{Account: account, Type: typ, Listed: p.report.Listed, Expected: p.expected})
		return
	}
	if now := p.opts.Now(); now.Sub(p.told) >= every {
		p.told = now
		p.opts.Log.Info().Str("object_type", typ).Str("of_account", account).Int("listed", p.report.Listed).Int("expected", p.expected).
			Msg("resync is " + doing)
	}
}
