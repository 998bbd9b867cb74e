package main

import (
	"context"

	"kazoohook/server"
)

// serveCmd is the main job.
type serveCmd struct{ settings }

// Run serves until ctx ends.
func (c *serveCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	l, err := e.newLogs(cfg, e.stdout)
	if err != nil {
		return err
	}
	server.TuneRuntime()
	s, err := newService(ctx, cfg, l)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // told to stop while it was starting
	case err != nil:
		return err
	}
	return s.run(ctx)
}
