package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/handlers/ui"
	"kazoohook/internal/cluster"
	"kazoohook/internal/consumer"
	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/output"
	"kazoohook/internal/requests"
	"kazoohook/internal/tracing"
	"kazoohook/registration"
	"kazoohook/server"
)

// service is the receiver, run by serve and demo.
type service struct {
	cfg      *config.Config
	logs     logs
	measured metrics
	instance string  // random: distinguishes this process from others in a self-check
	reload   *reload // nil: settings don't change while it runs

	public, admin door
	openAdmin     func(token string) // replaces the admin handler
	server        *server.Server
	certificates  certificates    // nil: the public listener doesn't speak TLS
	keyPair       *server.KeyPair // nil: the certificates aren't from files
	acme          *server.ACME    // nil: the certificates aren't from a CA
	serving       *serving        // nil before the server serves
	journal       *journal.Journal
	keys          *registration.Keyring // nil: Kazoo need not sign
	api           *crossbar.Client
	printed       *output.Events // takes the event lines until the stop
	lines         *consumer.LogSink
	turn          atomic.Pointer[turn] // nil: this process doesn't lead
	ready         *readyChecks
	rotation      *rotation
	tracer        *tracing.Tracer  // nil: no traces
	openPublic    func()           // replaces the public handler, for the current secrets
	requests      *requests.Recent // for display
	started       time.Time

	setting          sync.Mutex     // held while settings change, and while a turn takes them
	inUse            *config.Config // cfg with what has changed since
	secret, previous string         // of the hooks, now
	shared           hookSecrets    // what the nodes of the cluster share
	moving           bool           // hooks are to move to secret, once the other nodes accept it

	node       atomic.Pointer[cluster.Node] // nil on a single node, and before it has started
	asLeader   atomic.Pointer[func(context.Context, handlers.LeaderRequest, func(handlers.LeaderAnswer)) handlers.LeaderAnswer]
	reporting  chan struct{}                            // holds a token for each news on its way to the leader
	signed     atomic.Pointer[registration.SignedHooks] // according to the journal
	sharedKeys string                                   // signing keys that the nodes share; used by followKeys only

	destinations atomic.Pointer[[]config.Destination] // that are in use

	draining  atomic.Bool
	delivered atomic.Int64 // Unix nanoseconds of the last request stored
}

// newService opens the journal, then binds the listeners: no request is
// accepted before it can be stored, and no URL is registered before it listens.
// If the journal can't be opened soon, it listens first, asks Kazoo to resend, and
// waits until the journal is open.
func newService(ctx context.Context, cfg *config.Config, l logs) (*service, error) {
	s := &service{cfg: cfg, inUse: cfg, logs: l, instance: instanceOf(cfg), measured: newMetrics(hookNames(hookSpecs(cfg))), reporting: make(chan struct{}, mostNews)}
	var err error
	if cfg.Clustered() {
		err = s.joinCluster(ctx)
	} else {
		err = s.openOrAwait(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := s.compose(ctx); err != nil {
		return nil, errors.Join(err, s.endServing(), s.endJournal())
	}
	if s.server == nil {
		if err := s.listen(ctx); err != nil {
			return nil, errors.Join(err, s.endJournal())
		}
	}
	return s, nil
}

// instanceOf returns the nonce of the self-check. All nodes of a cluster have the
// same, because any of them may answer at PUBLIC_URL.
func instanceOf(cfg *config.Config) string {
	if !cfg.Clustered() {
		return rand.Text()
	}
	return digest("self-check " + cfg.ClusterSecret.Reveal())
}

// compose makes the parts of the service and the handlers on the open journal.
func (s *service) compose(ctx context.Context) error {
	cfg, l := s.cfg, s.logs
	s.secret, s.previous = cfg.HookSecret.Reveal(), cfg.HookSecretPrevious.Reveal()
	apiOptions := crossbarOptions(cfg, l.Log, s.secret, s.previous)
	apiOptions.Observe, apiOptions.OnToken, apiOptions.Fence = s.measured.crossbar.Observe, l.secrets.AddToken, s.fence()
	var err error
	if s.api, err = crossbar.New(apiOptions); err != nil {
		return err
	}
	s.openTracer(ctx)
	s.started = time.Now()
	s.requests = requests.New(requests.Options{
		Path: filepath.Join(cfg.DataDir, requests.FileName), Journal: s.journal.Name(), MaxAge: cfg.JournalRetention, Mask: l.secrets.JSON, Log: l.Log,
	})
	if node := s.node.Load(); node != nil {
		if err := s.answerRequests(node); err != nil {
			return err
		}
	}
	enrich := named(s.journal)
	s.printed = l.output.Events()
	s.lines = consumer.NewLogSink(l.events(s.printed), numbered(s.journal), int(cfg.LogLineMax))
	s.destinations.Store(&cfg.Destinations)
	if !cfg.Clustered() {
		if _, err := s.newTurn(ctx); err != nil {
			return err
		}
	}
	s.rotation = &rotation{
		moved: func() bool { return s.registered().Firing() },
		quiet: rotationQuiet, check: rotationCheck, now: time.Now, log: l.Log,
	}
	s.rotation.idle.Store(cfg.HookSecretPrevious.Empty())
	s.ready = &readyChecks{
		journal: s.journal, status: s.registered, consumers: s.consumers, interval: cfg.ReconcileInterval,
		failing: s.failing, recovered: s.recovered, now: time.Now, started: time.Now(),
		certificates: s.certificateStates,
	}
	if cfg.Clustered() {
		s.ready.cluster = func() handlers.ClusterStatus { return s.clusterStatus(context.Background()) }
		s.ready.leads, s.ready.ofOthers = func() bool { return s.leading() != nil }, s.leaderChecks
	}
	common := s.common(s.ready.checks)
	public := handlers.PublicDeps{
		Trace: s.traceRequest(), Common: common, Journal: deliveries{s.journal, s, hookSpecs(cfg)},
		PublicURL: cfg.PublicURL, AllowFrom: cfg.AllowCIDRs, Instance: s.instance, Refused: s.noteRefusal, Keys: s.hookKeys, Requests: s.requests, PreviousUsed: s.previousUsed,
	}
	if cfg.Clustered() {
		public.AppendTimeout = clusterAppend
	}
	s.openPublic = func() {
		public.Secret, public.PreviousSecret, public.OtherSecrets = s.secret, s.previous, s.others()
		s.public.open(handlers.Public(public))
	}
	s.signed.Store(new(registration.Signed(ctx, s.journal)))
	s.openPublic()
	admin := handlers.AdminDeps{
		Common: common, History: s.journal, Gatherer: s.measured.registry(s),
		Hooks: s.hooks, Consumers: s.lags, Attempts: s.attempts, Replay: s.replay, Resync: s.resync, Held: s.held,
		Exchanges: s.requests, PublicURL: cfg.PublicURL, About: s.about,
		Onward: s.onwardHandlers(), Cluster: s.clusterHandlers(),
		Enrich: func(e *event.Event) { enrich(context.Background(), e) }, Page: ui.New(),
	}
	s.openAdmin = func(token string) {
		admin.Token = token
		s.admin.open(maskAnswers(handlers.Admin(admin), l.secrets))
	}
	s.openAdmin(cfg.AdminToken.Reveal())
	s.asLeader.Store(new(handlers.AnswerAsLeader(admin)))
	return nil
}

// common returns the dependencies of both listeners' handlers.
func (s *service) common(ready func(context.Context) []handlers.Check) handlers.Common {
	return handlers.Common{
		TrustedProxies: s.cfg.TrustedProxies, Draining: s.draining.Load, Ready: ready, Metrics: s.measured.handlers, Log: s.logs.Log,
	}
}

// listen binds the listeners. Their handlers can be exchanged (door).
func (s *service) listen(ctx context.Context) (err error) {
	adminAddr := server.Off
	if !s.cfg.AdminAddr.Off() {
		adminAddr = s.cfg.AdminAddr.String()
	}
	if s.certificates, err = s.openCertificates(); err != nil {
		return err
	}
	var speak *tls.Config
	if s.certificates != nil {
		speak = s.certificates.TLSConfig()
	}
	s.server, err = server.New(ctx, server.Options{
		TLS: speak, HTTPChallenges: s.acme.AnswersHTTP(),
		PublicAddr: s.cfg.ListenAddr.String(), AdminAddr: adminAddr, Public: &s.public, Admin: &s.admin,
		Drain: func() { s.draining.Store(true) }, ShutdownTimeout: s.cfg.ShutdownTimeout, Log: s.logs.Log,
	})
	return err
}

// run serves until ctx ends and stops in the reverse order of the start: first
// registration and the listeners, then the consumers after they have handled all
// stored events, then the journal.
func (s *service) run(ctx context.Context) error {
	s.announce()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	front, frontCtx := errgroup.WithContext(ctx)
	front.Go(func() error { return s.serve(frontCtx) })
	front.Go(func() error { return s.reloads(frontCtx) })
	front.Go(func() error { return s.ready.run(frontCtx) })
	front.Go(func() error { return s.rotation.run(frontCtx) })
	front.Go(func() error { return s.followShared(frontCtx) })

	aside, stopAside := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAside()
	var looking errgroup.Group
	looking.Go(func() error { return s.requests.Run(aside) })

	back, backCtx := errgroup.WithContext(context.WithoutCancel(ctx))
	backCtx, stopBack := context.WithCancel(backCtx)
	defer stopBack()
	back.Go(func() error {
		err := s.lead(backCtx, frontCtx)
		if err != nil {
			stop() // the service needs it
		}
		return err
	})
	<-frontCtx.Done()
	stopping := stopTime(time.Now().Add(s.cfg.ShutdownTimeout + stopLimit))
	err := stopping.ended(s.cfg.ShutdownTimeout+stageLimit, stopLimit, "registration and the listeners", func() error {
		err := front.Wait()
		if t := s.leading(); t != nil {
			<-t.front
		}
		return err
	})
	s.logs.Log.Info().Msg("stopping")
	if t := s.leading(); t != nil {
		t.finishLog(backCtx, stopping)
	}
	stopBack()
	stopAside()
	s.printed.Release()
	err = errors.Join(err,
		stopping.ended(stageLimit, stageLimit+closeLimit+tracerLimit, "the consumers", back.Wait),
		stopping.ended(stageLimit, closeLimit+tracerLimit, "the details of recent requests", looking.Wait),
		stopping.ended(closeLimit, tracerLimit, "the journal", s.close))
	s.api.Close()
	s.closeTracer(stopping.left(tracerLimit))
	s.logs.Log.Info().Msg("stopped")
	return err
}

// endJournal is close with a limit.
func (s *service) endJournal() error { return ended(closeLimit, "the journal", s.close) }

// close closes the journal and leaves the cluster for now.
func (s *service) close() error {
	err := s.journal.Close()
	if node := s.node.Load(); node != nil {
		err = errors.Join(err, node.Close())
	}
	return err
}
