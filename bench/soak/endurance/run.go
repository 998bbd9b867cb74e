package endurance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"kazoohook/bench/chaos/trial"
	"kazoohook/internal/fakekazoo"
)

// hooks has every family of events, with deletions of users.
const hooks = "object:user,object:device,channel_create,channel_answer,channel_bridge,channel_destroy,parking,notifications,sms"

// run is one soak.
type run struct {
	opts      Options
	kazoo     *fakekazoo.Kazoo
	proxy     *waitingProxy // between Kazoo and the receiver
	receiver  *trial.Receiver
	ledger    *ledger
	readers   *readers
	strangers *strangers
	sampler   *sampler
	kills     int
	start     time.Time
}

// Run makes a soak. An error means that it could not run; findings are in the report.
func Run(ctx context.Context, o Options) (rep *Report, err error) {
	o = o.withDefaults()
	r := &run{opts: o, ledger: newLedger(o)}
	dir, err := os.MkdirTemp(r.opts.Dir, "kazoohook-soak-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r.proxy = newWaitingProxy()
	defer r.proxy.CloseIdleConnections()
	r.kazoo = fakekazoo.New(fakekazoo.Options{Seed: r.opts.Seed, Speed: r.opts.Speed, Transport: r.proxy, OnFiring: r.ledger.fired})
	defer r.kazoo.Close()
	server, api, err := trial.ServeAPI(ctx, r.kazoo.API())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	events, err := newTraffic(r.opts, r.kazoo)
	if err != nil {
		return nil, err
	}
	if err := r.prepare(ctx, api, dir); err != nil {
		return nil, err
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var supervisor sync.WaitGroup
	supervisor.Go(func() { r.receiver.Supervise(ctx) })
	err = r.happen(ctx, events)
	stop()
	supervisor.Wait()
	end := context.WithoutCancel(ctx)
	r.receiver.Stop(end)
	r.readers.client.CloseIdleConnections()
	if err != nil {
		return nil, err
	}
	return r.judge(end)
}

// prepare makes the receiver's settings and its clients.
func (r *run) prepare(ctx context.Context, api, dir string) error {
	addrs, err := trial.FreeAddrs(ctx, 2)
	if err != nil {
		return err
	}
	o, data := r.opts, filepath.Join(dir, "data")
	environ := trial.Environ(api, addrs[0], addrs[1], data,
		"HOOKS="+hooks, "HOOK_SECRET="+secret, "INCLUDE_SUBACCOUNTS=true", "LOG_LEVEL=info",
		"JOURNAL_RETENTION="+o.Retention.String(), "JOURNAL_MAX_BYTES="+strconv.FormatInt(o.MaxBytes, 10),
		"RECONCILE_INTERVAL=5s", "RESYNC_INTERVAL=1m", "KAZOO_API_RATE="+strconv.FormatFloat(min(5*o.Speed, 10), 'g', -1, 64),
		// Many users are deleted while it is down: no confirmation.
		"RESYNC_MAX_DELETIONS=1000000")
	r.receiver = trial.NewReceiver(o.Receiver, append(environ, o.Environ...))
	r.receiver.Output = o.Output
	r.receiver.Line = r.line
	r.readers = newReaders("http://"+addrs[1], r.kazoo.AccountID())
	r.strangers = &strangers{public: addrs[0], ledger: r.ledger}
	r.sampler = &sampler{readers: r.readers, data: data, life: r.receiver.Starts, objects: r.ledger.objects}
	return nil
}

// line takes a line of the receiver: events go to the ledger, other messages are
// counted.
func (r *run) line(raw []byte) {
	if isEvent(raw) {
		r.ledger.logged(raw)
		return
	}
	r.receiver.Lines.Take(raw)
}

// happen runs the traffic, readers and restarts for the whole time.
func (r *run) happen(ctx context.Context, events *traffic) error {
	o := r.opts
	if err := r.awaitReady(ctx); err != nil {
		return err
	}
	r.start = time.Now()
	r.sampler.start = r.start
	r.logf("the receiver is ready")
	busy, stop := context.WithTimeout(ctx, o.For)
	defer stop()
	var others sync.WaitGroup
	var failed error
	others.Go(func() { failed = events.run(busy, o.Rate); stop() })
	others.Go(func() { r.sampler.run(busy, o.Sample) })
	others.Go(func() { r.readers.query(busy, max(20*time.Millisecond, o.Sample/2)) })
	for range o.Streams {
		others.Go(func() { r.readers.follow(busy, max(o.For/40, 2*time.Second)) })
	}
	others.Go(func() { r.readers.stall(busy, min(o.For/4, 50*time.Second)) })
	others.Go(func() { r.strangers.visit(busy, max(50*time.Millisecond, o.Sample/2)) })
	others.Go(func() { r.strangers.babble(busy, o.Sample) })
	others.Go(func() { r.restart(busy) })
	others.Wait()
	if err := errors.Join(failed, ctx.Err()); err != nil {
		return err
	}
	r.logf("no more traffic; %d events are outstanding", r.ledger.outstanding())
	idle, cancel := context.WithTimeout(ctx, o.Heal)
	defer cancel()
	_ = r.kazoo.Idle(idle) // firings still under way then count as not delivered
	for r.ledger.outstanding() > 0 && trial.Sleep(idle, 50*time.Millisecond) {
	}
	r.logf("%d events are outstanding", r.ledger.outstanding())
	return ctx.Err()
}

// restart ends the receiver now and then, in the first half.
func (r *run) restart(ctx context.Context) {
	for n := 1; r.opts.Restart > 0; n++ {
		next := time.Duration(n) * r.opts.Restart
		if next > r.opts.half() || !trial.Sleep(ctx, time.Until(r.start.Add(next))) {
			return
		}
		sig, kill := syscall.SIGTERM, n%3 == 2
		if kill {
			sig = syscall.SIGKILL
			r.kills++
		}
		r.logf("%s", sig)
		r.ledger.begin(kill)
		r.receiver.Signal(ctx, sig, r.receiver.Pause)
	}
}

func (r *run) awaitReady(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for trial.Sleep(wait, 50*time.Millisecond) && len(r.receiver.Failures()) == 0 {
		resp, err := r.readers.get(wait, "/readyz", "")
		if err != nil {
			continue
		}
		_ = resp.Body.Close() // the status says it all
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("the receiver was not ready within two minutes: %v %v", r.receiver.Failures(), r.receiver.Lines.Messages())
}

func (r *run) logf(format string, args ...any) {
	_, _ = fmt.Fprintf(r.opts.Log, "%9.3f  %s\n", time.Since(r.start).Seconds(), fmt.Sprintf(format, args...)) // for people
}
