package trial

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// broker is a real server as a destination, with its own way of failing.
type broker interface {
	// settings are the lines of the receiver's configuration for it.
	settings() []string
	// refuse makes it refuse every attempt, or ends that.
	refuse(ctx context.Context, on bool) error
	// seen returns all events that it accepted, in order; wrong lists other
	// violations.
	seen(ctx context.Context) (list []arrival, wrong []string, err error)
}

// server is the process of a broker.
type server interface {
	Freeze()
	Thaw()
	Stop()
	Start()
}

// startBrokers adds a destination of each kind that needs a server.
func (w *onwards) startBrokers(ctx context.Context, o Options) error {
	for _, kind := range []struct {
		name  string
		start func(*host, Options) (broker, server, error)
	}{{"rabbitmq", startQueue}, {"nats", startStream}, {"postgres", startTable}} {
		d := &destination{name: kind.name, order: "object", sorts: []mode{fails, hangs, vanished}, host: &host{ctx: ctx}}
		w.list = append(w.list, d)
		err := d.host.try(func() (err error) {
			d.broker, d.process, err = kind.start(d.host, o)
			return err
		})
		if err != nil {
			return fmt.Errorf("start a destination for %s: %w", kind.name, err)
		}
	}
	return nil
}

// setBroker changes the mode of a broker; mu is held.
func (d *destination) setBroker(ctx context.Context, was, m mode) error {
	if m != takes {
		d.troubles = append(d.troubles, span{from: time.Now(), to: time.Now().Add(24 * time.Hour)})
	} else if was != takes {
		defer func() { d.troubles[len(d.troubles)-1].to = time.Now() }()
	}
	return d.host.try(func() error {
		switch {
		case m == hangs:
			d.process.Freeze()
		case m == vanished:
			d.process.Stop()
		case m == fails:
			return d.broker.refuse(ctx, true)
		case was == hangs:
			d.process.Thaw()
		case was == vanished:
			d.process.Start()
		case was == fails:
			return d.broker.refuse(ctx, false)
		}
		return nil
	})
}

// seenByBroker returns all events that a broker accepted. The answer to some may not
// have reached the receiver in time. mu is held.
func (d *destination) seenByBroker(ctx context.Context) (list []arrival, wrong []string, err error) {
	err = d.host.try(func() (err error) {
		list, wrong, err = d.broker.seen(ctx)
		return err
	})
	for i := range list {
		for _, t := range d.troubles {
			if list[i].at.After(t.from.Add(-destinationTimeout)) && list[i].at.Before(t.to.Add(destinationTimeout)) {
				list[i].late = true
			}
		}
	}
	return list, wrong, err
}

// host owns a server, as a test does elsewhere; see brokertest.TB.
type host struct {
	ctx     context.Context //nolint:containedctx // the trial's, like a test's
	cleanup []func()
}

// failure is the panic that ends a function in try.
type failure struct{ error }

// try calls f, which uses a server, and returns its failure.
func (h *host) try(f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = p.error
		default:
			panic(p)
		}
	}()
	return f()
}

// close calls the cleanup functions, the last first.
func (h *host) close() {
	for i := len(h.cleanup) - 1; i >= 0; i-- {
		h.cleanup[i]()
	}
	h.cleanup = nil
}

// Helper is that of a test.
func (h *host) Helper() {}

// Cleanup is that of a test.
func (h *host) Cleanup(f func()) { h.cleanup = append(h.cleanup, f) }

// Context is that of a test.
func (h *host) Context() context.Context { return h.ctx }

// Failed is that of a test.
func (h *host) Failed() bool { return false }

// Logf is that of a test.
func (h *host) Logf(string, ...any) {}

// Fatal is that of a test.
func (h *host) Fatal(args ...any) { panic(failure{errors.New(fmt.Sprint(args...))}) }

// Fatalf is that of a test.
func (h *host) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }
