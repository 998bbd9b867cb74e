package registration

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"kazoohook/internal/snapshot"
)

const (
	// lookTimeout bounds a look-up, so that a slow one delays the others little.
	lookTimeout = 10 * time.Second
	// lookBatch is the number of waiting objects to read at a time.
	lookBatch = 500
	// The pause after the first failure, and the longest pause.
	firstPause, longestPause = 5 * time.Second, 10 * time.Minute
	// listedAtOnce is the approximate number of objects on a page of a listing.
	listedAtOnce = 500
	// gather is the least time between two rounds of look-ups, in which the objects of
	// a bulk change come together.
	gather = time.Second
	// longestRound is how long a round of look-ups may take: comparisons of the
	// sub-accounts and failed listings come between two rounds.
	longestRound = 10 * time.Second
	// gatherPage is the time for each page of a listing until the next listing of the
	// same objects.
	gatherPage = 3 * time.Second
)

// Follow keeps the snapshot up to date between two runs, until ctx ends:
//
//   - It looks up waiting objects: new and edited ones, because Kazoo sends only an
//     id; deleted ones that an event showed alive again; and deleted accounts, because
//     Kazoo sends no events for the objects in them. Where many objects of one type
//     and account wait, it lists instead.
//   - It compares the sub-accounts alone every AccountsInterval: Kazoo's HEAD
//     sends no event when one is deleted.
//   - It repeats failed listings.
//
// account returns the account of the login, "" before the first login. A failure
// delays nothing else. A run has priority: no look-ups happen during it.
func (r *Resyncer) Follow(ctx context.Context, account func() string) error {
	const login = time.Second
	l := newLookups(r)
	accounts := r.opts.Now().Add(r.opts.AccountsInterval)
	for {
		next := login
		if root := account(); root != "" {
			if r.opts.IncludeSubaccounts && r.opts.AccountsInterval > 0 && !r.opts.Now().Before(accounts) {
				r.compareAccounts(ctx, root)
				accounts = r.opts.Now().Add(r.opts.AccountsInterval)
			}
			l.retryListings(ctx, root)
			if next = firstPause; l.drain(ctx, root) {
				next = gather
			}
		}
		if !rest(ctx, gather, nil) || !rest(ctx, next-gather, r.store.LookWanted()) {
			return nil
		}
	}
}

// rest waits for d, or until wake receives a value. It reports false if ctx ends.
func rest(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-timer.C:
	}
	return true
}

// compareAccounts compares only the sub-accounts.
func (r *Resyncer) compareAccounts(ctx context.Context, root string) {
	p := &pass{root: root, only: []failure{{account: root, typ: accountType}}}
	if _, err := r.compare(ctx, p); err != nil && ctx.Err() == nil && !errors.Is(err, ErrPart) {
		r.opts.Log.Warn().Err(err).Msg("the sub-accounts could not be compared")
	}
}

// lookups is the state of Follow.
type lookups struct {
	*Resyncer
	again   map[any]pause     // by failure or object: the time of the next try
	after   map[string]int64  // by type ("": all): the Look with which the last round ended; 0: it was complete
	shown   map[part]relisted // what was listed to get names
	silence silence
}

// relisted is a listing that stood for look-ups.
type relisted struct {
	asOf  int64     // number of the last command applied when it began; of a failed one, the greatest number
	again time.Time // not before this
}

func newLookups(r *Resyncer) *lookups {
	return &lookups{Resyncer: r, again: map[any]pause{}, after: map[string]int64{}, shown: map[part]relisted{}}
}

// pause is a growing wait after failures.
type pause struct {
	until time.Time
	next  time.Duration
}

// paused reports whether the key still has to wait.
func (l *lookups) paused(what any) bool { return l.opts.Now().Before(l.again[what].until) }

// pause makes the key wait, longer each time.
func (l *lookups) pause(what any, first time.Duration) {
	p := l.again[what]
	p.next = min(max(2*p.next, first), longestPause)
	p.until = l.opts.Now().Add(p.next)
	l.again[what] = p
}

// retryListings repeats each failed listing in a run of its own, those that have waited
// longest first. It returns after one that fails again: Kazoo may have taken a minute
// for that, and look-ups must not wait for all of them.
func (l *lookups) retryListings(ctx context.Context, root string) {
	list := l.unlisted()
	slices.SortStableFunc(list, func(a, b failure) int { return l.again[a].until.Compare(l.again[b].until) })
	for _, f := range list {
		if _, known := l.again[f]; !known {
			l.pause(f, firstPause) // it failed just now
			continue
		}
		if l.paused(f) || ctx.Err() != nil {
			continue
		}
		if _, err := l.compare(ctx, &pass{root: root, only: []failure{f}}); err != nil {
			l.pause(f, firstPause)
			return
		}
		delete(l.again, f)
		l.repaired(f)
	}
}

// drain looks up waiting objects, oldest first, but accounts before all others: the
// deletions of all objects in a deleted account depend on one look-up. It reports
// whether it ended before it had come to all of them, because the round was too long.
// The next round continues there.
func (l *lookups) drain(ctx context.Context, root string) (more bool) {
	l.silence = silence{}
	for _, typ := range []string{accountType, ""} {
		for end := l.opts.Now().Add(longestRound); ; {
			batch, err := l.store.Looks(ctx, typ, l.after[typ], lookBatch)
			if err == nil && len(batch) == 0 {
				delete(l.after, typ)
				break
			}
			if err != nil || l.lookAll(ctx, root, typ, batch, end) { // the journal logs its errors
				clear(l.after)
				return false
			}
			if !l.opts.Now().Before(end) {
				more = true
				break
			}
		}
	}
	return more
}

// lookAll looks up the objects of a batch, or lists where that costs fewer requests. For
// some time after a listing, changed objects of its type and account wait for the next
// one: they may be as many. It returns true if the round should stop.
func (l *lookups) lookAll(ctx context.Context, root, typ string, batch []snapshot.Object, end time.Time) (stop bool) {
	waiting, decided := map[part]int{}, map[part]bool{}
	for i := range batch {
		if at := (part{batch[i].Type, batch[i].AccountID}); l.listable(&batch[i]) {
			waiting[at]++
		}
	}
	for i := range batch {
		o := &batch[i]
		if ctx.Err() != nil || !l.opts.Now().Before(end) {
			return ctx.Err() != nil
		}
		at := part{o.Type, o.AccountID}
		wait := l.gathers(at) && l.listable(o)
		if !wait && !decided[at] && waiting[at] > 1 && l.listable(o) {
			decided[at] = true
			if pages := l.pages(ctx, at); waiting[at] > pages && l.relist(ctx, root, at, pages) != nil {
				return true
			}
		}
		if !wait && l.look(ctx, root, o) {
			return true
		}
		l.after[typ] = o.Look
	}
	return false
}

// gathers reports whether objects were listed a short time ago.
func (l *lookups) gathers(at part) bool { return l.opts.Now().Before(l.shown[at].again) }

// listable reports whether a listing may stand for the look-up of an object: it would
// show the name, and the last one didn't lack the object.
func (l *lookups) listable(o *snapshot.Object) bool {
	at := part{o.Type, o.AccountID}
	return o.State == snapshot.Alive && !o.Returned() && o.Type != accountType && (!l.gathers(at) || o.Touched > l.shown[at].asOf) &&
		!l.silence.stuck[o.AccountID] && !l.paused(failure{o.AccountID, o.Type, true}) && !l.paused(o.Key()) && !l.paused(failure{account: o.AccountID, typ: o.Type})
}

// pages returns the approximate number of requests that a listing takes.
func (l *lookups) pages(ctx context.Context, at part) int {
	n, err := l.store.CountObjects(ctx, at.typ, at.account)
	if err != nil {
		return math.MaxInt // the journal logs the error
	}
	return n/listedAtOnce + 1
}

// relist lists one type of one account to get names. It concludes nothing from
// missing objects.
func (l *lookups) relist(ctx context.Context, root string, at part, pages int) error {
	l.run.Lock()
	defer l.run.Unlock()
	number, err := l.lastPass(ctx)
	if err != nil {
		return err
	}
	asOf := l.store.Applied()
	p := &pass{Resyncer: l.Resyncer, root: root, number: number, names: true, logged: l.opts.Now()}
	if err := p.list(ctx, at.typ, at.account); err != nil {
		return err
	}
	if p.failures > 0 {
		asOf = math.MaxInt64 // so that all are looked up
	}
	l.shown[at] = relisted{asOf: asOf, again: l.opts.Now().Add(time.Duration(pages) * gatherPage)}
	return p.doubts(ctx)
}
