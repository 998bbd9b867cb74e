package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/archive"
)

// salvageCmd copies what can be read of a damaged journal.
type salvageCmd struct {
	NewFile string `arg:"" name:"newfile" help:"File to make, e.g. salvaged.db in the data directory; it must not exist."`
	settings
}

// Run copies the journal. The service must be stopped.
func (c *salvageCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(cfg.DataDir, journal.FileName)); err != nil {
		return fmt.Errorf("DATA_DIR %s holds no journal: %w", cfg.DataDir, err)
	}
	s, err := archive.Salvage(ctx, cfg.DataDir, c.NewFile)
	if err != nil {
		return fmt.Errorf("salvage the journal in %s: %w", cfg.DataDir, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d events and %d known objects copied to %s, journal %s\n", s.Events, s.Objects, printable(c.NewFile), s.Journal)
	for _, r := range s.Lost {
		fmt.Fprintf(&b, "events %d to %d can't be read\n", r.First, r.Last)
	}
	for _, table := range s.Partly {
		fmt.Fprintf(&b, "not all of %s can be read\n", table)
	}
	fmt.Fprintf(&b, "To use it: move %s* away, and %s to %[1]s.\n", filepath.Join(cfg.DataDir, journal.FileName), printable(c.NewFile))
	_, err = fmt.Fprint(e.stdout, b.String())
	return err
}
