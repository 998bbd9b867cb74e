package delivery

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"kazoohook/internal/journal"
)

// runner delivers to one destination. It has four goroutines: judge evaluates filters
// and moves the cursor, dispatch begins attempts, record writes their outcomes, decide
// handles account look-ups. Each running attempt has one more.
type runner struct {
	e    *Engine
	name string
	log  zerolog.Logger
	m    *measures

	// moving is held while something other than attempts changes this destination's
	// rows in the journal, and until memory has followed.
	moving lock
	// pausing is held while outcomes, the cursor or a change of the pause is written.
	pausing lock

	mu       sync.Mutex
	dest     *Destination
	sender   *shared
	limiter  *rate.Limiter // nil: no limit
	w        *window
	cursor   int64   // last event judged; a change also needs moving
	written  int64   // cursor in the journal; a change also needs pausing
	rowless  []*item // judged after written, in order of their numbers
	handed   int64   // number up to which judged events are in w, or load reads them
	partly   bool    // the journal may hold waiting deliveries that w lacks
	loaded   bool
	filled   time.Time      // when load last filled w
	ordered  map[int64]bool // events of an order to redeliver that is being written
	full     bool           // judge waits for room in w
	looks    int            // how often an item to attempt was looked for
	running  int
	accepted int64 // successful deliveries, ever

	breaker  breaker
	paused   journal.Pause
	reported journal.Pause // the pause that was logged last
	since    time.Time     // when paused last changed
	resumed  int           // how often a person resumed it
	last     last

	outcomes []finished     // to be recorded
	pause    *journal.Pause // to be recorded; nil: no change
	unsaved  int            // outcomes that aren't recorded yet
	looked   int            // how many of outcomes hurries has looked at
	stopped  bool           // no attempt begins any longer
	failing  time.Time      // since when nothing can be recorded; zero: it can

	// Each holds one token while there is work to do.
	wake, room, save, resolve chan struct{}

	ctx      context.Context    // attempts begin until it ends
	stopping context.CancelFunc // ends it
	refusals atomic.Int64       // connections that the fence refused
	attempts sync.WaitGroup
	abandon  context.CancelFunc // ends running attempts
	actx     context.Context    // of attempts
	done     chan struct{}      // closed when everything has ended; nil before start
}

// lock is a mutex that may be held during a write, which may take seconds. It is a
// channel, so that who waits for it can stop waiting.
type lock chan struct{}

// Lock takes the lock, waiting for it until ctx ends.
func (l lock) Lock(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unlock releases the lock.
func (l lock) Unlock() { <-l }

// last is the result of the last attempt.
type last struct {
	at                     time.Time
	status, excerpt, error string
}

func newRunner(e *Engine, d *Destination, s Sender, at journal.DestinationState) *runner {
	token := func() chan struct{} { return make(chan struct{}, 1) }
	r := &runner{
		e: e, name: d.Name, log: e.opt.Log.With().Str("destination", d.Name).Logger(), m: e.metrics.of(d.Name),
		w: newWindow(d.Order), cursor: at.Cursor, written: at.Cursor, handed: at.Cursor, partly: true, accepted: at.Accepted,
		paused: at.Paused, reported: at.Paused, since: at.Since,
		last:   last{at.LastAt, at.LastStatus, at.LastExcerpt, at.LastError},
		moving: make(lock, 1), pausing: make(lock, 1),
		wake: token(), room: token(), save: token(), resolve: token(),
	}
	r.use(d, s)
	return r
}

// shared closes a replaced sender once its last attempt has ended.
type shared struct {
	Sender
	users sync.WaitGroup
}

// use sets the settings for further attempts; mu is held, or nothing runs yet.
func (r *runner) use(d *Destination, s Sender) {
	r.dest, r.sender = d, &shared{Sender: s}
	r.limiter = nil
	if d.Rate > 0 {
		r.limiter = rate.NewLimiter(rate.Limit(d.Rate), 1)
	}
}

// change replaces the settings while the runner works.
func (r *runner) change(d *Destination, s Sender) {
	r.mu.Lock()
	old := r.sender
	reorder := d.Order != r.dest.Order
	r.use(d, s)
	if reorder {
		r.w.reorder(d.Order)
	}
	r.mu.Unlock()
	go old.close(&r.log)
	signal(r.wake)
	signal(r.resolve) // for the new accounts
	r.log.Info().Msg("the settings of the destination changed")
}

func (s *shared) close(log *zerolog.Logger) {
	s.users.Wait()
	if err := s.Sender.Close(); err != nil {
		log.Warn().Err(err).Msg("connections to the destination could not be closed")
	}
}

func (r *runner) destination() *Destination {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dest
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// start begins to deliver. It is called once, with the engine's lock held.
func (r *runner) start(ctx context.Context) {
	ctx, r.stopping = context.WithCancel(ctx)
	r.ctx = ctx
	r.actx, r.abandon = context.WithCancel(context.WithoutCancel(ctx))
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		var group sync.WaitGroup
		group.Go(func() { r.judge(ctx) })
		group.Go(func() { r.dispatch(ctx) })
		group.Go(func() { r.decide(ctx) })
		saved, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		var recorder sync.WaitGroup
		recorder.Go(func() { r.record(saved) })
		group.Wait()
		r.mu.Lock()
		r.stopped = true
		r.mu.Unlock()
		r.drain()
		stop()
		recorder.Wait()
		r.mu.Lock()
		s := r.sender
		r.mu.Unlock()
		s.close(&r.log)
	}()
}

// lastSave is how long a stopping runner waits until the last outcomes, and how far
// events were judged, are recorded. Without a disk or a quorum they can't be.
const lastSave = 700 * time.Millisecond

// drain waits for running attempts to end, then for their outcomes to be recorded.
func (r *runner) drain() {
	ended := make(chan struct{})
	go func() { r.attempts.Wait(); close(ended) }()
	grace := time.NewTimer(r.e.opt.Grace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
	}
	r.abandon() // running attempts end now, and are made again later
	<-ended
	last, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), lastSave)
	defer cancel()
	for {
		r.mu.Lock()
		left := r.unsaved
		r.mu.Unlock()
		if left == 0 {
			r.keepRows(last)
			return
		}
		select {
		case <-r.wake: // it is also signalled after each record
		case <-last.Done():
			r.log.Warn().Int("attempts", left).Msg("outcomes of the last attempts could not be recorded: these events are delivered again")
			return
		}
	}
}

// halt lets no further attempt begin.
func (r *runner) halt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopping != nil {
		r.stopping()
	}
}

// stop ends the runner and waits until everything has ended.
func (r *runner) stop() {
	if r.done == nil {
		_ = r.sender.Close()
		return
	}
	r.stopping()
	<-r.done
}

// orderMost is how long a person's order may take once it has begun.
const orderMost = 2 * time.Minute

// whole returns a context for the writes of a person's order. It doesn't end when the
// person leaves: a write that nobody waits for may still be carried out, and then memory
// must follow. It ends with the runner, or after orderMost.
func (r *runner) whole(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), orderMost)
	r.e.mu.Lock()
	run := r.ctx
	r.e.mu.Unlock()
	if run == nil { // it hasn't started
		return ctx, cancel
	}
	stop := context.AfterFunc(run, cancel)
	return ctx, func() { stop(); cancel() }
}
