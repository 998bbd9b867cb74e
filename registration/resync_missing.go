package registration

import (
	"context"
	"iter"

	"kazoohook/internal/snapshot"
)

const (
	// A listing that lacks more living objects than this is discarded.
	maxUnconfirmed = 20
	minDeletions   = 20 // the least default limit, so that small accounts aren't held back
)

// finding holds the missing objects of one type: missing from one complete listing,
// or in deleted accounts.
type finding struct {
	typ     string
	asOf    int64             // number of the last command applied when the listing began
	missing []snapshot.Object // each needs a 404 of its own
	lost    []loss
}

// conclude looks up each object that a complete listing lacks, and reports the
// deleted ones. asOf is the number of the last command applied when the listing began.
func (p *pass) conclude(ctx context.Context, at part, asOf int64) error {
	f := &finding{typ: at.typ, asOf: asOf}
	var err error
	if f.missing, err = p.missing(ctx, at, asOf); err != nil {
		return err
	}
	return p.settle(ctx, f)
}

// settle confirms and reports a finding.
func (p *pass) settle(ctx context.Context, f *finding) error {
	switch {
	case p.wasHeld:
		p.later = append(p.later, f)
		return nil
	case f.typ == accountType:
		return p.concludeAccounts(ctx, f)
	}
	// While there can't be too many, each is reported as soon as Kazoo has
	// answered.
	most := p.weigh(f.lost)
	for i := range f.missing {
		most += p.weight(&f.missing[i])
	}
	now := !p.req.DryRun && most <= p.room(f.typ)
	if err := p.confirm(ctx, f, now); err != nil {
		return err
	}
	p.guard(f.typ, p.weigh(f.lost))
	return p.reportAll(ctx, f.lost)
}

// concludeAccounts reports deleted accounts, each after its objects: an interrupted
// pass must still find those.
func (p *pass) concludeAccounts(ctx context.Context, f *finding) error {
	if err := p.confirm(ctx, f, false); err != nil {
		return err
	}
	p.guard(accountType, p.weigh(f.lost))
	held := make([][]loss, len(f.lost))
	number := map[string]int{}
	for i, a := range f.lost {
		for _, typ := range p.watched() {
			if typ == accountType {
				continue
			}
			for o, err := range p.store.Objects(ctx, typ, a.ID) {
				if err != nil {
					return err
				}
				held[i] = append(held[i], loss{o, a.asOf})
				number[typ] += p.weight(&o)
			}
		}
	}
	for _, typ := range p.watched() {
		p.guard(typ, number[typ])
	}
	for i, a := range f.lost {
		if err := p.reportAll(ctx, append(held[i], a)); err != nil {
			return err
		}
	}
	return nil
}

// unseen returns the objects that are alive in the snapshot and that no listing of
// this pass has shown. In a dry run, which records nothing, it returns all.
func (p *pass) unseen(ctx context.Context, typ, account string) iter.Seq2[snapshot.Object, error] {
	if p.req.DryRun {
		return p.store.Objects(ctx, typ, account)
	}
	return p.store.ObjectsNotSeen(ctx, typ, account, p.number)
}

// missing returns the objects that are alive in the snapshot and that a listing did
// not show. An object that a request has shown alive since the listing began, and that
// therefore waits for a look-up, is not missing.
func (p *pass) missing(ctx context.Context, at part, asOf int64) (list []snapshot.Object, err error) {
	for o, err := range p.unseen(ctx, at.typ, at.account) {
		if err != nil {
			return nil, err
		}
		if _, ok := p.seen[o.Key()]; !ok && o.Look <= asOf && (at.typ != accountType || o.ID != p.root) {
			list = append(list, o)
		}
	}
	return list, nil
}

// orphans returns the objects that are alive in deleted accounts, or in accounts
// that were deleted before the first listing. They must not be forgotten, even if a
// discarded listing or a late event came between the deletion of the account and
// that of its objects. account "" stands for all accounts.
func (p *pass) orphans(ctx context.Context, typ, account string) iter.Seq2[snapshot.Object, error] {
	return func(yield func(snapshot.Object, error) bool) {
		deleted := map[string]bool{}
		for o, err := range p.unseen(ctx, typ, account) {
			is, known := deleted[o.AccountID]
			if !known && err == nil {
				var a snapshot.Object
				a, known, err = p.store.Object(ctx, accountType, o.AccountID, o.AccountID)
				is = a.State == snapshot.Deleted || !known && o.AccountID != p.root
				deleted[o.AccountID] = is
			}
			if _, listed := p.seen[o.Key()]; (is && !listed || err != nil) && !yield(o, err) {
				return
			}
		}
	}
}

// accountsOf returns the accounts for which a partial pass compares a type.
func (p *pass) accountsOf(typ string) (accounts []string) {
	for _, f := range p.only {
		if f.typ == typ {
			accounts = append(accounts, f.account)
		}
	}
	return accounts
}

func collect(list []snapshot.Object, objects iter.Seq2[snapshot.Object, error]) ([]snapshot.Object, error) {
	for o, err := range objects {
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// rest handles objects outside listings: those in deleted accounts, and those that
// a listing shows although their deletion is known.
func (p *pass) rest(ctx context.Context) error {
	for _, typ := range p.watched() {
		if typ == accountType {
			continue
		}
		accounts := []string{""}
		if p.partial() {
			accounts = p.accountsOf(typ)
		}
		f := &finding{typ: typ, asOf: p.store.Applied()}
		for _, account := range accounts {
			var err error
			if f.missing, err = collect(f.missing, p.orphans(ctx, typ, account)); err != nil {
				return err
			}
		}
		if err := p.settle(ctx, f); err != nil {
			return err
		}
	}
	if p.wasHeld {
		if err := p.decide(ctx); err != nil {
			return err
		}
	}
	return p.doubts(ctx)
}
