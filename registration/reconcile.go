package registration

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
)

// HookAPI is the part of Crossbar that the Reconciler needs. Implementations are
// safe for concurrent use, log in by themselves and retry what is safe to retry. A
// CreateHook whose outcome is unknown returns crossbar.ErrAmbiguous.
type HookAPI interface {
	AttemptAPI
	Login(ctx context.Context) (crossbar.Account, error)
	Offered(ctx context.Context) ([]crossbar.OfferedHook, error)
	Hooks(ctx context.Context, account string) ([]crossbar.HookSummary, error)
	Hook(ctx context.Context, account, id string) (crossbar.Hook, error)
	CreateHook(ctx context.Context, account string, h crossbar.Hook) (crossbar.Hook, error)
	ReplaceHook(ctx context.Context, account string, h crossbar.Hook) (crossbar.Hook, error)
	EnableHook(ctx context.Context, account, id string) (crossbar.Hook, error)
	DeleteHook(ctx context.Context, account, id string) error
}

// Options configure a Reconciler.
type Options struct {
	Desired                 // Specs as configured; the Reconciler expands them
	AccountID string        // where to register; empty: the login's account
	Interval  time.Duration // between two passes
	Log       zerolog.Logger
	Now       func() time.Time
	Watch     Watcher // gets what passes see; may be nil
	Notify    Notify  // reports hooks that are found switched off; may be nil
}

// Watcher gets what passes see of the hooks. A pass calls Prepare after listing the
// hooks and before any change; an error of Prepare ends the pass. Then it calls
// Saw, again after each round of changes. Calls never overlap.
type Watcher interface {
	Prepare(ctx context.Context, account string, hooks bool) error // hooks: some of ours exist
	Names() []string                                               // of the hooks with durable state
	Known(name string) HookState
	Saw(ctx context.Context, pass int, hooks []Sighting)
}

// Reconciler keeps the hooks registered. Its methods are safe for concurrent
// use; passes never overlap.
type Reconciler struct {
	api  HookAPI
	opts Options
	now  chan struct{} // requests a pass at once

	secrets atomic.Pointer[[2]string] // for the next pass; nil: unchanged

	pass       sync.Mutex // held during a pass; guards what follows
	passes     int
	account    crossbar.Account
	offered    []crossbar.OfferedHook
	offerAge   time.Time
	offerPass  int // the pass that asked last, and the result
	offerErr   error
	narrowed   bool                         // several hooks stand for an entry of HOOKS
	incomplete bool                         // the offer lacked something wanted, so it is read again
	details    map[string]crossbar.Hook     // by id: the last full view of each owned hook
	next       int                          // the next detail to read again
	whole      map[string]bool              // by id: the details were read in this pass
	stuck      map[string]stuckHook         // by id: the details could not be read in this pass
	inRow      int                          // hooks in a row whose details got no answer
	noRecord   bool                         // Kazoo's record of failed attempts could not be read in this pass
	there      map[string]bool              // ids of hooks of ours that were seen or created and not deleted since
	recalled   bool                         // there has the hooks of earlier processes
	history    map[string]*history          // by name
	kept       map[string]map[string]Unkept // by name and field: see keptOf
	reported   map[string]string            // by id: how it was found off the last time
	rivalAt    time.Time                    // last warning of another receiver
	version2   support
	refusals   map[Spec]time.Time    // unlisted hooks that Kazoo has declined, until they are tried again
	signing    bool                  // hooks are wanted with version 2
	legs       support               // include_internal_legs
	askAt      time.Time             // askVersion not before this
	planning   bool                  // make no changes
	refused    bool                  // a hook of version 2 was refused, perhaps for another reason
	set        map[string]ChangeKind // by id: hooks whose wanted settings were written in this pass
	saved      map[string]string     // by id: hooks that this pass wrote to, with the revision of its last write

	mu     sync.Mutex // guards what follows
	status Status
	want   map[string]wantedHook // by id
	signed SignedHooks           // by id: hooks that Kazoo signs with one of our keys
	ever   []string              // ids of all hooks of ours that were seen or created, including duplicates
	seen   bool                  // Kazoo has listed its hooks
}

// NewReconciler returns a Reconciler; nothing happens before RunOnce or Run.
func NewReconciler(api HookAPI, opts Options) *Reconciler {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	r := &Reconciler{api: api, opts: opts, now: make(chan struct{}, 1), details: map[string]crossbar.Hook{}, there: map[string]bool{}, history: map[string]*history{}, kept: map[string]map[string]Unkept{}, refusals: map[Spec]time.Time{}, reported: map[string]string{}}
	return r
}

// Plan returns the changes that RunOnce would make, and the entries of HOOKS that
// can't be registered. It changes nothing.
func (r *Reconciler) Plan(ctx context.Context) ([]Change, []string, error) {
	r.pass.Lock()
	defer r.pass.Unlock()
	r.planning = true
	defer func() { r.planning = false }()
	if err := r.login(ctx); err != nil {
		return nil, nil, err
	}
	r.stuck = map[string]stuckHook{}
	actual, err := r.actual(ctx, true)
	if err := errors.Join(append(r.stuckErrors(), err)...); err != nil {
		return nil, nil, err
	}
	desired, problems, err := r.desired(ctx, actual)
	if err != nil && len(problems) == 0 {
		return nil, nil, err
	}
	return r.plan(desired, actual), problems, nil
}

func (r *Reconciler) plan(desired, actual []crossbar.Hook) []Change {
	changes := Plan(r.opts.Owner, desired, r.withDefaults(actual))
	if r.opts.Keys != nil && !r.opts.Keys.kept() {
		changes = slices.DeleteFunc(changes, onlyKey) // our key isn't known here
	}
	for i := range changes {
		spec, _ := specOfName(r.opts.Owner, changes[i].Hook.Name)
		changes[i].Purpose = r.opts.Purpose(spec)
	}
	return changes
}

// onlyKey reports whether a change only replaces a hook's key.
func onlyKey(c Change) bool {
	return c.Kind == Update && len(c.Fields) == 1 && c.Fields[0].Field == keyField && c.Before.SecurityKey != ""
}

// RunOnce makes the hooks in Kazoo as they should be. It plans again after changes,
// because two receivers that start at once can create the same hook twice. It is
// idempotent. Entries of HOOKS that the cluster doesn't offer are reported in the
// Status, not as an error, because another try doesn't help.
func (r *Reconciler) RunOnce(ctx context.Context) error { return r.reconcile(ctx, false) }

func (r *Reconciler) reconcile(ctx context.Context, all bool) error {
	r.pass.Lock()
	defer r.pass.Unlock()
	r.takeSecrets()
	started := r.opts.Now()
	err := r.runOnce(ctx, all)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.CheckedAt = r.opts.Now()
	r.status.Runs++
	r.status.Took += max(0, r.status.CheckedAt.Sub(started))
	r.status.Error, r.status.Cause = "", causeOf(err)
	if err != nil {
		r.status.Error = err.Error()
		r.status.Failures++
	} else {
		r.status.OKAt = r.status.CheckedAt
	}
	return err
}

func (r *Reconciler) runOnce(ctx context.Context, all bool) error {
	if err := r.login(ctx); err != nil {
		return err
	}
	r.passes++
	r.whole, r.stuck, r.noRecord = map[string]bool{}, map[string]stuckHook{}, false
	r.set, r.saved = map[string]ChangeKind{}, map[string]string{}
	var errs []error
	const rounds = 4 // change, change without version 2, settle a race, confirm
	for round := range rounds {
		actual, err := r.actual(ctx, all && round == 0)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if actual, err = r.prepare(ctx, actual); err != nil {
			return errors.Join(append(errs, err)...)
		}
		desired, problems, err := r.desired(ctx, actual)
		errs = r.stuckErrors()
		if err != nil {
			errs = append(errs, err)
		}
		r.problems(problems)
		changes, contested := r.unkept(r.readable(r.plan(desired, actual)))
		unsure := append(r.unsure(changes, desired, actual, err), contested...)
		r.noteSigned(actual)
		r.observe(ctx, desired, actual)
		again := false
		if !slices.ContainsFunc(changes, func(c Change) bool { return c.Kind == Create || c.Kind == Update }) { // whose answers tell, too
			again = r.askVersion(ctx, actual)
		}
		for _, c := range changes {
			if c.Kind == Delete && r.needed(c, desired, unsure) {
				continue
			}
			applied, replan, err := r.apply(ctx, c)
			if replan { // an answer from Kazoo has changed what is wanted
				clear(r.set)
				again = true
				break
			}
			if err != nil {
				errs = append(errs, err)
			}
			// Look up unknown outcomes; a created hook may have a duplicate.
			again = again || errors.Is(err, crossbar.ErrAmbiguous) || applied
		}
		if !again {
			break
		}
	}
	return errors.Join(errs...)
}

// prepare calls the watcher's Prepare. If the watcher knows hooks that the listing
// lacks, they are read individually, because they may exist.
func (r *Reconciler) prepare(ctx context.Context, actual []crossbar.Hook) ([]crossbar.Hook, error) {
	if r.opts.Watch == nil {
		return actual, nil
	}
	if err := r.opts.Watch.Prepare(ctx, r.account.ID, len(actual) > 0); err != nil || r.recalled {
		return actual, err
	}
	r.recalled = true
	missing := false
	for _, name := range r.opts.Watch.Names() {
		if id := r.opts.Watch.Known(name).ID; id != "" && !r.there[id] {
			r.there[id], missing = true, true
		}
	}
	if !missing {
		return actual, nil
	}
	return r.actual(ctx, false)
}

// problems records what can't be registered, and logs changes.
func (r *Reconciler) problems(problems []string) {
	r.mu.Lock()
	news := !slices.Equal(problems, r.status.Problems)
	r.status.Problems = problems
	r.mu.Unlock()
	if news {
		for _, p := range problems {
			r.opts.Log.Error().Msg(p)
		}
	}
}

func (r *Reconciler) login(ctx context.Context) error {
	if r.account.ID != "" {
		return nil
	}
	account, err := r.api.Login(ctx)
	if err != nil {
		return err
	}
	if r.opts.AccountID != "" && r.opts.AccountID != account.ID {
		account = crossbar.Account{ID: r.opts.AccountID}
	}
	r.account = account
	r.mu.Lock()
	r.status.AccountID, r.status.AccountName = account.ID, account.Name
	r.mu.Unlock()
	return nil
}
