package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/handlers/ui"
	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/sink"
	"kazoohook/registration"
	"kazoohook/server"
)

// service is the receiver: what serve and demo run.
type service struct {
	cfg       *config.Config
	logs      logs
	journal   *journal.Journal
	api       *crossbar.Client
	engine    *registration.Engine
	log       *sink.Consumer
	snapshot  *sink.Consumer
	server    *server.Server
	rotation  *rotation // nil: no HOOK_SECRET_PREVIOUS
	instance  string    // random: tells this process from others in a self-check
	draining  atomic.Bool
	delivered atomic.Int64 // Unix nanoseconds of the last delivery taken
}

// newService opens the journal and binds the listeners, in that order: nothing
// is taken that can't be kept, and Kazoo is told of no URL that doesn't listen.
func newService(ctx context.Context, cfg *config.Config, l logs) (*service, error) {
	s := &service{cfg: cfg, logs: l, instance: rand.Text()}
	if err := cfg.EnsureHookSecret(); err != nil {
		return nil, err
	}
	secret := cfg.HookSecret.Reveal()
	specs := hookSpecs(cfg)
	measured := newMetrics(hookNames(specs))
	apiOptions := crossbarOptions(cfg, l.Log, secret, cfg.HookSecretPrevious.Reveal())
	apiOptions.Observe = measured.crossbar.Observe
	var err error
	if s.api, err = crossbar.New(apiOptions); err != nil {
		return nil, err
	}
	if s.journal, err = journal.Open(ctx, journal.Options{
		Dir: cfg.DataDir, Retention: cfg.JournalRetention, MaxBytes: int64(cfg.JournalMaxBytes), Log: l.Log,
		Observe: measured.journal.Observe(),
	}); err != nil {
		return nil, err
	}
	counted := countedJournal{s.journal, measured.events}
	s.engine = registration.NewEngine(s.api, counted,
		reconcileOptions(cfg, secret, l.Log),
		registration.RecoverOptions{PublicURL: cfg.PublicURL.String(), Log: l.Log},
		resyncOptions(cfg, l.Log),
		registration.EngineOptions{ResyncInterval: cfg.ResyncInterval, LastDelivery: s.lastDelivery, Log: l.Log})
	keeper := registration.NewKeeper(s.api, counted, specs, l.Log, time.Now)
	lines := sink.NewLogSink(l.Out, keeper.Enrich)
	s.log = sink.NewConsumer(s.journal, lines, sink.Options{Name: logConsumer, Log: l.Log})
	s.snapshot = sink.NewConsumer(s.journal, keeper, sink.Options{Name: "snapshot", Log: l.Log})

	if !cfg.HookSecretPrevious.Empty() {
		s.rotation = &rotation{
			moved: func() bool { return s.engine.Reconciler.Status().Firing() },
			quiet: rotationQuiet, check: rotationCheck, now: time.Now, log: l.Log,
		}
	}
	public, admin := handlers.New(handlers.Deps{
		Journal: deliveries{counted, s}, History: s.journal,
		Secret: secret, PreviousSecret: cfg.HookSecretPrevious.Reveal(),
		AllowFrom: cfg.AllowCIDRs, TrustedProxies: cfg.TrustedProxies,
		Draining: s.draining.Load, Instance: s.instance, Refused: s.engine.NoteRefusal, Ready: s.ready,
		PreviousUsed: s.previousUsed,
		AdminToken:   cfg.AdminToken.Reveal(), Gatherer: measured.registry(s, lines),
		Hooks:     func(context.Context) (any, error) { return s.engine.Overview(), nil },
		Consumers: func(ctx context.Context) (any, error) { return s.journal.Consumers(ctx) },
		Attempts:  func(context.Context) (any, error) { return s.engine.RecentFailures(), nil },
		Page:      ui.New(),
		Replay:    s.replay,
		Resync:    s.resync,
		Enrich:    func(e *event.Event) { keeper.Enrich(context.Background(), e) },
		Metrics:   measured.handlers, Log: l.Log,
	})
	adminAddr := server.Off
	if !cfg.AdminAddr.Off() {
		adminAddr = cfg.AdminAddr.String()
	}
	s.server, err = server.New(ctx, server.Options{
		PublicAddr: cfg.ListenAddr.String(), AdminAddr: adminAddr, Public: public, Admin: admin,
		Drain: func() { s.draining.Store(true) }, ShutdownTimeout: cfg.ShutdownTimeout, Log: l.Log,
	})
	if err != nil {
		return nil, errors.Join(err, s.journal.Close())
	}
	return s, nil
}

// run serves until ctx ends and stops in the reverse order of the start: first
// registration and the listeners, then the consumers once they have handled
// what was taken, then the journal.
func (s *service) run(ctx context.Context) error {
	s.announce()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	front, frontCtx := errgroup.WithContext(ctx)
	front.Go(func() error { return s.server.Serve(frontCtx) })
	front.Go(func() error { return s.engine.Run(frontCtx) })
	if s.rotation != nil {
		front.Go(func() error { return s.rotation.run(frontCtx) })
	}
	if s.cfg.SelfCheck {
		check := registration.NewSelfCheck(s.cfg.PublicURL.String(), s.instance, s.logs.Log)
		front.Go(func() error { return check.Run(frontCtx) })
	}

	back, backCtx := errgroup.WithContext(context.WithoutCancel(ctx))
	backCtx, stopBack := context.WithCancel(backCtx)
	defer stopBack()
	for _, c := range []*sink.Consumer{s.log, s.snapshot} {
		back.Go(func() error {
			err := c.Run(backCtx)
			if err != nil {
				stop() // the service is no use without
			}
			return err
		})
	}
	err := front.Wait()
	s.logs.Log.Info().Msg("stopping")
	s.finishLog(backCtx)
	stopBack()
	err = errors.Join(err, back.Wait(), s.journal.Close())
	s.api.Close()
	s.logs.Log.Info().Msg("stopped")
	return err
}

// finishLog waits until every event that was taken is logged, but not forever:
// the rest follows after the restart.
func (s *service) finishLog(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	last, err := s.journal.Last(ctx)
	for err == nil && s.log.At() < last && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// announce is the first log line: what runs, where, and with which settings.
func (s *service) announce() {
	settings := zerolog.Dict()
	for _, v := range s.cfg.Settings() {
		if v.Origin != config.FromDefault {
			settings.Str(v.Name, v.Value)
		}
	}
	line := s.logs.Log.Info().Str("version", version().Version).Str("listen", s.server.Addr().String())
	if a := s.server.AdminAddr(); a != nil {
		line.Str("admin", a.String())
	}
	line.Str("kazoo", s.cfg.KazooAPIURL.Redacted()).Str("public_url", s.cfg.PublicURL.String()).
		Str("hooks", s.cfg.Hooks.String()).Str("data_dir", s.cfg.DataDir).Dict("settings", settings).
		Msg("kazoohook is listening")
	for _, w := range s.cfg.Warnings {
		s.logs.Log.Warn().Msg(w)
	}
}

// ready makes the checks of /readyz.
func (s *service) ready(context.Context) []handlers.Check {
	journalCheck := handlers.Check{Name: "journal", OK: true}
	if err := s.journal.Health(); err != nil {
		journalCheck = handlers.Check{Name: "journal", Reason: "events can't be kept", Detail: err.Error()}
	}
	ok, why := s.engine.Reconciler.Status().Ready()
	hooks := handlers.Check{Name: "hooks", OK: ok}
	if !ok {
		hooks.Reason, hooks.Detail = "not every hook is registered and enabled", why
	}
	return []handlers.Check{{Name: "listening", OK: true}, journalCheck, hooks}
}

func (s *service) lastDelivery() time.Time {
	if ns := s.delivered.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// replay moves a consumer back; see handlers.Deps.
func (s *service) replay(ctx context.Context, q handlers.ReplayRequest) (handlers.ReplayResult, error) {
	if q.Consumer != logConsumer {
		return handlers.ReplayResult{}, fmt.Errorf("%w: %q; there is %q", handlers.ErrNoConsumer, q.Consumer, logConsumer)
	}
	plan, err := planReplay(ctx, s.journal, q)
	if err != nil || q.DryRun {
		return plan, err
	}
	return plan, s.log.Rewind(ctx, plan.From-1)
}

// resync runs a comparison at a person's word.
func (s *service) resync(ctx context.Context, q handlers.ResyncRequest, progress func(handlers.ResyncProgress)) (handlers.ResyncResult, error) {
	account := s.engine.Reconciler.Status().AccountID
	if account == "" {
		return handlers.ResyncResult{}, errors.New("there was no login to Kazoo yet; the log says why")
	}
	return runResync(ctx, s.engine.Resyncer, account, q, progress)
}

// previousUsed notes a delivery with HOOK_SECRET_PREVIOUS, of which there is
// none unless it is set.
func (s *service) previousUsed() {
	if s.rotation != nil {
		s.rotation.used()
	}
}

// deliveries notes when Kazoo last reached us.
type deliveries struct {
	countedJournal
	service *service
}

// Append keeps a delivery.
func (d deliveries) Append(ctx context.Context, r event.Record) (event.Appended, error) {
	d.service.delivered.Store(r.ReceivedAt.UnixNano())
	return d.countedJournal.Append(ctx, r)
}
