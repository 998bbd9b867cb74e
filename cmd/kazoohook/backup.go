package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kazoohook/config"
	"kazoohook/internal/datadir"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/archive"
)

// backupCmd makes a backup of the data directory.
type backupCmd struct {
	To string `arg:"" name:"file" help:"File to make; it must not exist. - writes to standard output."`
	settings
}

// Run makes the backup, beside a running service or without one.
func (c *backupCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(cfg.DataDir, journal.FileName)); err != nil {
		return fmt.Errorf("DATA_DIR %s holds no journal: %w", cfg.DataDir, err)
	}
	file, say := c.To, e.stdout
	if c.To == toStdout {
		if isTerminal(unmasked(e.stdout)) {
			return exit(codeUsage, errors.New("standard output is a terminal: redirect it to a file"))
		}
		file, say = filepath.Join(cfg.DataDir, fmt.Sprintf("backup-%d.partial", os.Getpid())), e.stderr
		defer func() { _ = os.Remove(file) }() // it may not exist
	}
	b, err := archive.MakeBackup(ctx, cfg.DataDir, file)
	if errors.Is(err, journal.ErrCorrupt) {
		return fmt.Errorf("back up %s: %w; nothing was kept. Stop the service and run kazoohook salvage, see docs/operations.md", cfg.DataDir, err)
	}
	if err != nil {
		return fmt.Errorf("back up %s: %w", cfg.DataDir, err)
	}
	if c.To == toStdout {
		if err := send(unmasked(e.stdout), file); err != nil {
			return fmt.Errorf("write the backup to standard output: %w", err)
		}
	}
	_, err = fmt.Fprint(say, backedUp(b, c.To))
	return err
}

const toStdout = "-"

// send copies a file to a writer.
func send(w io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	_, err = io.Copy(w, f)
	return err
}

// backedUp describes what a backup holds and what it lacks.
func backedUp(b archive.Backup, to string) string {
	var s strings.Builder
	if to == toStdout {
		to = "standard output"
	}
	fmt.Fprintf(&s, "%d events and %d known objects of the journal %s backed up to %s, read back and found whole\n", b.Events, b.Objects, b.Journal, printable(to))
	secret := false
	for _, f := range b.Files {
		secret = secret || f.Name == config.SecretFile
		fmt.Fprintf(&s, "with %s\n", printable(f.Name))
	}
	for _, name := range b.LeftOut {
		fmt.Fprintf(&s, "without %s: it is large, or another database\n", printable(name))
	}
	if !secret {
		fmt.Fprint(&s, "without the hook secret, which is not in the data directory: keep HOOK_SECRET elsewhere\n")
	}
	return s.String()
}

// restoreCmd makes a data directory from a backup.
type restoreCmd struct {
	From    string `arg:"" name:"file" help:"Backup, or a copy of events.db. - reads standard input."`
	Replace bool   `help:"Move a journal that is there aside, into a directory replaced-TIME."`
	settings
}

// Run restores. The service must be stopped.
func (c *restoreCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	file := c.From
	if file == toStdout {
		if file, err = spool(e.stdin, cfg.DataDir); err != nil {
			return fmt.Errorf("read the backup from standard input: %w", err)
		}
		defer func() { _ = os.Remove(file) }() // a leftover is harmless
	}
	r, err := archive.Restore(ctx, file, cfg.DataDir, c.Replace)
	switch {
	case errors.Is(err, archive.ErrOccupied):
		return &exitError{code: codeFailed, err: fmt.Errorf("restore: %w. Nothing was changed", err), hint: "With --replace it is moved aside."}
	case errors.Is(err, journal.ErrCorrupt):
		return fmt.Errorf("restore: %s can't be used: %w. Nothing was changed", printable(c.From), err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("restore: %w", err)
	case err != nil:
		return fmt.Errorf("restore %s from %s: %w", cfg.DataDir, printable(c.From), err)
	}
	text := restored(r, cfg.DataDir)
	if cfg.Clustered() {
		text += "This is a node of a cluster, whose other nodes know more than a backup: stop all of them and empty their DATA_DIR before this one starts; they fetch the journal from it. " +
			"If only this node was lost, it needs no backup: with an empty DATA_DIR it fetches everything from the others.\n"
	}
	_, err = fmt.Fprint(e.stdout, text)
	return err
}

// spool copies the input to a file in the data directory, the only writable place
// in a container.
func spool(r io.Reader, dir string) (path string, err error) {
	if err := datadir.MakeDir(dir); err != nil {
		return "", err
	}
	f, err := datadir.Temp(filepath.Join(dir, "restore"))
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// restored describes what was restored and what the next start does.
func restored(r archive.Restored, dir string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d events and %d known objects restored to %s; the journal was %s and is now %s, its next event is %d\n",
		r.Events, r.Objects, dir, r.Journal, r.Name, r.Next)
	if !r.Made.IsZero() {
		fmt.Fprintf(&s, "the backup was made at %s\n", r.Made.Format(time.RFC3339))
	}
	secret := false
	for _, f := range r.Files {
		secret = secret || f.Name == config.SecretFile
		fmt.Fprintf(&s, "with %s\n", printable(f.Name))
	}
	if !secret {
		fmt.Fprint(&s, "without a hook secret: set HOOK_SECRET, or put hook_secret there, as it was\n")
	}
	if r.Aside != "" {
		fmt.Fprintf(&s, "what was there is in %s\n", r.Aside)
	}
	fmt.Fprint(&s, "The next start reads Kazoo's record of failed attempts since then and compares all objects.\n")
	return s.String()
}
