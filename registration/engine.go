package registration

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// Engine makes sure that nothing is missed. It reconciles the hooks, recovers
// failed attempts from Kazoo's record, and compares all objects after every outage
// and periodically. These run independently: none waits for the requests of
// another.
type Engine struct {
	Reconciler *Reconciler
	Recoverer  *Recoverer
	Resyncer   *Resyncer

	opts    EngineOptions
	proofs  *proofs
	judge   judge // used by the recover loop only
	budget  *Budget
	failed  *Failures
	resync  chan string // reasons for a comparison, one waiting at most
	recover chan struct{}

	mu      sync.Mutex
	saw     bool // the current pass has seen the hooks
	started time.Time
	outages int
	logged  map[string]time.Time
}

// EngineOptions configure an Engine.
type EngineOptions struct {
	ResyncInterval time.Duration
	// Settle is the time until Kazoo uses a changed hook. A comparison begins three
	// times that after the last change. 0: one second. Kazoo loads a changed
	// hook when its document's change is published, within milliseconds (kazoo 4.3
	// applications/webhooks/src/webhooks_listener.erl, handle_config); the fake
	// does so at once.
	Settle time.Duration
	// Listening names the span of time in which the receiver has listened without a
	// break. If a later process gets the same text, the span goes on; only the leaders
	// of a cluster can know that. nil or "": it began with this process.
	Listening    func(context.Context) (string, error)
	LastDelivery func() time.Time // time of the last request from Kazoo; zero: none since the start. May be nil
	Notify       Notify           // of outages, hooks that are off and deletions that wait; may be nil
	Log          zerolog.Logger
	Now          func() time.Time
}

// NewEngine returns an Engine; all its parts use api.
func NewEngine(api interface {
	HookAPI
	ObjectAPI
}, store SnapshotStore, reg Options, rec RecoverOptions, res ResyncOptions, opts EngineOptions) *Engine {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Settle == 0 {
		opts.Settle = time.Second
	}
	if opts.LastDelivery == nil {
		opts.LastDelivery = func() time.Time { return time.Time{} }
	}
	e := &Engine{opts: opts, failed: NewFailures(), resync: make(chan string, 1), recover: make(chan struct{}, 1),
		logged: map[string]time.Time{}, proofs: newProofs(store, reg.Interval, opts.Now)}
	e.proofs.listening = opts.Listening
	reg.Watch, reg.Notify, res.Notify = e, opts.Notify, opts.Notify
	e.Reconciler = NewReconciler(api, reg)
	e.budget = NewBudget(e.Reconciler.firing, opts.Log)
	rec.OurHooks = e.Reconciler.owned
	rec.Secrets, rec.Specs = []string{reg.Secret, reg.PreviousSecret}, reg.Specs
	e.Recoverer = NewRecoverer(api, store, rec)
	e.Resyncer = NewResyncer(api, store, res)
	return e
}

// Overview describes the connection to Kazoo.
type Overview struct {
	Registration Status         `json:"registration"`
	Failures     map[string]int `json:"failures_last_minute"` // by hook id; Kazoo switches a hook off at FailureLimit
	FailureLimit int            `json:"failure_limit"`
	LastDelivery time.Time      `json:"last_delivery,omitzero"`
	Outages      int            `json:"gaps"` // found since the start
	Recover      RecoverStats   `json:"recover"`
	Resync       ResyncStats    `json:"resync"`
}

// Overview returns the state of the engine and what it did since the start.
func (e *Engine) Overview() Overview {
	return Overview{
		Registration: e.Reconciler.Status(), Failures: e.Budget(), FailureLimit: failureLimit, LastDelivery: e.opts.LastDelivery().UTC(),
		Outages: e.Outages(), Recover: e.Recoverer.Stats(), Resync: e.Resyncer.Stats(),
	}
}

// Budget returns the failures of each hook within the last minute, by hook id.
func (e *Engine) Budget() map[string]int { return e.budget.Failures(e.opts.Now()) }

// RecentFailures returns what Kazoo could not deliver in the last day, grouped by
// hook and reason, the newest first.
func (e *Engine) RecentFailures() []FailureGroup { return e.failed.Recent(e.opts.Now()) }

// NoteRefusal counts a request of one of our hooks that was answered with neither
// 200 nor 503: Kazoo counts it as a failure. The request must have had the right
// secret. Safe for concurrent use and cheap; unknown hooks are ignored.
func (e *Engine) NoteRefusal(hookID string) {
	if e.Reconciler.Has(hookID) {
		e.budget.Refused(hookID, e.opts.Now())
	}
}

// Keys returns what Keyring.Of does. Safe for concurrent use and cheap.
func (e *Engine) Keys(hookID string) (keys [][]byte, since time.Time, signed bool) {
	return e.Reconciler.keysOf(hookID)
}

// Resume reads from the journal which hooks had a key when an earlier process last saw
// them. It comes before Run and before the first request is judged by Keys.
func (e *Engine) Resume(ctx context.Context) {
	if e.Reconciler.opts.Keys != nil {
		e.Reconciler.setSigned(Signed(ctx, e.proofs.store))
	}
}

// ReconcileNow starts a check of the hooks within a second. Safe for concurrent
// use.
func (e *Engine) ReconcileNow() { e.Reconciler.ReconcileNow() }

// Run runs the engine until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	e.started = e.opts.Now()
	e.mu.Unlock()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.Reconciler.Run(gctx, e.afterPass) })
	g.Go(func() error { return e.recoverLoop(gctx) })
	g.Go(func() error { return e.resyncLoop(gctx) })
	g.Go(func() error { return e.Resyncer.Follow(gctx, func() string { return e.Reconciler.Status().AccountID }) })
	return g.Wait()
}

// Prepare implements Watcher. It sets a recovery checkpoint before the first hook
// is created, so that everything this hook can't deliver is read back.
func (e *Engine) Prepare(ctx context.Context, account string, hooks bool) error {
	begun, err := e.Recoverer.Begin(ctx, account, hooks)
	if err != nil {
		return err
	}
	return e.proofs.prepare(ctx, account, begun)
}

// Names implements Watcher.
func (e *Engine) Names() []string { return e.proofs.names() }

// Known implements Watcher.
func (e *Engine) Known(name string) HookState { return e.proofs.known(name) }

// Saw implements Watcher. A hook that is found broken is recorded before it is
// repaired: the next leader of a cluster couldn't see that any more. When one is back, a
// comparison is requested. It waits for the proof of all hooks, but not for ever.
func (e *Engine) Saw(ctx context.Context, pass int, hooks []Sighting) {
	e.mu.Lock()
	e.saw = true
	e.mu.Unlock()
	broken, back := e.proofs.saw(pass, hooks)
	if broken {
		_ = e.proofs.save(ctx) // if it can't be stored, this process doesn't lead and repairs nothing
	}
	if back {
		e.askResync(afterOutage)
	}
}

// afterPass runs after each pass of the reconciler. If a hook fires again, the next
// pass follows soon and proves it.
func (e *Engine) afterPass(_ context.Context, ok bool) (next Next) {
	e.Recoverer.passed(ok)
	e.mu.Lock()
	if !e.saw {
		e.proofs.missed()
	}
	e.saw = false
	e.mu.Unlock()
	select {
	case e.recover <- struct{}{}:
	default:
	}
	some, soon := e.proofs.unseen()
	if soon {
		next.In = max(e.opts.Settle, e.proofs.lastChange().Add(3*e.opts.Settle).Sub(e.opts.Now()))
	}
	next.All = some
	return next
}

// recoverLoop recovers after each pass, until all of Kazoo's record is read.
func (e *Engine) recoverLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.recover:
		}
		for e.recoverOnce(ctx) && ctx.Err() == nil { // nothing is proven before all is read
		}
	}
}

// recoverOnce reads the new part of Kazoo's record and judges it. more says that a rest
// is left.
func (e *Engine) recoverOnce(ctx context.Context) (more bool) {
	started := e.opts.Now()
	attempts, more, err := e.Recoverer.RunOnce(ctx, e.Reconciler.Status().AccountID)
	now := e.opts.Now()
	e.budget.Observe(attempts, now)
	e.failed.Observe(attempts, now)
	e.reachability(attempts, now)
	e.signs(attempts)
	if !more {
		e.judged(ctx, started, e.Recoverer.Unread())
	}
	if err != nil && ctx.Err() == nil && e.mayLog("recover: "+err.Error()) {
		e.opts.Log.Error().Err(err).Msg("not all failed deliveries could be recovered; the next pass tries again")
	}
	return more
}

// judged records that Kazoo's record was read at readAt, completely after unread.
func (e *Engine) judged(ctx context.Context, readAt, unread time.Time) {
	ended, first := e.proofs.judged(readAt, unread)
	if len(ended) > 0 {
		e.reportOutage(ctx, merge(ended)) // before saving: an outage that isn't saved is found again
	}
	// After a restart, unsaved state looks like a longer outage. The journal logs
	// the error.
	_ = e.proofs.save(ctx)
	e.outage(ended)
	if first {
		e.askResync("hooks are registered and enabled")
	}
}

// logResync logs the result of a comparison; part is the error of one that failed for
// some accounts or types.
func (e *Engine) logResync(r Report, reason string, part error) {
	line, msg := e.opts.Log.Info(), "resync: Kazoo's objects were compared with the snapshot"
	if r.Baseline {
		msg = "resync: the first listing of (some of) Kazoo's objects is the baseline"
	}
	if part != nil {
		line, msg = e.opts.Log.Warn().Err(part), "resync: a part of Kazoo's objects could not be compared with the snapshot, and is tried again"
	}
	line.Str("reason", reason).Int("listed", r.Listed).Int("deleted", len(r.Deleted)).Int("created", len(r.Created)).
		Bool("held_back", r.Held).Msg(msg)
}
