package journal

import (
	"context"
	"fmt"
	"iter"
	"math"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/search"
	"kazoohook/internal/snapshot"
)

// MaxPage is how many objects one Page may have.
const MaxPage = 500

// Listed applies a part of a listing, of at most MaxPage objects.
func (j *Journal) Listed(ctx context.Context, p snapshot.Page) (Listing, error) {
	if len(p.Objects) > MaxPage {
		return Listing{}, fmt.Errorf("a page of %d objects is more than %d", len(p.Objects), MaxPage)
	}
	res, err := j.do(ctx, &listed{Page: p})
	return res.listing, err
}

// Looked applies the answer of a look-up. Created has an element if it found an
// object that was not known to exist.
func (j *Journal) Looked(ctx context.Context, l snapshot.Look) (Listing, error) {
	res, err := j.do(ctx, &looked{Look: l})
	return res.listing, err
}

// Missing applies the finding that an object is deleted. It reports the deletion,
// unless that is known already or a later command touched the object; then the
// result is a Duplicate.
func (j *Journal) Missing(ctx context.Context, m snapshot.Missing) (event.Appended, error) {
	res, err := j.do(ctx, &missing{Missing: m})
	return res.appended, err
}

// LookWanted receives a value when objects have begun to wait for a look-up. It
// has one reader.
func (j *Journal) LookWanted() <-chan struct{} { return j.looks }

// Looks returns up to limit objects of a type ("": any) that wait for a look-up and whose
// Look is greater than after, those that have waited longest first. Objects that can't be
// read because of damage are left out.
func (j *Journal) Looks(ctx context.Context, typ string, after int64, limit int) ([]snapshot.Object, error) {
	return known(ctx, j, func(o search.Objects) ([]snapshot.Object, error) { return o.Waiting(ctx, typ, after, limit) })
}

// Object returns what is known of an object, also of one that is deleted. One that
// can't be read because of damage counts as unknown.
func (j *Journal) Object(ctx context.Context, typ, account, id string) (one snapshot.Object, ok bool, err error) {
	one, err = known(ctx, j, func(o search.Objects) (one snapshot.Object, err error) {
		one, ok, err = o.One(ctx, snapshot.Key(typ, account, id))
		return one, err
	})
	return one, ok, err
}

// Objects streams the living objects of a type, in order of account and id. Account
// "" stands for all accounts. An object that changes meanwhile may be seen in its old
// or its new state.
func (j *Journal) Objects(ctx context.Context, typ, account string) iter.Seq2[snapshot.Object, error] {
	return j.living(ctx, typ, account, math.MaxInt64)
}

// ObjectsNotSeen streams living objects that no listing from number pass on has shown.
// An object that couldn't be stored because of damage may have been shown, so it is left
// out.
func (j *Journal) ObjectsNotSeen(ctx context.Context, typ, account string, pass int64) iter.Seq2[snapshot.Object, error] {
	return j.living(ctx, typ, account, pass)
}

// living reads page by page, so that no connection is held while the caller works.
func (j *Journal) living(ctx context.Context, typ, account string, pass int64) iter.Seq2[snapshot.Object, error] {
	return func(yield func(snapshot.Object, error) bool) {
		last := snapshot.Object{AccountID: account}
		for {
			page, err := known(ctx, j, func(o search.Objects) ([]snapshot.Object, error) {
				return o.Living(ctx, typ, account, pass, last.AccountID, last.ID, MaxPage)
			})
			if err != nil {
				yield(snapshot.Object{}, err)
				return
			}
			for _, last = range page {
				if unknown := pass < math.MaxInt64 && j.damage.IsUnwritable(last.Key()); !unknown && !yield(last, nil) {
					return
				}
			}
			if len(page) < MaxPage {
				return
			}
		}
	}
}

// NewestPass returns the highest Pass of all objects, also deleted ones; 0: none was
// listed by a comparison. It reads all of them.
func (j *Journal) NewestPass(ctx context.Context) (int64, error) {
	return known(ctx, j, func(o search.Objects) (int64, error) { return o.NewestPass(ctx) })
}

// Holders returns the accounts that hold a living object, whether or not the account
// itself is known.
func (j *Journal) Holders(ctx context.Context) (accounts []string, err error) {
	return known(ctx, j, func(o search.Objects) ([]string, error) { return o.Holders(ctx) })
}

// CountObjects is how many objects of a type are alive; account "" counts all.
func (j *Journal) CountObjects(ctx context.Context, typ, account string) (int, error) {
	n, err := known(ctx, j, func(o search.Objects) (int64, error) { return o.Count(ctx, typ, account) })
	return int(n), err
}

// known is lend for what reads objects.
func known[T any](ctx context.Context, j *Journal, f func(search.Objects) (T, error)) (T, error) {
	return lend(ctx, j, func(c *conn) (T, error) { return f(search.Objects{Conn: c, Ledger: j.damage}) })
}
