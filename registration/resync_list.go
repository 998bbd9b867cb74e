package registration

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/snapshot"
)

// adopt makes accounts known that appear only in events of their objects. A
// comparison can then find that they are deleted, which Kazoo's HEAD doesn't
// report.
func (p *pass) adopt(ctx context.Context) error {
	if p.req.DryRun {
		return nil
	}
	holders, err := p.store.Holders(ctx)
	if err != nil {
		return err
	}
	at := part{accountType, ""}
	baseline, err := p.baseline(ctx, at.key(), at)
	if err != nil {
		return err
	}
	for _, id := range holders {
		o, _, err := p.store.Object(ctx, accountType, id, id)
		if err != nil {
			return err
		}
		if o.State != snapshot.Unknown || id == p.root {
			continue
		}
		got, err := p.store.Listed(ctx, snapshot.Page{
			Type: accountType, AsOf: p.store.Applied(), Baseline: baseline, Report: p.watches(accountType, event.Created),
			Objects: []snapshot.Listed{{ID: id}},
		})
		if err != nil {
			return err
		}
		p.created(got)
	}
	return nil
}

// listAccounts lists the descendants. ok is false if the listing failed.
func (p *pass) listAccounts(ctx context.Context) (ids []string, ok bool, err error) {
	ok, err = p.scan(ctx, part{accountType, ""}, func(yield func(crossbar.Object, error) bool) {
		for a, err := range p.api.Descendants(ctx, p.root) {
			if err == nil {
				ids = append(ids, a.ID)
			}
			if !yield(crossbar.Object{ID: a.ID, Fields: map[string]string{"name": a.Name, "realm": a.Realm}}, err) {
				return
			}
		}
	})
	return ids, ok, err
}

// list lists one type in one account.
func (p *pass) list(ctx context.Context, typ, account string) error {
	listing := p.api.Objects(ctx, account, snapshot.Kind(typ))
	if p.silence.stuck[account] {
		listing = func(yield func(crossbar.Object, error) bool) { yield(crossbar.Object{}, errStuck) }
	}
	_, err := p.scan(ctx, part{typ, account}, listing)
	return err
}

// scan adds one listing to the snapshot, and reports new objects. ok is false if
// Kazoo didn't list everything; an error is the journal's.
func (p *pass) scan(ctx context.Context, at part, listing iter.Seq2[crossbar.Object, error]) (ok bool, err error) {
	f := failure{account: at.account, typ: at.typ}
	if at.typ == accountType {
		f.account = p.root // all accounts are one set
	}
	key := at.key()
	baseline, err := p.baseline(ctx, key, at)
	if err != nil {
		return false, err
	}
	p.report.Baseline = p.report.Baseline || baseline
	page := snapshot.Page{
		Type: at.typ, Account: at.account, Pass: p.number, AsOf: p.store.Applied(),
		Baseline: baseline, Report: p.watches(at.typ, event.Created),
	}
	take := func() error {
		if err := p.take(ctx, &page); err != nil {
			return err
		}
		page.Objects = page.Objects[:0:0]
		p.progress(at.typ, f.account, "listing")
		return nil
	}
	for o, err := range listing {
		if crossbar.IsNotFound(err) && at.account != p.root && at.account != "" {
			p.answered(f)
			return true, nil // deleted since the accounts were listed: left to the next pass
		}
		if err != nil {
			p.fail(ctx, f, fmt.Errorf("list the %s of account %s: %w", snapshot.Kind(at.typ), f.account, err))
			return false, nil
		}
		p.report.Listed++
		page.Objects = append(page.Objects, listed(o))
		if len(page.Objects) == journal.MaxPage {
			if err := take(); err != nil {
				return false, err
			}
		}
	}
	if err := take(); err != nil {
		return false, err
	}
	p.answered(f)
	if !p.names {
		if err := p.conclude(ctx, at, page.AsOf); err != nil {
			return false, err
		}
	}
	if p.req.DryRun || !baseline {
		return true, nil
	}
	return true, p.store.SetState(ctx, key, p.opts.Now().UTC().Format(time.RFC3339Nano))
}

// baseline reports whether a listing is the first one of its type and account, and so
// reports nothing. Only in an account that was created since the type is compared, as
// the listing of the login's account shows, everything is new.
func (p *pass) baseline(ctx context.Context, key string, at part) (bool, error) {
	done, err := p.store.State(ctx, key)
	again := done == snapshot.BaselineAgain
	if err != nil || done != "" && !again {
		return false, err
	}
	if again || at.account == "" || at.account == p.root {
		return true, nil
	}
	state, err := p.store.State(ctx, part{at.typ, p.root}.key())
	compared, never := time.Parse(time.RFC3339, state)
	if err != nil || never != nil {
		return true, err
	}
	if p.adopted[at.account] {
		return false, nil
	}
	o, _, err := p.store.Object(ctx, accountType, at.account, at.account)
	return o.Created == 0 || o.FirstSeen.Before(compared), err
}

// take adds listed objects to the snapshot.
func (p *pass) take(ctx context.Context, page *snapshot.Page) error {
	if p.req.DryRun {
		return p.compareOnly(ctx, page)
	}
	if len(page.Objects) == 0 {
		return nil
	}
	got, err := p.store.Listed(ctx, *page)
	if err != nil {
		return err
	}
	p.doubtful = append(p.doubtful, got.Doubtful...)
	p.created(got)
	return nil
}

// created counts the creations that the journal reported.
func (p *pass) created(got journal.Listing) {
	for _, f := range got.Created {
		if f.Appended.Seq == 0 {
			continue // creations aren't watched
		}
		p.report.Created = append(p.report.Created, f.Object)
		p.count(func(s *ResyncStats) { s.Created++ })
		p.say(&f.Object, f.Appended.Seq, "resync found an object whose creation no webhook reported")
	}
}

func (p *pass) say(o *snapshot.Object, seq int64, msg string) {
	p.opts.Log.Warn().Str("object_type", o.Type).Str("object_id", o.ID).Str("object_name", o.Name).Int64("resync_seq", seq).Msg(msg)
}

// compareOnly compares listed objects with the snapshot without writing.
func (p *pass) compareOnly(ctx context.Context, page *snapshot.Page) error {
	for i := range page.Objects {
		l := &page.Objects[i]
		o := snapshot.Object{}
		account := page.Account
		if page.Type == accountType {
			account = l.ID
		}
		o, _, err := p.store.Object(ctx, page.Type, account, l.ID)
		if err != nil {
			return err
		}
		outcome := o.Listed(page, l, snapshot.At{Wall: p.opts.Now()})
		p.seen[snapshot.Key(page.Type, account, l.ID)] = struct{}{}
		switch outcome {
		case snapshot.Doubtful:
			p.doubtful = append(p.doubtful, o)
		case snapshot.Appeared:
			if page.Type == accountType {
				p.adopted[l.ID] = true
			}
			if page.Report {
				p.report.Created = append(p.report.Created, o)
			}
		case snapshot.Ignored, snapshot.Noted:
		}
	}
	return nil
}

// listed returns what is stored of an object: enough to identify it to people.
func listed(o crossbar.Object) snapshot.Listed {
	l := snapshot.Listed{ID: o.ID, Fields: map[string]string{}}
	for _, k := range []string{"username", "email", "first_name", "last_name", "mailbox", "mac_address", "realm"} {
		if v := o.Fields[k]; v != "" {
			l.Fields[k] = v
		}
	}
	l.Name = strings.TrimSpace(o.Fields["first_name"] + " " + o.Fields["last_name"])
	for _, k := range []string{"name", "username", "numbers"} {
		if l.Name == "" {
			l.Name = o.Fields[k]
		}
	}
	return l
}

// answer returns a look-up's answer in the journal's form; found is nil for a 404.
func answer(o *snapshot.Object, found *crossbar.Object, asOf int64) snapshot.Look {
	l := snapshot.Look{Type: o.Type, Account: o.AccountID, ID: o.ID, AsOf: asOf}
	if found != nil {
		seen := listed(*found)
		l.Found, l.Name, l.Fields = true, seen.Name, seen.Fields
	}
	return l
}
