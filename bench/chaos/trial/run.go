package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kazoohook/bench/chaos/links"
	"kazoohook/bench/chaos/power"
)

// run is one trial.
type run struct {
	opts     Options
	world    *world
	nodes    []*node
	receiver *Receiver      // of the first node
	disk     *disk          // likewise
	admin    string         // URL of its admin listener
	network  *links.Network // between the nodes; nil with one node
	front    *front         // in front of the nodes; nil with one node
	onwards  *onwards
	start    time.Time
	report   *Report

	clock  atomic.Bool  // Kazoo's clock is wrong by more than an hour
	calm   sync.RWMutex // read-locked while nodes are broken
	dir    string
	copied time.Time // when the journal was copied; zero: never

	wrongMu  sync.Mutex
	wrong    []string // violations found during the trial
	deleted  []string // hooks deleted by other clients
	nameless []string // hooks deleted or renamed by other clients
	restored []restoration
	troubles []span // spans with a full disk or a possible take-over

	faults   sync.WaitGroup
	logMu    sync.Mutex
	confirms atomic.Int64
}

// Run makes a trial. An error means that it could not run; findings are in the report.
func Run(ctx context.Context, o Options) (rep *Report, err error) {
	o = o.withDefaults()
	r := &run{opts: o, report: &Report{Seed: o.Seed, Of: o.String(), Steps: map[string]int{}, Struck: map[string]int{}}}
	if o.Power {
		if err := power.Check(); err != nil {
			r.opts.Power, r.report.PowerSkipped = false, err.Error()
		}
	}
	dir, err := os.MkdirTemp(o.Dir, "kazoohook-chaos-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r.dir = dir
	if r.world, err = newWorld(ctx, o, r.clock.Load); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.world.close()) }()
	if r.onwards, err = newOnwards(ctx, o, dir); err != nil {
		return nil, err
	}
	defer r.onwards.close()
	defer func() { err = errors.Join(err, r.dismantle()) }()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var attendants sync.WaitGroup
	for _, n := range r.nodes {
		attendants.Go(func() { n.receiver.Supervise(ctx) })
	}
	attendants.Go(func() { r.operate(ctx) })
	err = r.happen(ctx)
	stop()
	attendants.Wait()
	end := context.WithoutCancel(ctx)
	r.signal(end, syscall.SIGTERM, 24*time.Hour)
	if err != nil {
		return nil, err
	}
	return r.judge(end)
}

// happen makes all steps of the schedule and waits until the receiver has recovered.
func (r *run) happen(ctx context.Context) error {
	r.start = time.Now()
	steps := Schedule(r.opts)
	if err := r.firstStarts(ctx); err != nil {
		return err
	}
	within := time.Duration(r.opts.Nodes) * 3 * time.Minute
	r.await(ctx, within, func() bool { return r.receiver.Lines.hasBaseline() || len(r.failures()) > 0 })
	if !r.receiver.Lines.hasBaseline() {
		return fmt.Errorf("the receiver made no baseline within %s: %v %v", within, r.failures(), r.receiver.Lines.Messages())
	}
	r.logf("the receiver is ready after %s", time.Since(r.start).Round(time.Millisecond))
	r.start = time.Now()
	disturbed := make(chan error, 1)
	go func() { disturbed <- r.onwards.disturb(ctx, r.opts, r.report.count) }()
	for _, s := range steps {
		if !Sleep(ctx, time.Until(r.start.Add(s.At))) {
			break
		}
		r.logf("%s", s)
		if err := r.do(ctx, s); err != nil {
			return fmt.Errorf("step %s: %w", s, err)
		}
	}
	Sleep(ctx, time.Until(r.start.Add(r.opts.For)))
	r.faults.Wait()
	r.world.ClearFaults()
	r.settle(ctx)
	if err := errors.Join(<-disturbed, ctx.Err()); err != nil {
		return err
	}
	calm := time.Now()
	// After an outage the receiver compares and reads back everything since the last proof.
	if err := r.do(ctx, Step{Kind: SwitchOff}); err != nil {
		return err
	}
	r.logf("no more faults; something of %d users is still unknown", len(r.evidence().unknown()))
	r.report.Healed = r.await(ctx, r.opts.Heal, func() bool { return len(r.evidence().unknown()) == 0 })
	r.report.Heal = time.Since(calm)
	r.logf("healed: %t; unknown: %v", r.report.Healed, r.evidence().unknown())
	// Two more comparisons, so that wrong conclusions have time to show.
	done := len(r.receiver.Lines.completions())
	r.await(ctx, 3*r.opts.Resync+5*time.Second, func() bool { return len(r.receiver.Lines.completions()) > done+1 })
	// A paused destination is probed once a minute, with one event.
	if !r.await(ctx, 2*r.opts.Heal, func() bool { return r.waiting(ctx) == 0 }) {
		r.wrongMu.Lock()
		r.wrong = append(r.wrong, fmt.Sprintf("%d events still wait for destinations", r.waiting(ctx)))
		r.wrongMu.Unlock()
	}
	r.agree(ctx)
	idle, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_ = r.world.Idle(idle) // firings still under way are aborted then
	return ctx.Err()
}

// evidence returns the evidence so far, without the journal.
func (r *run) evidence() *evidence {
	e := &evidence{hooks: r.opts.Hooks, plain: r.opts.plain(), logged: r.receiver.Lines.Logged(), resyncs: r.receiver.Lines.completions()}
	e.users, e.firings = r.world.everybody()
	e.shown, e.looked = r.world.listings.times()
	r.wrongMu.Lock()
	defer r.wrongMu.Unlock()
	e.restored = append(e.restored, r.restored...)
	e.nameless = append(e.nameless, r.nameless...)
	return e
}

// firstStarts kills the receiver at a few random moments of its first starts, while
// users are deleted. Failed requests are on Kazoo's record.
func (r *run) firstStarts(ctx context.Context) error {
	random := rand.New(rand.NewPCG(r.opts.Seed, 0x6669727374)) //nolint:gosec // repeatable on purpose
	kills := random.IntN(5)
	for u := range early(r.opts) {
		if u < kills {
			lives := r.receiver.Starts()
			r.await(ctx, time.Minute, func() bool {
				return r.receiver.Starts() > lives || u == 0 && lives > 0 || len(r.failures()) > 0
			})
			Sleep(ctx, between(random, 10*time.Millisecond, time.Second))
			r.signal(ctx, syscall.SIGKILL, 0)
		} else {
			Sleep(ctx, between(random, 10*time.Millisecond, 500*time.Millisecond))
		}
		if err := r.do(ctx, Step{Kind: Delete, User: u}); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) note(err error) {
	if err != nil {
		r.logf("%v", err)
	}
}

func (r *run) await(ctx context.Context, most time.Duration, ok func() bool) bool {
	for end := time.Now().Add(most); time.Now().Before(end) && ctx.Err() == nil; Sleep(ctx, 200*time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

func (r *run) logf(format string, args ...any) {
	r.logMu.Lock()
	defer r.logMu.Unlock()
	_, _ = fmt.Fprintf(r.opts.Log, "%9.3f  %s\n", time.Since(r.start).Seconds(), fmt.Sprintf(format, args...)) // for people
}
