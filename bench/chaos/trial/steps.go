package trial

import (
	"context"
	"syscall"
	"time"

	"kazoohook/internal/crossbar/crossbartest"
)

// do makes one step happen; what it breaks is mended by itself.
func (r *run) do(ctx context.Context, s Step) error {
	after := func(mend func()) {
		r.faults.Go(func() {
			Sleep(ctx, s.For)
			mend()
		})
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
			if err := r.world.DisableHook(id, crossbartest.ReasonTooManyFailures); err != nil {
				return err
			}
		}
	case DiskFull:
		if !r.disk.mounted {
			return nil
		}
		r.diskBad.Store(time.Now().Add(s.For + 5*time.Second).UnixNano())
		if err := r.disk.fill(); err != nil {
			return err
		}
		after(func() { r.note(r.disk.free()) })
	case Clock:
		r.clock.Store(true)
		r.world.MoveClock(s.Offset)
		after(func() { r.world.MoveClock(0); r.clock.Store(false) })
	default:
		r.report.count(s)
		return r.world.change(s, r.clock.Load())
	}
	r.report.count(s)
	return nil
}

// struck counts how often a fault of Kazoo's did.
func (r *run) struck(id string) {
	for _, f := range r.world.Faults() {
		if f.ID == id {
			r.report.strike(string(f.Kind), f.Struck)
		}
	}
}
