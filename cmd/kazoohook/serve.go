package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/cluster"
	"kazoohook/internal/output"
	"kazoohook/server"
)

// serveCmd runs the service.
type serveCmd struct{ settings }

// Run serves until ctx ends. An error is also a line of the log.
func (c *serveCmd) Run(ctx context.Context, e *env) error {
	// Ignore SIGPIPE: if the reader closes our output, only the write fails.
	signal.Ignore(syscall.SIGPIPE)
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	e.stderr = output.New(e.stderr, output.Options{})
	cfg, err := e.load(c.settings)
	if err != nil {
		cfg = config.Default()
	}
	l, logErr := e.newLogs(cfg, e.stdout)
	if logErr != nil {
		return logErr
	}
	defer l.flush()
	if err == nil {
		r := &reload{hangUp: hangUp, load: func() (*config.Config, error) { return e.load(c.settings) }}
		r.take(cfg)
		err = serveWith(ctx, l, r)
	}
	if err != nil {
		l.Log.Error().Err(err).Msg("kazoohook ends because of an error")
	}
	return err
}

// serveWith serves until ctx ends.
func serveWith(ctx context.Context, l logs, r *reload) error {
	server.TuneRuntime()
	return r.runs(ctx, l.Log, func(cfg *config.Config) error {
		s, err := newService(ctx, cfg, l)
		switch {
		case err == nil:
			s.reload = r
			return s.run(ctx)
		case ctx.Err() != nil:
			return nil // stopped while it was starting
		}
		return err
	})
}

// runs calls run with the settings, and again with the settings of then when a node of
// a cluster fetches a copy of the journal or takes part in a rebuild.
func (r *reload) runs(ctx context.Context, log zerolog.Logger, run func(*config.Config) error) error {
	for {
		cfg := *r.taken // a service fills in missing settings
		err := run(&cfg)
		if !errors.Is(err, cluster.ErrRestart) || ctx.Err() != nil {
			return err
		}
		log.Info().Err(err).Msg("this node begins anew")
		r.anew(log)
	}
}
