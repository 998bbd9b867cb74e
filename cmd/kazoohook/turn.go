package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/internal/consumer"
	"kazoohook/internal/delivery"
	"kazoohook/internal/event"
	"kazoohook/registration"
)

// turn is the work that only one process may do: keep the hooks registered, deliver
// to destinations, print the event lines. A single node does it while it runs, a
// node of a cluster while it leads. Each turn starts from the journal's state.
type turn struct {
	s         *service
	engine    *registration.Engine
	onward    *delivery.Engine
	log       *consumer.Consumer // the first of consumers: it prints the event lines
	consumers []*consumer.Consumer
	front     chan struct{} // closed when registration has ended
	since     time.Time
}

// errUnshared reports that the other nodes don't have this node's secrets yet.
var errUnshared = errors.New("the hooks' secret has changed, and is not shared yet")

// newTurn makes a turn, and makes this process lead with it. Whoever changes settings
// sees the turn, or changes what it begins with. New destinations start here.
func (s *service) newTurn(ctx context.Context) (*turn, error) {
	s.setting.Lock()
	defer s.setting.Unlock()
	if s.cfg.Clustered() && s.shared != s.own() {
		return nil, errUnshared
	}
	l := s.logs.Log
	t := &turn{s: s, front: make(chan struct{}), since: time.Now()}
	options := reconcileOptions(s.cfg, s.secret, s.keys, l)
	options.PreviousSecret = s.previous
	t.engine = registration.NewEngine(s.api, s.journal, options, registration.RecoverOptions{Log: l}, resyncOptions(s.cfg, l),
		registration.EngineOptions{ResyncInterval: s.cfg.ResyncInterval, Listening: s.journal.Listening, LastDelivery: s.lastDelivery, Notify: s.notify, Log: l})
	t.engine.Resume(ctx)
	var err error
	t.onward, err = delivery.New(ctx, delivery.Options{
		Journal: s.journal, Accounts: accountTree{s.api, s.cfg.KazooAccountID}, Sender: senderOptions(l), Fence: s.fence(), Grace: onwardGrace, Trace: s.traceAttempt(), Log: l,
	})
	if err != nil {
		return nil, err
	}
	list, err := compileDestinations(*s.destinations.Load())
	if err != nil {
		return nil, err
	}
	if err := t.onward.Set(ctx, list); err != nil {
		return nil, err
	}
	t.log = consumer.NewConsumer(s.events(), s.lines, consumer.Options{Name: logConsumer, Log: l})
	t.consumers = []*consumer.Consumer{t.log}
	s.turn.Store(t)
	return t, nil
}

// run leads until ctx ends. Registration and the self-check end earlier, with
// front; the consumers then handle the remaining events.
func (t *turn) run(ctx, front context.Context) error {
	front, stopFront := context.WithCancel(front)
	defer stopFront()
	defer context.AfterFunc(ctx, stopFront)()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(t.front)
		return t.reachOut(front)
	})
	for _, c := range t.consumers {
		group.Go(func() error { return c.Run(ctx) })
	}
	group.Go(func() error { return t.onward.Run(ctx) })
	return group.Wait()
}

// reachOut keeps the hooks registered and runs the self-check.
func (t *turn) reachOut(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.engine.Run(ctx) })
	if t.s.cfg.SelfCheck {
		check := registration.NewSelfCheck(t.s.cfg.PublicURL.String(), t.s.instance, t.s.logs.Log)
		group.Go(func() error { return check.Run(ctx) })
	}
	return group.Wait()
}

// lead runs turns until ctx ends; a single node has one turn.
func (s *service) lead(ctx, front context.Context) error {
	if s.node.Load() != nil {
		return s.leadInTurns(ctx, front)
	}
	return s.leading().run(ctx, front)
}

// leading returns this process's turn; nil: it doesn't lead.
func (s *service) leading() *turn { return s.turn.Load() }

// errNotLeading reports that another node leads.
var errNotLeading = errors.New("this node does not lead the cluster")

// led calls f with this process's turn.
func led[T any](s *service, f func(*turn) (T, error)) (T, error) {
	if t := s.leading(); t != nil {
		return f(t)
	}
	var none T
	return none, errNotLeading
}

// notify appends an event of the receiver's own.
func (s *service) notify(ctx context.Context, o event.Own) {
	if _, err := s.journal.Own(ctx, o); err != nil && ctx.Err() == nil {
		s.logs.Log.Error().Err(err).Str("event_name", o.Record().Event).Msg("an event of the receiver's own could not be kept")
	}
}

// finishLog waits, for a limited time, until every stored event is logged. The rest
// is logged after the restart.
func (t *turn) finishLog(ctx context.Context, stop stopTime) {
	ctx, cancel := context.WithTimeout(ctx, stop.left(finishLimit))
	defer cancel()
	last, err := t.s.journal.Last(ctx)
	for err == nil && t.log.At() < last && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stopLimit bounds a stop, together with SHUTDOWN_TIMEOUT. Two calls of flush follow, for
// both outputs. That is less than the 20 s that supervisors are asked to grant.
const stopLimit = 17 * time.Second

// stopTime is when a stop must be over. All its stages share it.
type stopTime time.Time

// left is the time that a stage may take: most, or what is left.
func (s stopTime) left(most time.Duration) time.Duration {
	return max(0, min(most, time.Until(time.Time(s))))
}

// ended waits for a stage of the stop, as long as most, or what is left. If earlier stages
// were quick it waits longer, and leaves rest for those to come: a busy machine may need it.
func (s stopTime) ended(most, rest time.Duration, what string, wait func() error) error {
	return ended(max(s.left(most), time.Until(time.Time(s))-rest), what, wait)
}

// stageLimit bounds each stage of the stop, so that one that hangs leaves time for the
// next.
const stageLimit = 3 * time.Second

// finishLimit bounds the wait for the lines of events that were taken.
const finishLimit = 2 * time.Second

// closeLimit bounds the last stage. Closing the journal writes its write-ahead log. In
// a cluster the other nodes take over the part of the log that this node's server led.
// A busy disk needs seconds for either.
const closeLimit = 8 * time.Second

// ended waits for a stage of the stop, at most limit.
func ended(limit time.Duration, what string, wait func() error) error {
	done := make(chan error, 1)
	go func() { done <- wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("the stop did not wait for %s, which had not ended after %s", what, limit)
	}
}
