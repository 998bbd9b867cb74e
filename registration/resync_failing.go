package registration

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/snapshot"
)

// Failing is a listing or look-up that fails at present.
type Failing struct {
	Account string    `json:"account"`
	Type    string    `json:"type"` // of the objects
	Since   time.Time `json:"since"`
	Error   string    `json:"error"`
}

// failure identifies a failing listing, or failing look-ups of one type in one
// account.
type failure struct {
	account, typ string
	lookups      bool
}

// fails records a failure; the time of the first one stays.
func (r *Resyncer) fails(f failure, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, ok := r.failing[f]
	if !ok {
		was = Failing{Account: f.account, Type: f.typ, Since: r.opts.Now().UTC()}
		r.opts.Log.Warn().Err(err).Str("of_account", f.account).Str("object_type", f.typ).
			Msg("these objects can't be read from Kazoo: nothing was concluded about them, and everything else continues")
	}
	was.Error = err.Error()
	r.failing[f] = was
}

// works records a success after a possible failure.
func (r *Resyncer) works(f failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if was, ok := r.failing[f]; ok {
		delete(r.failing, f)
		r.opts.Log.Info().Str("of_account", f.account).Str("object_type", f.typ).Time("failing_since", was.Since).
			Msg("these objects can be read from Kazoo again")
	}
}

// failures lists the failures. The caller holds mu.
func (r *Resyncer) failures() []Failing {
	list := make([]Failing, 0, len(r.failing))
	for _, f := range r.failing {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Failing) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Type, b.Type), a.Since.Compare(b.Since))
	})
	return list
}

// unlisted returns the listings to compare again: those that failed, and those with
// failed look-ups.
func (r *Resyncer) unlisted() []failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []failure
	for f := range r.failing {
		if l := r.listing(f); !slices.Contains(list, l) {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b failure) int { return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.typ, b.typ)) })
	return list
}

// listing returns the listing that covers f. The caller holds mu.
func (r *Resyncer) listing(f failure) failure {
	if f.typ == accountType {
		f.account = r.root // all accounts are in one listing
	}
	return failure{account: f.account, typ: f.typ}
}

// repaired records that a listing was compared and its missing objects were looked
// up.
func (r *Resyncer) repaired(listing failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for f := range r.failing {
		if r.listing(f) == listing {
			delete(r.failing, f)
		}
	}
}

// refused reports whether Kazoo refused and would refuse again.
func refused(err error) bool {
	var e *crossbar.Error
	return errors.As(err, &e) && e.Status/100 == 4 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusUnauthorized
}

// unanswered reports whether Kazoo gave no answer.
func unanswered(err error) bool {
	var e *crossbar.Error
	return errors.As(err, &e) && e.Status == 0
}

// silentAfter is the number of unanswered requests in a row after which Kazoo itself
// is asked for an answer.
const silentAfter = 2

// errStuck is the failure of what is not asked because its account is stuck.
var errStuck = errors.New("this account gives no answer, but Kazoo does: no further requests were sent for it this time")

// silence tells a Kazoo that doesn't answer at all from accounts whose requests get no
// answer, for example because their databases hang. Only the former ends a run.
type silence struct {
	inRow []string        // the accounts of the unanswered requests in a row
	stuck map[string]bool // accounts that are asked no more in this run
}

// answered records an answer.
func (s *silence) answered() { s.inRow = nil }

// note records a failed request for an account, and reports whether no more requests
// should be sent. After silentAfter unanswered requests in a row, Kazoo is asked for
// the account of the login. If it answers, only the accounts of those requests are
// stuck.
func (s *silence) note(ctx context.Context, api ObjectAPI, root, account string, err error) (silent bool) {
	if ctx.Err() != nil {
		return true
	}
	if !unanswered(err) {
		s.answered()
		return false
	}
	if s.inRow = append(s.inRow, account); len(s.inRow) < silentAfter {
		return false
	}
	if _, err := api.Object(ctx, root, snapshot.Kind(accountType), root); unanswered(err) || ctx.Err() != nil {
		return true
	}
	if s.stuck == nil {
		s.stuck = map[string]bool{}
	}
	for _, a := range s.inRow {
		s.stuck[a] = true
	}
	s.answered()
	return false
}
