package main

import (
	"context"
	"os"
	"runtime/debug"
)

// serveCmd is the main job.
type serveCmd struct{ settings }

// gcPercent is how much garbage the service lets come before it is collected,
// in percent of what is in use (a few MB). Under full load it makes the
// difference between 43 and 40 MB resident, for a few percent of processor time
// (docs/performance.md). GOGC overrides it.
const gcPercent = 60

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
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	s, err := newService(ctx, cfg, l)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // told to stop while it was starting
	case err != nil:
		return err
	}
	return s.run(ctx)
}
