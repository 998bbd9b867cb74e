package registration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// Keys of the snapshot's state.
const (
	ownerKey = "resync.account"
	passKey  = "resync.pass"
	heldKey  = "resync.held" // the time since which deletions are held back
)

// pass is one comparison. It lists everything, account by account. After each
// complete listing it looks up the missing objects and reports deletions. It skips
// failures and concludes nothing from them. Every step can be repeated, so an
// interrupted pass neither loses nor doubles anything.
type pass struct {
	*Resyncer
	root    string // the account of the login
	req     Request
	only    []failure              // the listings to compare; nil: all
	names   bool                   // list only to get names: nothing is concluded from missing objects
	vouched map[event.Key]struct{} // the deletions that were confirmed; nil: any
	number  int64                  // stored with each object that the listings of this pass show
	logged  time.Time              // time of the last progress line

	report      Report
	expected    int               // objects that the snapshot holds
	known       map[string]int    // expected, by type
	counted     map[string]int    // deletions that were reported, by type
	wasHeld     bool              // deletions were held back before and are not confirmed
	later       []*finding        // what was found in the meantime
	heldType    string            // the type with too many missing objects
	heldMissing int               // the number of missing objects of heldType
	doubtful    []snapshot.Object // shown by a listing, but their deletion is known
	silence     silence
	silent      bool // Kazoo doesn't answer: no more requests
	failed      []error
	failures    int

	// Used by DryRun in place of writing.
	seen    map[event.Key]struct{} // what the listings showed
	adopted map[string]bool        // new accounts
}

// part is a listing: of one type in one account, or of all accounts ("").
type part struct{ typ, account string }

// key returns the state's key that records the first complete listing.
func (at part) key() string { return snapshot.BaselineKey + at.typ + "." + at.account }

// partial reports whether the pass compares only some listings.
func (p *pass) partial() bool { return p.only != nil }

func (p *pass) run(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return fmt.Errorf("resync: %w", err)
	}
	if err := p.listAll(ctx); err != nil {
		return fmt.Errorf("resync: %w", err)
	}
	if err := p.rest(ctx); err != nil {
		return fmt.Errorf("resync: %w", err)
	}
	if p.report.Held && !p.req.DryRun {
		if err := p.holdsBack(ctx); err != nil {
			return fmt.Errorf("resync: %w", err)
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("resync: %w", context.Cause(ctx))
	}
	if len(p.failed) == 0 {
		return nil
	}
	err := errors.Join(p.failed...)
	if more := p.failures - len(p.failed); more > 0 {
		err = fmt.Errorf("%w\nand %d more", err, more)
	}
	if p.silent {
		return fmt.Errorf("resync: %w", err)
	}
	return fmt.Errorf("resync: %w: %w", ErrPart, err)
}

// begin checks the snapshot's account and numbers the pass.
func (p *pass) begin(ctx context.Context) error {
	owner, err := p.store.State(ctx, ownerKey)
	if err != nil {
		return err
	}
	if owner != "" && owner != p.root {
		return fmt.Errorf("%w: it is of %s, the login is to %s; use another DATA_DIR for another account", ErrOtherAccount, owner, p.root)
	}
	held, err := p.store.State(ctx, heldKey)
	if err != nil {
		return err
	}
	p.wasHeld = held != "" && !p.req.Confirm
	p.known, p.counted = map[string]int{}, map[string]int{}
	for _, typ := range p.watched() {
		n, err := p.store.CountObjects(ctx, typ, "")
		if err != nil {
			return err
		}
		p.known[typ], p.expected = n, p.expected+n
	}
	if p.req.DryRun {
		p.seen, p.adopted = map[event.Key]struct{}{}, map[string]bool{}
		return nil
	}
	if owner == "" {
		if err := p.store.SetState(ctx, ownerKey, p.root); err != nil {
			return err
		}
	}
	if held != "" && p.req.Confirm {
		if err := p.store.SetState(ctx, heldKey, ""); err != nil {
			return err
		}
	}
	if p.number, err = p.lastPass(ctx); err != nil {
		return err
	}
	p.number++
	return p.store.SetState(ctx, passKey, strconv.FormatInt(p.number, 10))
}

// lastPass returns the number of the last pass. The stored number may be lost or old
// in a salvaged journal. The objects have the numbers of the passes that listed them:
// with a lower one, a pass would take all of them for listed. The caller holds run.
func (r *Resyncer) lastPass(ctx context.Context) (int64, error) {
	saved, err := r.store.State(ctx, passKey)
	if err != nil {
		return 0, err
	}
	if r.newest == nil {
		n, err := r.store.NewestPass(ctx)
		if err != nil {
			return 0, err
		}
		r.newest = &n
	}
	n, err := strconv.ParseInt(or(saved, "0"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("number of the last pass: %w", err)
	}
	return max(n, *r.newest), nil
}

// listAll lists the accounts, and then the objects of each account, type by type.
func (p *pass) listAll(ctx context.Context) error {
	accounts, err := p.accounts(ctx)
	if err != nil {
		return err
	}
	for _, typ := range p.watched() {
		for _, account := range accounts {
			f := failure{account: account, typ: typ}
			if typ == accountType || p.partial() && !slices.Contains(p.only, f) || p.silent {
				continue
			}
			if err := p.list(ctx, typ, account); err != nil {
				return err
			}
		}
	}
	return nil
}

// accounts returns the accounts whose objects are compared: the listed ones, or the
// known ones if they can't be listed.
func (p *pass) accounts(ctx context.Context) ([]string, error) {
	accounts := []string{p.root}
	if !p.opts.IncludeSubaccounts {
		return accounts, nil
	}
	if f := (failure{account: p.root, typ: accountType}); !p.partial() || slices.Contains(p.only, f) {
		if err := p.adopt(ctx); err != nil {
			return nil, err
		}
		listed, ok, err := p.listAccounts(ctx)
		if err != nil || ok {
			return append(accounts, listed...), err
		}
	}
	for o, err := range p.store.Objects(ctx, accountType, "") {
		if err != nil {
			return nil, err
		}
		if o.ID != p.root {
			accounts = append(accounts, o.ID)
		}
	}
	return accounts, nil
}

// fail records a failed request: nothing is concluded from it.
func (p *pass) fail(ctx context.Context, f failure, err error) {
	const shown = 5
	if !errors.Is(err, errStuck) {
		p.silent = p.silence.note(ctx, p.api, p.root, f.account, err) || p.silent
	}
	if ctx.Err() != nil {
		return
	}
	if p.failures++; len(p.failed) < shown {
		p.failed = append(p.failed, err)
	}
	if !p.req.DryRun {
		p.fails(f, err)
	}
}

// answered records a complete listing.
func (p *pass) answered(f failure) {
	p.silence.answered()
	if !p.req.DryRun {
		p.works(f)
	}
}

// look reads an object from Kazoo. found is nil if Kazoo answers that there is no such
// object; ok is false if there is no usable answer.
func (p *pass) look(ctx context.Context, o *snapshot.Object) (found *crossbar.Object, ok bool) {
	got, err := p.ask(ctx, o)
	switch {
	case crossbar.IsNotFound(err):
		p.answered(failure{o.AccountID, o.Type, true})
		return nil, true
	case err != nil:
		p.fail(ctx, failure{o.AccountID, o.Type, true}, fmt.Errorf("read %s %s of account %s: %w", o.Type, o.ID, o.AccountID, err))
		return nil, false
	}
	p.answered(failure{o.AccountID, o.Type, true})
	return &got, true
}

func (p *pass) ask(ctx context.Context, o *snapshot.Object) (crossbar.Object, error) {
	if p.silence.stuck[o.AccountID] {
		return crossbar.Object{}, errStuck
	}
	return p.api.Object(ctx, o.AccountID, snapshot.Kind(o.Type), o.ID)
}

// progress reports the pass's progress to the caller, or to the log now and then.
func (p *pass) progress(typ, account, doing string) {
	const every = 10 * time.Second
	if p.req.Progress != nil {
		p.req.Progress(Progress{Account: account, Type: typ, Listed: p.report.Listed, Expected: p.expected})
		return
	}
	if now := p.opts.Now(); now.Sub(p.logged) >= every {
		p.logged = now
		p.opts.Log.Info().Str("object_type", typ).Str("of_account", account).Int("listed", p.report.Listed).Int("expected", p.expected).
			Msg("resync is " + doing)
	}
}
