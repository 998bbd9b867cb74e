package registration

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
)

// HookAPI is what reconciling needs of Crossbar. Implementations are safe for
// concurrent use, keep their own login and retry what is safe to retry; a
// CreateHook whose outcome is unknown returns crossbar.ErrAmbiguous.
type HookAPI interface {
	AttemptAPI
	Login(ctx context.Context) (crossbar.Account, error)
	Offered(ctx context.Context) ([]crossbar.OfferedHook, error)
	Hooks(ctx context.Context, account string) ([]crossbar.HookSummary, error)
	Hook(ctx context.Context, account, id string) (crossbar.Hook, error)
	CreateHook(ctx context.Context, account string, h crossbar.Hook) (crossbar.Hook, error)
	ReplaceHook(ctx context.Context, account string, h crossbar.Hook) (crossbar.Hook, error)
	EnableHook(ctx context.Context, account, id string) error
	DeleteHook(ctx context.Context, account, id string) error
}

// Options say what a Reconciler registers and where.
type Options struct {
	Desired                  // Specs as configured; the Reconciler expands them
	AccountID  string        // where to register; empty: the login's account
	Interval   time.Duration // between two passes
	Log        zerolog.Logger
	Now        func() time.Time
	OnRepaired func(Repair) // a hook was found off or missing and was put right; may be nil
}

// Repair tells that a hook which should have been firing was found not to, and
// fires again now: whatever happened since LastGood may have been missed.
type Repair struct {
	Hook     string    // our name of the hook
	Reason   string    // Kazoo's disable reason, or what was wrong
	LastGood time.Time // when it was last seen firing; zero: never by this process
	At       time.Time
}

// Reconciler keeps the hooks registered. Its methods are safe for concurrent
// use; passes never overlap.
type Reconciler struct {
	api  HookAPI
	opts Options

	pass     sync.Mutex // held during a pass
	account  crossbar.Account
	offered  []crossbar.OfferedHook
	offerAge time.Time
	details  map[string]crossbar.Hook // by id: the last full view of each owned hook
	next     int                      // which detail is read again next
	lapses   map[string]*lapse        // by name

	rivalTold time.Time // last warning of another receiver

	mu     sync.Mutex // guards status
	status Status
}

// NewReconciler returns a Reconciler; nothing happens before RunOnce or Run.
func NewReconciler(api HookAPI, opts Options) *Reconciler {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	r := &Reconciler{api: api, opts: opts, details: map[string]crossbar.Hook{}, lapses: map[string]*lapse{}}
	r.status = Status{Error: "not checked yet"}
	return r
}

// Run reconciles every Interval (give or take a tenth) until ctx ends. A pass
// that fails is tried again with growing pauses; its error is logged here.
// after is called after each pass once there was a login; ok says that the pass
// succeeded.
func (r *Reconciler) Run(ctx context.Context, after func(ctx context.Context, ok bool)) error {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval = time.Second
	retry.MaxInterval = max(r.opts.Interval, time.Second)
	for {
		pause := time.Duration(float64(r.opts.Interval) * (0.9 + rand.Float64()/5)) //nolint:gosec // jitter needs no secrecy
		err := r.RunOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			pause = retry.NextBackOff()
			var refused *crossbar.Error
			if errors.As(err, &refused) && !refused.NextTry.IsZero() {
				// The client paces refused logins: asking it sooner gives the same error.
				pause = max(pause, time.Until(refused.NextTry))
			}
			r.opts.Log.Error().Err(err).Int64("retry_in_ms", pause.Milliseconds()).Msg("registration could not be checked or repaired")
		default:
			retry.Reset()
		}
		if r.Status().AccountID != "" {
			after(ctx, err == nil)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// Plan returns what RunOnce would change, and what HOOKS asks for that this
// cluster doesn't offer. It changes nothing.
func (r *Reconciler) Plan(ctx context.Context) ([]Change, []string, error) {
	r.pass.Lock()
	defer r.pass.Unlock()
	desired, problems, err := r.desired(ctx)
	if err != nil {
		return nil, nil, err
	}
	actual, err := r.actual(ctx, true)
	if err != nil {
		return nil, problems, err
	}
	return Plan(r.opts.Owner, desired, actual), problems, nil
}

// RunOnce makes Kazoo's hooks what they should be. It plans again after
// creating hooks, because Kazoo lets two receivers that start at once create
// the same hook twice. It is idempotent. What HOOKS asks for and the cluster
// doesn't offer is no error, which trying again might mend, but in the Status.
func (r *Reconciler) RunOnce(ctx context.Context) error {
	r.pass.Lock()
	defer r.pass.Unlock()
	started := r.opts.Now()
	err := r.runOnce(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.CheckedAt = r.opts.Now()
	r.status.Runs++
	r.status.Took += max(0, r.status.CheckedAt.Sub(started))
	r.status.Error = ""
	if err != nil {
		r.status.Error = err.Error()
		r.status.Failures++
	} else {
		r.status.OKAt = r.status.CheckedAt
	}
	return err
}

func (r *Reconciler) runOnce(ctx context.Context) error {
	desired, problems, err := r.desired(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	news := !slices.Equal(problems, r.status.Problems)
	r.status.Problems = problems
	r.mu.Unlock()
	if news {
		for _, p := range problems {
			r.opts.Log.Error().Msg(p)
		}
	}
	var errs []error
	const rounds = 3 // create, settle a race, confirm
	for range rounds {
		actual, err := r.actual(ctx, false)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		plan := Plan(r.opts.Owner, desired, actual)
		r.observe(desired, actual)
		again := false
		errs = nil
		for _, c := range plan {
			applied, err := r.apply(ctx, c)
			if err != nil {
				errs = append(errs, err)
			}
			// An unknown outcome is looked up; a created hook may have a twin.
			again = again || errors.Is(err, crossbar.ErrAmbiguous) || applied
		}
		if !again {
			break
		}
	}
	return errors.Join(errs...)
}

// desired logs in where needed and expands HOOKS to what the cluster offers.
func (r *Reconciler) desired(ctx context.Context) ([]crossbar.Hook, []string, error) {
	const offerTTL = time.Hour // a cluster's offer changes only with its software
	if r.account.ID == "" {
		account, err := r.api.Login(ctx)
		if err != nil {
			return nil, nil, err
		}
		if r.opts.AccountID != "" && r.opts.AccountID != account.ID {
			account = crossbar.Account{ID: r.opts.AccountID}
		}
		r.account = account
		r.mu.Lock()
		r.status.AccountID, r.status.AccountName = account.ID, account.Name
		r.mu.Unlock()
	}
	if r.offered == nil || r.opts.Now().Sub(r.offerAge) > offerTTL {
		offered, err := r.api.Offered(ctx)
		if err != nil {
			return nil, nil, err
		}
		r.offered, r.offerAge = offered, r.opts.Now()
	}
	d := r.opts.Desired
	specs, problems := Expand(d.Specs, r.offered)
	d.Specs = specs
	return d.Hooks(), problems, nil
}

// actual lists our hooks in full. The listing shows only name, URI and state,
// and the rest costs one request a hook, so a pass reads the details of the
// hooks that are new to us and of a few others in turn (all of them if fresh).
func (r *Reconciler) actual(ctx context.Context, fresh bool) ([]crossbar.Hook, error) {
	const detailsPerPass = 10
	list, err := r.api.Hooks(ctx, r.account.ID)
	if err != nil {
		return nil, err
	}
	var owned []crossbar.HookSummary
	for _, s := range list {
		if Owned(r.opts.Owner, s.Name) {
			owned = append(owned, s)
		}
	}
	kept := make(map[string]crossbar.Hook, len(owned))
	var hooks []crossbar.Hook
	for i, s := range owned {
		h, known := r.details[s.ID]
		turn := (i-r.next+len(owned))%len(owned) < detailsPerPass
		if fresh || turn || !known {
			h, err = r.api.Hook(ctx, r.account.ID, s.ID)
			if crossbar.IsNotFound(err) {
				continue // deleted since it was listed
			}
			if err != nil {
				return nil, err
			}
		}
		h.Name, h.URI, h.Enabled, h.DisableReason = s.Name, s.URI, s.Enabled, s.DisableReason
		kept[s.ID] = h
		hooks = append(hooks, h)
	}
	r.details = kept
	if len(owned) > 0 {
		r.next = (r.next + detailsPerPass) % len(owned)
	}
	return hooks, nil
}
