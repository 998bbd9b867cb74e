package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// Journal is what the engine needs of the journal. *journal.Journal implements it and
// documents the methods.
type Journal interface {
	Name() string
	Read(ctx context.Context, after int64, limit int) ([]event.Record, error)
	Wait(ctx context.Context, after int64) error
	First(ctx context.Context) (int64, error)
	Last(ctx context.Context) (int64, error)
	Query(ctx context.Context, q event.Query) ([]event.Record, int64, error)
	Kept(ctx context.Context, seqs []int64) (recs []event.Record, lost []int64, err error)
	SeqAt(ctx context.Context, at time.Time) (int64, error)
	SeqOf(ctx context.Context, eventID string) (int64, error)

	Destinations(ctx context.Context) ([]journal.DestinationState, error)
	WaitingDeliveries(ctx context.Context, destination string, upto int64, limit int) ([]journal.Delivery, error)
	DeadLetters(ctx context.Context, destination string, after int64, limit int) ([]journal.Delivery, error)
	Deliveries(ctx context.Context, seq int64) ([]journal.Delivery, error)
	AccountPlaces(ctx context.Context) ([]journal.AccountPlace, error)
	BacklogExceeded() <-chan int64

	Configure(ctx context.Context, add []journal.NewDestination, remove, forget []string) error
	Judge(ctx context.Context, destination string, from, to int64, rows []journal.Judged) error
	Decide(ctx context.Context, destination string, match, drop []int64) error
	Attempted(ctx context.Context, destination string, outcomes []journal.Outcome, pause *journal.Pause) error
	Advance(ctx context.Context, destination string, from, to int64, rows []journal.Judged, outcomes []journal.Outcome, pause *journal.Pause) error
	SetPause(ctx context.Context, destination string, p journal.Pause) error
	Redeliver(ctx context.Context, destination string, rows []journal.Judged) (int, error)
	Discard(ctx context.Context, destination string, seqs []int64) (int, error)
	GiveUp(ctx context.Context, through int64, reason string) (int, error)
	PlaceAccounts(ctx context.Context, places []journal.AccountPlace) error
}

// Options are what an Engine needs. Only Journal is required.
type Options struct {
	Journal Journal
	// Accounts asks Kazoo where accounts are in the tree. If it is nil, a filter
	// matches only the accounts that it names.
	Accounts AccountLookup
	// NewSender makes the sender of a destination; default NewSender.
	NewSender func(*Destination, SenderOptions) (Sender, error)
	Sender    SenderOptions
	// Trace, if set, is called before each attempt. It may set the message's
	// Traceparent. The function that it returns is called with the result.
	Trace func(ctx context.Context, m *Message) (context.Context, func(Result))
	// Fence, if set, is asked right before each attempt, and for HTTP again when a
	// connection is ready. After an error the attempt isn't made; it is tried again
	// soon.
	Fence func() error
	// Grace is how long running attempts may go on when the engine stops; default 5 s.
	Grace time.Duration
	Log   zerolog.Logger

	// For tests; 0 means the constants of these names.
	forgetAfter time.Duration
	ahead       int // maxAhead
	most        int // maxRedelivered
}

// Engine delivers events to all destinations. Each has its own cursor in the journal,
// and none delays another.
type Engine struct {
	opt      Options
	accounts *accounts
	metrics  *metrics

	setting sync.Mutex // held by Set
	mu      sync.Mutex
	runners map[string]*runner
	ending  map[string]*runner // removed, but attempts may still run
	ctx     context.Context    // of Run; nil before Run
	forget  *time.Timer        // fires when a removed destination's state is due to end; nil: none is
}

// New returns an engine without destinations. It does nothing before Set and Run.
func New(ctx context.Context, o Options) (*Engine, error) {
	if o.NewSender == nil {
		o.NewSender = NewSender
	}
	o.Grace = cmp.Or(o.Grace, 5*time.Second)
	o.forgetAfter = cmp.Or(o.forgetAfter, forgetAfter)
	o.ahead = cmp.Or(o.ahead, maxAhead)
	o.most = cmp.Or(o.most, maxRedelivered)
	e := &Engine{opt: o, metrics: newMetrics(), runners: map[string]*runner{}, ending: map[string]*runner{}}
	var err error
	if e.accounts, err = newAccounts(ctx, o, e.placed); err != nil {
		return nil, err
	}
	return e, nil
}

// Run delivers until ctx ends. Attempts that run then may go on for Grace. The outcomes
// of those that end in time are recorded.
func (e *Engine) Run(ctx context.Context) error {
	var group sync.WaitGroup
	e.mu.Lock()
	if e.ctx != nil {
		e.mu.Unlock()
		return errors.New("the engine was started before")
	}
	e.ctx = ctx
	for _, r := range e.runners {
		r.start(ctx)
	}
	e.mu.Unlock()
	group.Go(func() { e.accounts.run(ctx) })
	group.Go(func() { e.giveUp(ctx) })
	<-ctx.Done()
	for _, r := range append(e.all(), e.leaving(nil)...) {
		group.Go(r.stop)
	}
	group.Wait()
	return nil
}

// forgetAfter is how long the state of a removed destination is kept.
const forgetAfter = 7 * 24 * time.Hour

func (e *Engine) runner(name string) *runner {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runners[name]
}

// find returns a runner, or an error that lists the configured names.
func (e *Engine) find(name string) (*runner, error) {
	if r := e.runner(name); r != nil {
		return r, nil
	}
	var names []string
	for _, r := range e.all() {
		names = append(names, r.name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: %q; none is configured", ErrUnknown, name)
	}
	return nil, fmt.Errorf("%w: %q; configured are %s", ErrUnknown, name, strings.Join(names, ", "))
}

// all returns the runners, sorted by name.
func (e *Engine) all() []*runner {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]*runner, 0, len(e.runners))
	for _, r := range e.runners {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *runner) int { return strings.Compare(a.name, b.name) })
	return list
}

// placed is called when a look-up of an account has ended, found or not.
func (e *Engine) placed(account string) {
	for _, r := range e.all() {
		r.decideSoon(account)
	}
}
