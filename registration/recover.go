package registration

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// AttemptAPI is what recovering needs of Crossbar: the failed attempts of an
// account's hooks (hookID empty: of all), newest first, for a window of at most
// 31 days of Kazoo's clock; and how far that clock is ahead of ours, if known.
type AttemptAPI interface {
	Attempts(ctx context.Context, account, hookID string, from, to time.Time) iter.Seq2[crossbar.Attempt, error]
	ClockOffset() (time.Duration, bool)
}

// Store is what the never-miss engine keeps in the journal's file. Append is
// durable and recognises repetitions; State is a small durable map in which an
// absent key is "".
type Store interface {
	Append(ctx context.Context, r event.Record) (event.Appended, error)
	State(ctx context.Context, key string) (string, error)
	SetState(ctx context.Context, key, value string) error
}

// RecoverOptions say whose attempts are read.
type RecoverOptions struct {
	PublicURL string          // attempts at this URL are ours, whatever hook made them
	OurHooks  func() []string // so are those of these hooks, whatever their URL was then; may be nil
	Log       zerolog.Logger
	Now       func() time.Time
}

// Recoverer appends what Kazoo tried to deliver and could not, read from its
// record of failed attempts. Runs never overlap.
type Recoverer struct {
	api   AttemptAPI
	store Store
	opts  RecoverOptions

	run     sync.Mutex              // held during a run; guards the next two
	decided map[firingKey]decision  // what was done with the firings that are read again
	absent  map[time.Time]time.Time // months that Kazoo has no record of, and since when we know

	mu    sync.Mutex
	stats RecoverStats
}

// RecoverStats count what recovering did since the start.
type RecoverStats struct {
	Runs          int       `json:"runs"`
	Failures      int       `json:"failures"`            // runs that failed
	Recovered     int       `json:"recovered"`           // lost events appended
	Held          int       `json:"held"`                // lost by Kazoo's account, but the journal has them
	Unrecoverable int       `json:"unrecoverable"`       // lost events of which Kazoo keeps no body (GET hooks)
	ArchivedGaps  int       `json:"archived_gaps"`       // months whose record is gone
	CheckedTo     time.Time `json:"checked_to,omitzero"` // the record was read up to here
}

// NewRecoverer returns a Recoverer; nothing happens before RunOnce.
func NewRecoverer(api AttemptAPI, store Store, opts RecoverOptions) *Recoverer {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Recoverer{api: api, store: store, opts: opts, decided: map[firingKey]decision{}, absent: map[time.Time]time.Time{}}
}

// Stats returns what recovering did since the start.
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

// RunOnce reads the attempts since the durable checkpoint, appends the events
// that were lost, moves the checkpoint and returns the attempts it saw, oldest
// first, their times by our clock. The first run ever only sets the checkpoint:
// what failed before us was never ours.
//
// The checkpoint never moves past what was appended, so a run that is cut short
// repeats without loss; repetitions are recognised by the journal. It costs one
// request where nothing failed.
func (r *Recoverer) RunOnce(ctx context.Context, account string) ([]crossbar.Attempt, error) {
	r.run.Lock()
	defer r.run.Unlock()
	attempts, err := r.runOnce(ctx, account)
	r.count(func(s *RecoverStats) {
		s.Runs++
		if err != nil {
			s.Failures++
		}
	})
	if err != nil {
		return attempts, fmt.Errorf("recover: %w", err)
	}
	return attempts, nil
}

func (r *Recoverer) runOnce(ctx context.Context, account string) ([]crossbar.Attempt, error) {
	now := r.opts.Now()
	offset, _ := r.api.ClockOffset()
	read := checkpoint{Kazoo: now.Add(offset), Ours: now}
	last, err := r.lastCheckpoint(ctx, account)
	if err != nil {
		return nil, err
	}
	if last.Ours.IsZero() {
		return nil, r.move(ctx, account, read)
	}
	ours, err := r.ourHooks(ctx, account)
	if err != nil {
		return nil, err
	}
	from := r.start(last, read)
	seen, held, readErr := r.read(ctx, account, from, read.Kazoo, ours)
	for i := range seen {
		if seen[i].Time.IsZero() {
			seen[i].Time = read.Kazoo // an attempt without a time is taken for a new one
		}
		seen[i].Time = seen[i].Time.Add(-offset)
	}
	slices.SortStableFunc(seen, func(a, b crossbar.Attempt) int { return a.Time.Compare(b.Time) })
	for _, f := range firings(seen) {
		if err := r.settle(ctx, f, now); err != nil {
			return seen, errors.Join(err, readErr)
		}
	}
	for k, d := range r.decided {
		if d.last.Before(from.Add(-offset)) {
			delete(r.decided, k) // not read again
		}
	}
	if held.Before(read.Kazoo) {
		read = checkpoint{Kazoo: held.Add(overlap), Ours: held.Add(overlap - offset)}
	}
	return seen, errors.Join(readErr, r.move(ctx, account, read))
}

// read reads the attempts of our hooks in a span of Kazoo's clock. What could
// not be read is passed over, and held is where that begins, else to: the
// checkpoint must not move past it.
func (r *Recoverer) read(ctx context.Context, account string, from, to time.Time, ours map[string]bool) (seen []crossbar.Attempt, held time.Time, err error) {
	const giveUp = 2 // windows in a row: then it is not the windows
	held, failed := to, 0
	for w := range windows(from, to.Add(ahead)) {
		list, werr := r.window(ctx, account, w, ours)
		seen = append(seen, list...)
		switch {
		case werr == nil:
			failed = 0
			delete(r.absent, w.month())
			continue
		case isAbsent(werr) && r.archived(w, to, werr):
			continue
		case !isAbsent(werr):
			err = errors.Join(err, fmt.Errorf("read failed attempts: %w", werr))
			failed++
		}
		held = minTime(held, w.from)
		if failed == giveUp || ctx.Err() != nil {
			break
		}
	}
	return seen, held, err
}

// window reads one window's attempts of our hooks.
func (r *Recoverer) window(ctx context.Context, account string, w window, ours map[string]bool) ([]crossbar.Attempt, error) {
	var list []crossbar.Attempt
	prefix := strings.TrimRight(r.opts.PublicURL, "/") + "/kazoo/"
	for a, err := range r.api.Attempts(ctx, account, "", w.from, w.to) {
		if err != nil {
			return list, err
		}
		if a.EventID == "" {
			a.EventID = madeUpID(a)
		}
		if strings.HasPrefix(a.URI, prefix) || ours[a.HookID] {
			list = append(list, a)
		}
	}
	return list, nil
}

// isAbsent reports that Kazoo has no database, or no view, of a month.
func isAbsent(err error) bool {
	const missingView = "missing view" // kazoo 4.3 applications/crossbar/src/crossbar_util.erl: a 503
	var e *crossbar.Error
	return crossbar.IsNotFound(err) || errors.As(err, &e) && strings.Contains(e.Message, missingView)
}

// archived decides whether an absent month is gone for good, and says so once.
// A month that is not over may just have no record yet, and a view that is
// missing may be being built: both are asked for again.
func (r *Recoverer) archived(w window, now time.Time, why error) bool {
	since, noticed := r.absent[w.month()]
	if !noticed {
		since = r.opts.Now()
		r.absent[w.month()] = since
	}
	if !w.to.Before(now.Add(-overlap)) || r.opts.Now().Sub(since) < archiveGrace {
		return false
	}
	r.count(func(s *RecoverStats) { s.ArchivedGaps++ })
	r.opts.Log.Warn().Err(why).Time("from", w.from.UTC()).Time("to", w.to.UTC()).
		Msg("Kazoo has no record (any more) of the failed attempts of this time: what was lost then can't be read back; deleted objects are still found by the resync")
	return true
}
