package trial

import (
	"context"
	"errors"
	"syscall"
	"time"

	"kazoohook/internal/fakekazoo"
)

// do makes one step. What it breaks is repaired after the step's time.
func (r *run) do(ctx context.Context, s Step) error {
	after := func(repair func()) {
		r.faults.Go(func() {
			Sleep(ctx, s.For)
			repair()
		})
	}
	if r.opts.Nodes > 1 && s.breaksNodes() {
		r.strike(ctx, s)
		return nil
	}
	switch s.Kind {
	case Kill:
		after(func() {})
		r.faults.Go(func() { r.receiver.Signal(ctx, syscall.SIGKILL, s.For) })
	case Terminate:
		after(func() {})
		r.faults.Go(func() { r.receiver.Signal(ctx, syscall.SIGTERM, s.For) })
	case APIFault, Delivery:
		id, err := r.world.Inject(s.Fault)
		if err != nil {
			return err
		}
		after(func() { r.struck(id); r.world.ClearFault(id) })
	case SwitchOff:
		for _, id := range r.world.ourHooks() {
			if err := r.world.DisableHook(id, fakekazoo.ReasonTooManyFailures); err != nil && !errors.Is(err, fakekazoo.ErrNotFound) {
				return err
			}
		}
	case DiskFull:
		if !r.disk.mounted {
			return nil
		}
		r.nodes[0].diskBad.Store(time.Now().Add(s.For + 5*time.Second).UnixNano())
		if err := r.disk.fill(); err != nil {
			return err
		}
		from := time.Now()
		after(func() {
			r.note(r.disk.free())
			r.wrongMu.Lock()
			defer r.wrongMu.Unlock()
			r.troubles = append(r.troubles, span{from, time.Now().Add(5 * time.Second)})
		})
	case Clock:
		// The receiver tolerates an hour, which includes the differences between nodes.
		r.clock.Store(s.Offset.Abs() > 10*time.Minute)
		r.world.MoveClock(s.Offset)
		after(func() { r.world.MoveClock(0); r.clock.Store(false) })
	case Foreign, Offer, ViewLag:
		if err := r.disturb(s, after); err != nil {
			return err
		}
	case Backup, Restore:
		after(func() {})
		r.faults.Go(func() { r.note(r.replace(ctx, s)) })
	default:
		r.report.count(s)
		return r.world.change(s, r.clock.Load())
	}
	r.report.count(s)
	return nil
}

// struck adds to the report how often a fault of Kazoo's happened.
func (r *run) struck(id string) {
	for _, f := range r.world.Faults() {
		if f.ID == id {
			r.report.strike(string(f.Kind), f.Struck)
		}
	}
}
