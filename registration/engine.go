package registration

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// Engine makes sure that nothing is missed: it reconciles the hooks and, after
// every gap and periodically, recovers and resyncs what happened meanwhile. The
// three go on independently: none waits for another's requests.
type Engine struct {
	Reconciler *Reconciler
	Recoverer  *Recoverer
	Resyncer   *Resyncer

	opts    EngineOptions
	store   Store
	budget  *Budget
	failed  *Failures
	resync  chan string // reasons for a resync, one waiting at most
	recover chan struct{}

	mu      sync.Mutex
	started time.Time
	firing  bool      // every hook was registered and enabled after the last pass
	alive   time.Time // the durable alive mark
	gaps    int
	told    map[string]time.Time
}

// EngineOptions compose an Engine.
type EngineOptions struct {
	ResyncInterval time.Duration
	LastDelivery   func() time.Time // when Kazoo last reached us; zero: not since the start. May be nil
	Log            zerolog.Logger
	Now            func() time.Time
}

// NewEngine composes the engine; api serves all its parts.
func NewEngine(api interface {
	HookAPI
	ObjectAPI
}, store SnapshotStore, reg Options, rec RecoverOptions, res ResyncOptions, opts EngineOptions) *Engine {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.LastDelivery == nil {
		opts.LastDelivery = func() time.Time { return time.Time{} }
	}
	e := &Engine{opts: opts, store: store, budget: NewBudget(opts.Log), failed: NewFailures(), resync: make(chan string, 1), recover: make(chan struct{}, 1),
		told: map[string]time.Time{}}
	reg.OnRepaired = e.repaired
	e.Reconciler = NewReconciler(api, reg)
	rec.OurHooks = e.Reconciler.IDs
	e.Recoverer = NewRecoverer(api, store, rec)
	e.Resyncer = NewResyncer(api, store, res)
	return e
}

// Overview is everything a person wants to know about being heard.
type Overview struct {
	Registration Status         `json:"registration"`
	Failures     map[string]int `json:"failures_last_minute"` // by hook id; Kazoo switches a hook off at FailureLimit
	FailureLimit int            `json:"failure_limit"`
	LastDelivery time.Time      `json:"last_delivery,omitzero"`
	Gaps         int            `json:"gaps"` // found since the start
	Recover      RecoverStats   `json:"recover"`
	Resync       ResyncStats    `json:"resync"`
}

// Overview returns the state of the engine and what it did since the start.
func (e *Engine) Overview() Overview {
	return Overview{
		Registration: e.Reconciler.Status(), Failures: e.Budget(), FailureLimit: failureLimit, LastDelivery: e.opts.LastDelivery().UTC(),
		Gaps: e.Gaps(), Recover: e.Recoverer.Stats(), Resync: e.Resyncer.Stats(),
	}
}

// Budget returns how near each hook is to being switched off: failures within
// the last minute by hook id.
func (e *Engine) Budget() map[string]int { return e.budget.Failures(e.opts.Now()) }

// RecentFailures returns what Kazoo could not deliver in the last day, grouped by
// hook and reason, the newest first.
func (e *Engine) RecentFailures() []FailureGroup { return e.failed.Recent(e.opts.Now()) }

// NoteRefusal tells of a delivery through one of our hooks that we answered
// with something else than 200 and without asking for a resend: Kazoo counts
// it. Safe for concurrent use and cheap; unknown hooks are ignored.
func (e *Engine) NoteRefusal(hookID string) {
	if e.Reconciler.Has(hookID) {
		e.budget.Refused(hookID, e.opts.Now())
	}
}

// Run keeps the engine going until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	e.started = e.opts.Now()
	e.mu.Unlock()
	e.awayGap(ctx)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.Reconciler.Run(gctx, e.afterPass) })
	g.Go(func() error { return e.recoverLoop(gctx) })
	g.Go(func() error { return e.resyncLoop(gctx) })
	err := g.Wait()
	e.lastMark(ctx)
	return err
}

// afterPass runs after each pass of the reconciler; ok says that it succeeded.
func (e *Engine) afterPass(ctx context.Context, ok bool) {
	firing := ok && e.Reconciler.Status().Firing()
	e.mu.Lock()
	was := e.firing
	e.firing = firing
	e.mu.Unlock()
	if firing {
		e.mark(ctx)
		if !was {
			e.askResync("hooks are registered and enabled")
		}
	}
	select {
	case e.recover <- struct{}{}:
	default:
	}
}

// recoverLoop recovers after each pass.
func (e *Engine) recoverLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.recover:
		}
		e.recoverOnce(ctx)
	}
}

func (e *Engine) recoverOnce(ctx context.Context) {
	account := e.Reconciler.Status().AccountID
	attempts, err := e.Recoverer.RunOnce(ctx, account)
	now := e.opts.Now()
	if err != nil {
		if ctx.Err() == nil && e.tell("recover: "+err.Error()) {
			e.opts.Log.Error().Err(err).Msg("failed deliveries could not all be recovered; it is tried again after every pass")
		}
		return
	}
	e.budget.Observe(attempts, now)
	e.failed.Observe(attempts, now)
	e.reachability(attempts, now)
}

// firstResync is how long the first comparison waits for the hooks to be
// registered: a deletion between the listing and that would be told by nobody.
const firstResync = time.Minute

// resyncLoop resyncs once the hooks are there, when asked and every
// ResyncInterval. A run that fails is tried again with growing pauses.
func (e *Engine) resyncLoop(ctx context.Context) error {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 5*time.Second, 10*time.Minute
	timer := time.NewTimer(firstResync)
	defer timer.Stop()
	for {
		reason := "interval"
		select {
		case <-ctx.Done():
			return nil
		case reason = <-e.resync:
		case <-timer.C:
		}
		account := e.Reconciler.Status().AccountID
		if account == "" {
			timer.Reset(time.Second) // no login yet: registration says why
			continue
		}
		report, err := e.Resyncer.Run(ctx, account, Request{})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			pause := retry.NextBackOff()
			timer.Reset(pause)
			e.opts.Log.Error().Err(err).Str("reason", reason).Int64("retry_in_ms", pause.Milliseconds()).Msg("resync failed in part or whole; nothing was concluded from what failed")
		default:
			retry.Reset()
			timer.Reset(time.Duration(float64(e.opts.ResyncInterval) * (0.95 + rand.Float64()/10))) //nolint:gosec // jitter needs no secrecy
			e.logResync(report, reason)
		}
	}
}

func (e *Engine) askResync(reason string) {
	select {
	case e.resync <- reason:
	default: // one is waiting already
	}
}

func (e *Engine) logResync(r Report, reason string) {
	msg := "resync: Kazoo's objects were compared with the snapshot"
	if r.Baseline {
		msg = "resync: the first look at (some of) Kazoo's objects is the baseline"
	}
	e.opts.Log.Info().Str("reason", reason).Int("listed", r.Listed).Int("deleted", len(r.Deleted)).Int("created", len(r.Created)).
		Bool("held_back", r.Held).Msg(msg)
}
