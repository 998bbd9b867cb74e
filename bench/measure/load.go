package measure

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// latencies are those of all senders of one measurement, sorted.
type latencies struct {
	times []time.Duration
	took  time.Duration
}

func (l latencies) perSecond() float64 { return float64(len(l.times)) / l.took.Seconds() }

// closedLoop sends requests over keep-alive connections, each as soon as the previous
// one is answered. span begins when all connections are open. Each connection sends
// at least one request, even if span is very short.
func closedLoop(ctx context.Context, addr string, conns int, span time.Duration, next *serial) (latencies, error) {
	return closedLoops(ctx, func() string { return addr }, conns, span, next)
}

// closedLoops is closedLoop with several addresses: addr returns the address of the
// next connection.
func closedLoops(ctx context.Context, addr func() string, conns int, span time.Duration, next *serial) (latencies, error) {
	until := sync.OnceValue(func() time.Time { return time.Now().Add(span) })
	return spread(ctx, conns, addr, func(s *sender) (times []time.Duration, err error) {
		for now := time.Now(); now.Before(until()) || len(times) == 0; {
			if err := s.send(next.Add(1)); err != nil {
				return nil, err
			}
			end := time.Now()
			times, now = append(times, end.Sub(now)), end
		}
		return times, nil
	})
}

// openLoop sends requests at a fixed rate, even if answers take long. Each has its
// time in a schedule, and its latency counts from that time. So a request that waits
// for an earlier answer counts as late (no coordinated omission).
func openLoop(ctx context.Context, addr string, conns int, rate float64, span time.Duration, next *serial) (latencies, error) {
	start := time.Now().Add(5 * time.Millisecond)
	total := int64(rate * span.Seconds())
	var turn atomic.Int64
	return senders(ctx, addr, conns, func(s *sender) (times []time.Duration, err error) {
		for {
			n := turn.Add(1) - 1
			if n >= total {
				return times, nil
			}
			due := start.Add(time.Duration(float64(n) / rate * float64(time.Second)))
			sleepUntil(due)
			if err := s.send(next.Add(1)); err != nil {
				return nil, err
			}
			times = append(times, time.Since(due))
		}
	})
}

// sleepUntil is more exact than time.Sleep, whose timers may be a millisecond
// late in a program that does nothing else.
func sleepUntil(due time.Time) {
	for {
		wait := time.Until(due)
		if wait <= 0 {
			return
		}
		ts := syscall.NsecToTimespec(wait.Nanoseconds())
		_ = syscall.Nanosleep(&ts, nil) // if interrupted, the loop waits again
	}
}

// senders runs do over each of several connections.
func senders(ctx context.Context, addr string, conns int, do func(*sender) ([]time.Duration, error)) (latencies, error) {
	return spread(ctx, conns, func() string { return addr }, do)
}

// spread runs do over each of several connections. addr returns the address of the
// next connection.
func spread(ctx context.Context, conns int, addr func() string, do func(*sender) ([]time.Duration, error)) (latencies, error) {
	times := make([][]time.Duration, conns)
	errs := make([]error, conns)
	var all []*sender
	defer func() {
		for _, s := range all {
			s.close()
		}
	}()
	for range conns {
		s, err := dial(ctx, addr())
		if err != nil {
			return latencies{}, err
		}
		all = append(all, s)
	}
	var wg sync.WaitGroup
	start := time.Now()
	for i, s := range all {
		wg.Go(func() { times[i], errs[i] = do(s) })
	}
	wg.Wait()
	l := latencies{slices.Concat(times...), time.Since(start)}
	slices.Sort(l.times)
	err := errors.Join(errs...)
	if err == nil && len(l.times) == 0 {
		err = errors.New("nothing was sent")
	}
	return l, err
}
