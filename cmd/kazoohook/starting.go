package main

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/internal/cluster"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/oldformat"
	"kazoohook/registration"
)

// reopenPause is the pause between two tries to open the journal.
const reopenPause = time.Second

// openSoon is how long a start waits for the data directory before it listens without.
const openSoon = 2 * time.Second

// errOpening is the reason for not being ready while the data directory is opened.
var errOpening = errors.New("it is still being opened: the disk does not answer, or a journal of an earlier version is imported")

// opened is what is in the data directory, or why it can't be opened.
type opened struct {
	secret  config.Secret // of the hooks; also if the rest can't be opened
	journal *journal.Journal
	keys    *registration.Keyring
	err     error
}

// opening opens what is in the data directory: the hook secret, the journal and the
// signing keys. All three are written at the first start. It doesn't wait, because the
// disk may not answer, and then it doesn't end with ctx either.
func (s *service) opening(ctx context.Context) <-chan opened {
	cfg, options, done := *s.cfg, s.journalOptions(), make(chan opened, 1)
	open := func() (o opened) {
		if o.err = integrity.Unfinished(cfg.DataDir); o.err != nil {
			return o
		}
		if o.err = cfg.EnsureHookSecret(); o.err != nil {
			return o
		}
		o.secret = cfg.HookSecret
		s.logs.secrets.Add(o.secret.Reveal())
		if o.journal, o.err = journal.Open(ctx, options); o.err != nil {
			return o
		}
		if o.keys, o.err = openKeys(&cfg, true, s.logs.secrets); o.err != nil {
			o.err = errors.Join(o.err, o.journal.Close())
		}
		return o
	}
	go func() { done <- open() }()
	return done
}

// use takes what was opened.
func (s *service) use(o opened) error {
	if !o.secret.Empty() {
		s.cfg.HookSecret = o.secret
	}
	if o.err == nil {
		s.journal, s.keys = o.journal, o.keys
	}
	return o.err
}

// abandon closes what is opened, which is no longer needed. It waits a limited time.
func abandon(running <-chan opened) error {
	return ended(stageLimit, "the data directory", func() error {
		if o := <-running; o.err == nil {
			return o.journal.Close()
		}
		return nil
	})
}

// openOrAwait opens the data directory. If that is not possible for now, or takes long,
// it listens meanwhile, and asks Kazoo to resend.
func (s *service) openOrAwait(ctx context.Context) error {
	running := s.opening(ctx)
	select {
	case o := <-running:
		if err := s.use(o); !passing(err) {
			return err
		}
		return s.awaitJournal(ctx, o.err, nil)
	case <-time.After(openSoon):
		return s.awaitJournal(ctx, errOpening, running)
	case <-ctx.Done():
		return errors.Join(ctx.Err(), abandon(running))
	}
}

func (s *service) journalOptions() journal.Options {
	observe := s.measured.journal.Observe()
	observe.Event = s.measured.events.count
	return journal.Options{
		Dir: s.cfg.DataDir, Retention: s.cfg.JournalRetention, MaxBytes: int64(s.cfg.JournalMaxBytes),
		BacklogBytes: int64(s.cfg.BacklogMax.Bytes), BacklogAge: s.cfg.BacklogMax.Age, Log: s.logs.Log,
		Observe: observe, Import: oldformat.Import(s.logs.Log),
	}
}

// passing reports whether an error of open may be temporary: a full disk, a failing
// disk, or a CLUSTER_SECRET that is being changed.
func passing(err error) bool {
	for _, lasting := range []error{fs.ErrPermission, syscall.EROFS, journal.ErrInUse, journal.ErrCorrupt, journal.ErrNewer} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	for _, cause := range []error{journal.ErrUnavailable, cluster.ErrSealed, syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// awaitJournal listens and asks Kazoo to resend all requests, while it tries to
// open the journal. running is the try that has begun, if any. It ends when the journal
// is open, after a permanent error, or with ctx.
func (s *service) awaitJournal(ctx context.Context, err error, running <-chan opened) error {
	cause := &closedJournal{dir: s.cfg.DataDir, since: time.Now()}
	cause.set(err)
	s.answerWithout(cause)
	if err := s.listen(ctx); err != nil {
		return err
	}
	s.startServing(ctx)
	s.logs.Log.Error().Err(cause.err()).Str("data_dir", s.cfg.DataDir).Str("listen", s.server.Addr().String()).
		Msg("the data directory can't be used for now; requests are answered 503, and Kazoo sends them again")
	began := time.Now()
	for {
		var again <-chan time.Time
		if running == nil {
			again = time.After(reopenPause)
		}
		select {
		case <-ctx.Done():
			err := errors.Join(ctx.Err(), s.endServing())
			if running != nil {
				err = errors.Join(err, abandon(running))
			}
			return err
		case err := <-s.serving.ended:
			return err
		case <-again:
			running = s.opening(ctx)
		case o := <-running:
			running = nil
			switch err := s.use(o); {
			case err == nil:
				s.logs.Log.Info().Int64("after_ms", time.Since(began).Milliseconds()).Msg("the data directory can be used again")
				return nil
			case !passing(err):
				return errors.Join(err, s.endServing())
			default:
				cause.set(err)
			}
		}
	}
}

// answerWithout sets the handlers for the time without a journal. While the secret
// can't be read either, every request may be Kazoo's.
func (s *service) answerWithout(j *closedJournal) {
	common := s.common(func(ctx context.Context) []handlers.Check {
		failed := journalCheck(j.err(), nil)
		failed.Since = j.since
		checks := []handlers.Check{{Name: "listening", OK: true}, failed}
		if s.cfg.Clustered() {
			checks = append(checks, clusterCheck(s.clusterStatus(ctx)))
		}
		return checks
	})
	secret := s.cfg.HookSecret.Reveal()
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.measured.handlers.Collectors()...)
	registry.MustRegister(buildInfo(version()), s.logs.dropped())
	s.public.open(handlers.Public(handlers.PublicDeps{
		Common: common, Journal: j, Secret: secret, PreviousSecret: s.cfg.HookSecretPrevious.Reveal(),
		PublicURL: s.cfg.PublicURL, AllowFrom: s.cfg.AllowCIDRs, Instance: s.instance, Waiting: s.cfg.Clustered() || secret == "",
	}))
	s.admin.open(handlers.Admin(handlers.AdminDeps{Common: common, History: j, Token: s.cfg.AdminToken.Reveal(), Gatherer: registry, Cluster: s.clusterWaiting()}))
}

// door is a handler that can be replaced while it serves.
type door struct{ behind atomic.Pointer[http.Handler] }

func (d *door) open(h http.Handler) { d.behind.Store(&h) }

// ServeHTTP passes a request to the current handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*d.behind.Load()).ServeHTTP(w, r) }

// serving is the state of a server that serves.
type serving struct {
	stop  context.CancelFunc
	ended chan error // the error of Serve, read once by serve or stopServing
}

// startServing starts serving, independently of ctx.
func (s *service) startServing(ctx context.Context) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.serving = &serving{stop, make(chan error, 1)}
	var renewing sync.WaitGroup
	if s.acme != nil {
		renewing.Go(func() {
			if err := s.acme.Run(ctx, s.server.Addr()); err != nil {
				s.logs.Log.Error().Err(err).Msg("certificates are no longer renewed")
			}
		})
	}
	go func() {
		err := s.server.Serve(ctx)
		stop()
		renewing.Wait()
		s.serving.ended <- err
	}()
}

// stopServing ends what startServing started, if anything.
func (s *service) stopServing() error {
	if s.serving == nil {
		return nil
	}
	s.serving.stop()
	return <-s.serving.ended
}

// endServing is stopServing with a limit, for a start that ends.
func (s *service) endServing() error {
	return ended(s.cfg.ShutdownTimeout+stageLimit, "the listeners", s.stopServing)
}

// serve serves until ctx ends.
func (s *service) serve(ctx context.Context) error {
	if s.serving == nil {
		s.startServing(ctx)
	}
	select {
	case <-ctx.Done():
		return s.stopServing()
	case err := <-s.serving.ended:
		s.serving.stop()
		return err
	}
}
