package delivery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// AccountLookup asks Kazoo where accounts are in its tree.
type AccountLookup interface {
	// Ancestors returns the ids of the accounts above an account, from the top down, as
	// far as Kazoo shows them to us. found is false if Kazoo doesn't know the account.
	// An error that isn't about this account alone wraps ErrNoAPI.
	Ancestors(ctx context.Context, account string) (ancestors []string, found bool, err error)
	// Accounts lists the accounts below ours with their ancestors. An error comes last.
	Accounts(ctx context.Context) iter.Seq2[journal.AccountPlace, error]
}

// ErrNoAPI says that Kazoo's API as a whole fails, so that no other account need be tried now.
var ErrNoAPI = errors.New("the API can't be used")

const (
	// lookUpFor is how long an event waits for the look-up of its account.
	lookUpFor = 10 * time.Minute
	// unknownFor is how long Kazoo isn't asked again for an account that it doesn't
	// know.
	unknownFor = 10 * time.Minute

	firstLookUpRetry = time.Second
	maxLookUpRetry   = time.Minute
)

// accounts is the tree of accounts as far as it is known. Deleted accounts stay in it.
// One goroutine asks Kazoo.
type accounts struct {
	lookup  AccountLookup
	journal Journal
	log     zerolog.Logger
	placed  func(account string) // called when a look-up has ended

	mu       sync.Mutex
	places   map[string][]string
	wanted   []*lookUp            // those that have waited longest come first
	asked    map[string]*lookUp   // the same, by account
	notKnown map[string]time.Time // accounts that Kazoo doesn't know, and until when that counts
	listed   bool
	wake     chan struct{}
}

// errNotNoted: the journal doesn't take what Kazoo answered.
var errNotNoted = errors.New("where accounts are could not be stored")

// lookUp is an account that must be looked up. Each has a schedule of its own, so that
// one that fails again and again holds up no other.
type lookUp struct {
	account string // all: a listing
	since   time.Time
	due     time.Time
	wait    time.Duration // from the last failure to due; 0: none failed
}

// all stands for the listing of all accounts. It comes after accounts that are due.
const all = ""

func newAccounts(ctx context.Context, o Options, placed func(string)) (*accounts, error) {
	a := &accounts{
		lookup: o.Accounts, journal: o.Journal, log: o.Log, placed: placed, places: map[string][]string{},
		asked: map[string]*lookUp{}, notKnown: map[string]time.Time{}, wake: make(chan struct{}, 1),
	}
	list, err := o.Journal.AccountPlaces(ctx)
	for _, p := range list {
		a.places[p.Account] = p.Ancestors
	}
	return a, err
}

// accountOf returns the account that an event belongs to. An event about an account
// belongs to that account.
func accountOf(r *event.Record) string {
	if r.ObjectType == "account" && r.ObjectID != "" {
		return r.ObjectID
	}
	return r.AccountID
}

// within reports whether an account is in a list or below an account of it. An empty
// list takes all accounts. known is false while it isn't known.
func (a *accounts) within(account string, of []string) (yes, known bool) {
	if len(of) == 0 {
		return true, true
	}
	if account == "" || slices.Contains(of, account) {
		return account != "", true
	}
	if a.lookup == nil {
		return false, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	above, ok := a.places[account]
	return ok && slices.ContainsFunc(above, func(id string) bool { return slices.Contains(of, id) }), ok
}

// unknown reports whether Kazoo recently said that it doesn't know an account.
func (a *accounts) unknown(account string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	until, ok := a.notKnown[account]
	return ok && time.Now().Before(until)
}

// want queues an account for a look-up, unless Kazoo recently didn't know it.
func (a *accounts) want(account string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	until, ok := a.notKnown[account]
	if account == "" || ok && time.Now().Before(until) {
		return
	}
	a.queue(account)
}

// queue adds a look-up, unless it waits already; mu is held.
func (a *accounts) queue(account string) {
	if a.lookup == nil || a.asked[account] != nil {
		return
	}
	now := time.Now()
	l := &lookUp{account: account, since: now, due: now}
	a.asked[account] = l
	a.wanted = append(a.wanted, l)
	signal(a.wake)
}

// saw handles an event about an account: a new account is looked up while Kazoo still
// knows it, and an edited one may have been moved.
func (a *accounts) saw(r *event.Record) {
	if r.ObjectType == "account" && (r.Action == event.Created || r.Action == event.Edited) {
		a.mu.Lock()
		delete(a.notKnown, r.ObjectID)
		a.mu.Unlock()
		a.want(r.ObjectID)
	}
}

// list requests one listing of all accounts.
func (a *accounts) list() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.listed {
		a.queue(all)
	}
}

// run asks Kazoo until ctx ends.
func (a *accounts) run(ctx context.Context) {
	pause := firstLookUpRetry // after a failure that others would share
	for ctx.Err() == nil {
		l, wait := a.next(time.Now())
		wake := a.wake
		if l != nil {
			if err := a.ask(ctx, l); !errors.Is(err, ErrNoAPI) && !errors.Is(err, errNotNoted) {
				pause = firstLookUpRetry
				continue
			}
			wait, wake = pause, nil
			pause = min(2*pause, maxLookUpRetry)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// next returns the look-up to make now, or how long to wait for one.
func (a *accounts) next(now time.Time) (l *lookUp, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wait = time.Hour
	for _, other := range a.wanted {
		left := other.due.Sub(now)
		switch {
		case left > 0:
			wait = min(wait, left)
		case other.account != all:
			return other, 0
		default:
			l = other
		}
	}
	return l, wait
}

// ask makes a look-up. After an error it is made again when it is due, until lookUpFor
// has passed; a listing for ever.
func (a *accounts) ask(ctx context.Context, l *lookUp) error {
	found, err := a.find(ctx, l.account)
	a.mu.Lock()
	first, now := l.wait == 0, time.Now()
	if err != nil && (l.account == all || now.Sub(l.since) < lookUpFor) {
		l.wait = min(max(2*l.wait, firstLookUpRetry), maxLookUpRetry)
		l.due = now.Add(l.wait)
	} else {
		delete(a.asked, l.account)
		a.wanted = slices.DeleteFunc(a.wanted, func(other *lookUp) bool { return other == l })
	}
	switch {
	case err == nil && l.account == all:
		a.listed = true
	case err == nil && !found:
		if len(a.notKnown) > maxAhead {
			clear(a.notKnown)
		}
		a.notKnown[l.account] = now.Add(unknownFor)
	}
	a.mu.Unlock()
	switch {
	case err == nil || ctx.Err() != nil:
	case l.account == all:
		a.log.Warn().Err(err).Msg("Kazoo's accounts could not be listed for the destinations' filters; will try again")
	case first:
		a.log.Warn().Err(err).Str("account_id", l.account).Msg("an account could not be looked up in Kazoo: events of it wait, at most 10 minutes")
	}
	a.placed(l.account)
	return err
}

// find asks Kazoo for an account, or all, and notes what it learns.
func (a *accounts) find(ctx context.Context, account string) (found bool, err error) {
	if account == all {
		return true, a.askAll(ctx)
	}
	above, found, err := a.lookup.Ancestors(ctx, account)
	if err == nil && found {
		err = a.note(ctx, []journal.AccountPlace{{Account: account, Ancestors: above}})
	}
	return found, err
}

// askAll lists all accounts. So an account that is deleted before an event shows it is
// known, too.
func (a *accounts) askAll(ctx context.Context) error {
	var page []journal.AccountPlace
	var err error
	for p, lerr := range a.lookup.Accounts(ctx) {
		if err = lerr; err != nil {
			break
		}
		if len(p.Ancestors) == 0 {
			continue // it is below ours: the listing doesn't say where
		}
		if page = append(page, p); len(page) == journal.MaxPage {
			if err = a.note(ctx, page); err != nil {
				break
			}
			page = nil
		}
	}
	if err == nil {
		err = a.note(ctx, page)
	}
	return err
}

// note remembers where accounts are.
func (a *accounts) note(ctx context.Context, list []journal.AccountPlace) error {
	a.mu.Lock()
	list = slices.DeleteFunc(list, func(p journal.AccountPlace) bool {
		above, ok := a.places[p.Account]
		return ok && slices.Equal(above, p.Ancestors)
	})
	a.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	if err := a.journal.PlaceAccounts(ctx, list); err != nil {
		return fmt.Errorf("%w: %w", errNotNoted, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range list {
		a.places[p.Account] = p.Ancestors
	}
	return nil
}
