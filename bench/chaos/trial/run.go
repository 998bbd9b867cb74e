package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// run is one trial under way.
type run struct {
	opts     Options
	world    *world
	receiver *Receiver
	disk     *disk
	admin    string // URL of the receiver's admin listener
	start    time.Time
	report   *Report

	clock    atomic.Bool  // Kazoo's is wrong
	diskBad  atomic.Int64 // Unix nanoseconds until which a death is excused
	faults   sync.WaitGroup
	logMu    sync.Mutex
	confirms atomic.Int64
}

// Run makes a trial. An error means that it could not be made; what it found is
// in the report.
func Run(ctx context.Context, o Options) (rep *Report, err error) {
	o = o.withDefaults()
	r := &run{opts: o, report: &Report{Seed: o.Seed, Steps: map[string]int{}, Struck: map[string]int{}}}
	dir, err := os.MkdirTemp(o.Dir, "kazoohook-chaos-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if r.disk, err = newDisk(dir, o.Disk); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.disk.close()) }()
	r.report.DiskSkipped = r.disk.why
	if r.world, err = newWorld(ctx, o); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.world.close()) }()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var attendants sync.WaitGroup
	attendants.Go(func() { r.receiver.Supervise(ctx) })
	attendants.Go(func() { r.operate(ctx) })
	err = r.happen(ctx)
	stop()
	attendants.Wait()
	end := context.WithoutCancel(ctx)
	r.receiver.Stop(end)
	if err != nil {
		return nil, err
	}
	return r.judge(end)
}

// prepare describes the receiver.
func (r *run) prepare(ctx context.Context) error {
	addrs, err := FreeAddrs(ctx, 2)
	if err != nil {
		return err
	}
	public, admin := addrs[0], addrs[1]
	r.admin = "http://" + admin
	environ := Environ(r.world.api, public, admin, filepath.Join(r.disk.dir, "data"),
		"HOOKS="+r.opts.Hooks, "INCLUDE_SUBACCOUNTS=true",
		"RECONCILE_INTERVAL=1s", "RESYNC_INTERVAL="+r.opts.Resync.String(), "KAZOO_API_RATE=10", "LOG_LEVEL=debug")
	r.receiver = NewReceiver(r.opts.Receiver, append(environ, r.opts.Environ...))
	r.receiver.Output = r.opts.Output
	r.receiver.Excused = func() bool { return time.Now().UnixNano() < r.diskBad.Load() }
	return nil
}

// happen goes through the schedule and waits until the receiver has healed.
func (r *run) happen(ctx context.Context) error {
	r.start = time.Now()
	steps := Schedule(r.opts)
	r.await(ctx, time.Minute, func() bool { return r.receiver.Lines.hasBaseline() || len(r.receiver.Failures()) > 0 })
	if !r.receiver.Lines.hasBaseline() {
		return fmt.Errorf("the receiver made no baseline within a minute: %v %v", r.receiver.Failures(), r.receiver.Lines.Messages())
	}
	r.logf("the receiver is ready after %s", time.Since(r.start).Round(time.Millisecond))
	r.start = time.Now()
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
	if ctx.Err() != nil {
		return ctx.Err()
	}
	calm := time.Now()
	r.logf("no more faults; %d deletions are still unknown", len(r.unknown()))
	r.report.Healed = r.await(ctx, r.opts.Heal, func() bool { return len(r.unknown()) == 0 })
	r.report.Heal = time.Since(calm)
	r.logf("healed: %t; unknown: %v", r.report.Healed, r.unknown())
	// What would be inferred wrongly has time to show.
	done := len(r.receiver.Lines.completions())
	r.await(ctx, 3*r.opts.Resync+5*time.Second, func() bool { return len(r.receiver.Lines.completions()) > done+1 })
	idle, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_ = r.world.Idle(idle) // what is in flight then is aborted
	return ctx.Err()
}

// unknown are the deleted users of whom the log should tell and does not.
func (r *run) unknown() (ids []string) {
	lines := r.receiver.Lines
	e := &evidence{users: r.world.everybody(), firings: r.world.Truth().Firings, resyncs: lines.completions()}
	recorded := e.recorded()
	for _, u := range e.users {
		if !u.living() && !lines.logged(userDeleted, u.id) && e.knowable(u, recorded) {
			ids = append(ids, u.id)
		}
	}
	return ids
}

func (r *run) note(err error) {
	if err != nil {
		r.logf("%v", err)
	}
}

func (r *run) await(ctx context.Context, most time.Duration, ok func() bool) bool {
	for end := time.Now().Add(most); time.Now().Before(end) && ctx.Err() == nil; Sleep(ctx, 50*time.Millisecond) {
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
