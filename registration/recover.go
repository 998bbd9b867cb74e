package registration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// AttemptAPI is the part of Crossbar that the Recoverer needs: the failed attempts
// of an account's hooks (hookID empty: of all), newest first, in a window of at
// most 31 days of Kazoo's clock; and the offset of that clock from ours, if known.
type AttemptAPI interface {
	Attempts(ctx context.Context, account, hookID string, from, to time.Time) iter.Seq2[crossbar.Attempt, error]
	ClockOffset() (time.Duration, bool)
}

// Store is the part of the journal that the engine needs. Append is durable and
// recognises duplicates. State is a small durable map; an absent key is "".
type Store interface {
	Append(ctx context.Context, r event.Record) (event.Appended, error)
	State(ctx context.Context, key string) (string, error)
	SetState(ctx context.Context, key, value string) error
}

// RecoverOptions configure a Recoverer.
type RecoverOptions struct {
	Secrets []string // attempts at a URI with one of these are ours, whatever the hook
	Specs   []Spec   // what HOOKS names: other events are hidden (Hidden)
	// OurHooks returns the ids of hooks whose attempts are ours whatever the URI,
	// and whether the ids are complete. Until they are, no part of the record
	// counts as read. nil: there are none.
	OurHooks func() (ids []string, all bool)
	Log      zerolog.Logger
	Now      func() time.Time
}

// Recoverer reads Kazoo's record of failed attempts and appends the lost events.
// Runs never overlap.
type Recoverer struct {
	api   AttemptAPI
	store Store
	opts  RecoverOptions

	run     sync.Mutex // held during a run; guards what follows
	reading reading
	firings map[firingKey]*firing   // of our hooks, while they are unsettled or read again
	unread  time.Time               // see Unread
	absent  map[time.Time]time.Time // months without a record in Kazoo, and when that was first seen

	mu      sync.Mutex
	secrets []string // from the options, and later ones
	stats   RecoverStats
	whole   bool // the next run reads all of the last hour and a half
	blind   bool // the last pass over the hooks failed
}

// RecoverStats counts what was recovered since the start.
type RecoverStats struct {
	Runs          int       `json:"runs"`
	Failures      int       `json:"failures"`            // runs that failed
	Recovered     int       `json:"recovered"`           // lost events appended
	Held          int       `json:"held"`                // failed in Kazoo's record, but in the journal
	Unrecoverable int       `json:"unrecoverable"`       // lost events whose body Kazoo doesn't keep (GET hooks)
	ArchivedGaps  int       `json:"archived_gaps"`       // months whose record Kazoo no longer has
	CheckedTo     time.Time `json:"checked_to,omitzero"` // the record was read up to here

	// While the record, or a part of it, can't be read although the hooks can: since
	// when, and why.
	FailingSince time.Time `json:"failing_since,omitzero"`
	Error        string    `json:"error,omitempty"`
}

// NewRecoverer returns a Recoverer; nothing happens before RunOnce.
func NewRecoverer(api AttemptAPI, store Store, opts RecoverOptions) *Recoverer {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Recoverer{api: api, store: store, opts: opts, secrets: opts.Secrets, reading: reading{most: mostPages, seen: map[event.Key]known{}}, firings: map[firingKey]*firing{},
		absent: map[time.Time]time.Time{}}
}

// Stats returns what was recovered since the start.
func (r *Recoverer) Stats() RecoverStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

func (r *Recoverer) count(f func(*RecoverStats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.stats)
}

// ReadWhole makes the next run read all of the last hour and a half, as after an
// outage.
func (r *Recoverer) ReadWhole() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.whole = true
}

// RunOnce reads the new part of Kazoo's record, appends the lost events, oldest
// first, and moves the durable checkpoint. It returns the new attempts of our
// hooks, oldest first, with times by our clock. more says that later runs read the
// rest, and that nothing was concluded yet.
//
// The checkpoint never moves past the appended events, so an interrupted run is
// repeated without loss; the journal recognises duplicates. If nothing is new, a
// run costs one request.
func (r *Recoverer) RunOnce(ctx context.Context, account string) (fresh []crossbar.Attempt, more bool, err error) {
	r.run.Lock()
	defer r.run.Unlock()
	fresh, more, err = r.runOnce(ctx, account)
	r.count(func(s *RecoverStats) {
		s.Runs++
		if err != nil {
			s.Failures++
		}
	})
	if err != nil {
		return fresh, more, fmt.Errorf("recover: %w", err)
	}
	return fresh, more, nil
}

// passed notes whether the last pass over the hooks succeeded. If it didn't, its error
// says what is wrong.
func (r *Recoverer) passed(ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blind = !ok; r.blind {
		r.stats.FailingSince, r.stats.Error = time.Time{}, ""
	}
}

// fails records whether the record can be read.
func (r *Recoverer) fails(ctx context.Context, err error) {
	r.count(func(s *RecoverStats) {
		switch {
		case err == nil || r.blind:
			s.FailingSince, s.Error = time.Time{}, ""
		case ctx.Err() == nil:
			if s.Error = err.Error(); s.FailingSince.IsZero() {
				s.FailingSince = r.opts.Now().UTC()
			}
		}
	})
}

// Unread returns the end, by our clock, of the newest part of the record that the
// last run could not read; zero: it read everything. Everything after Unread was
// read.
func (r *Recoverer) Unread() time.Time {
	r.run.Lock()
	defer r.run.Unlock()
	return r.unread
}

func (r *Recoverer) runOnce(ctx context.Context, account string) ([]crossbar.Attempt, bool, error) {
	now := r.opts.Now()
	offset, _ := r.api.ClockOffset()
	at := checkpoint{Kazoo: now.Add(offset), Ours: now}
	r.unread = now.Add(ahead)
	last, err := r.lastCheckpoint(ctx, account)
	if err != nil {
		return nil, false, err
	}
	if last.Ours.IsZero() {
		last = at.back(firstLook)
	}
	ours, all, err := r.ourHooks(ctx, account)
	if err != nil {
		return nil, false, err
	}
	r.reading.recognise(ours)
	from := r.start(last, at)
	got, readErr := r.read(ctx, account, from, at, ours)
	r.fails(ctx, readErr)
	for i := range got.fresh {
		if got.fresh[i].Time.IsZero() {
			got.fresh[i].Time = at.Kazoo // an attempt without a time counts as new
		}
		got.fresh[i].Time = got.fresh[i].Time.Add(-offset)
	}
	slices.SortStableFunc(got.fresh, func(a, b crossbar.Attempt) int { return a.Time.Compare(b.Time) })
	r.note(got.fresh, now)
	if got.more {
		return got.fresh, true, readErr
	}
	if r.unread = got.unread; !r.unread.IsZero() {
		r.unread = r.unread.Add(-offset)
	}
	if err := r.settleAll(ctx, now); err != nil {
		return got.fresh, false, errors.Join(err, readErr)
	}
	r.forget(from, offset)
	if got.held.Before(at.Kazoo) {
		at = checkpoint{Kazoo: got.held.Add(overlap), Ours: got.held.Add(overlap - offset)}
	}
	if !all {
		return got.fresh, false, readErr
	}
	return got.fresh, false, errors.Join(readErr, r.move(ctx, account, at))
}

// settleAll settles all firings, oldest first: the journal matches them one to one,
// in this order, with stored requests. A firing that must wait delays those that
// differ from it only by order.
func (r *Recoverer) settleAll(ctx context.Context, now time.Time) error {
	list := make([]*firing, 0, len(r.firings))
	for _, f := range r.firings {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *firing) int {
		return cmp.Or(a.first.Compare(b.first), a.last.Compare(b.last), cmp.Compare(a.key.hook, b.key.hook), cmp.Compare(a.key.event, b.key.event))
	})
	const giveUp = 3 // in a row: then the cause is not in the firings
	waiting := map[event.Key]bool{}
	var errs []error
	failed := 0
	for _, f := range list {
		if err := r.settle(ctx, f, now, waiting); err == nil {
			failed = 0
			continue
		} else if failed++; len(errs) < giveUp {
			errs = append(errs, err)
		}
		if failed == giveUp || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// forget removes settled firings and read attempts from before the start of the reading.
func (r *Recoverer) forget(from time.Time, offset time.Duration) {
	for k, f := range r.firings {
		if f.done && f.last.Before(from.Add(-offset)) {
			delete(r.firings, k)
		}
	}
	for k, a := range r.reading.seen {
		if a.at.Before(from) {
			delete(r.reading.seen, k)
		}
	}
}
