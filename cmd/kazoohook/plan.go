package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/registration"
)

// byHand is the configuration of the commands that register by hand.
const byHand = config.Kazoo | config.Delivery | config.HookSet | config.Journal

// byHandTimeout bounds such a command: a person waits for it.
const byHandTimeout = time.Minute

// planCmd shows what registration would change.
type planCmd struct{ settings }

// Run prints the plan; the exit code is 3 where there is something to change.
func (c *planCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	secret, err := currentSecret(cfg)
	if err != nil {
		return err
	}
	return e.reconciler(ctx, cfg, secret, func(ctx context.Context, r *registration.Reconciler) error {
		changes, problems, err := r.Plan(ctx)
		if err != nil {
			return err
		}
		if err := printChanges(e.stdout, changes, "would "); err != nil {
			return err
		}
		for _, p := range problems {
			if _, err := fmt.Fprintln(e.stdout, p); err != nil {
				return err
			}
		}
		if len(changes)+len(problems) > 0 {
			return exit(codePending, nil)
		}
		_, err = fmt.Fprintln(e.stdout, "nothing to change: every hook is registered and enabled")
		return err
	})
}

// registerCmd registers by hand what serve registers by itself.
type registerCmd struct{ settings }

// Run makes the hooks what they should be.
func (c *registerCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	if err := cfg.EnsureHookSecret(); err != nil {
		return err
	}
	return e.reconciler(ctx, cfg, cfg.HookSecret.Reveal(), func(ctx context.Context, r *registration.Reconciler) error {
		if err := r.RunOnce(ctx); err != nil {
			return err
		}
		for _, h := range r.Status().Hooks {
			if _, err := fmt.Fprintf(e.stdout, "registered: %s (%s)\n", h.Name, h.ID); err != nil {
				return err
			}
		}
		if _, why := r.Status().Ready(); why != "" {
			return errors.New(why)
		}
		return nil
	})
}

// unregisterCmd removes our hooks.
type unregisterCmd struct{ settings }

// Run deletes every hook with our mark, and no other.
func (c *unregisterCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	return e.reconciler(ctx, cfg, "", func(ctx context.Context, r *registration.Reconciler) error {
		changes, err := r.Unregister(ctx)
		if err == nil && len(changes) == 0 {
			_, err = fmt.Fprintf(e.stdout, "nothing to remove: no hook carries the mark %q\n", cfg.HookName)
			return err
		}
		if printErr := printChanges(e.stdout, changes, ""); err == nil {
			err = printErr
		}
		return err
	})
}

// reconciler runs f with a reconciler for the settings. What it logs goes to
// standard error: standard output is for results.
func (e *env) reconciler(ctx context.Context, cfg *config.Config, secret string, f func(context.Context, *registration.Reconciler) error) error {
	log := zerolog.New(newConsole(e.stderr, !e.colours(e.stderr))).Level(zerolog.WarnLevel).Hook(timestamp{})
	api, err := newCrossbar(cfg, log, secret)
	if err != nil {
		return err
	}
	defer api.Close()
	ctx, cancel := context.WithTimeout(ctx, byHandTimeout)
	defer cancel()
	return f(ctx, registration.NewReconciler(api, reconcileOptions(cfg, secret, log)))
}

// currentSecret is the hook secret without making one, for commands that change
// nothing: before the first start any other stands for it.
func currentSecret(cfg *config.Config) (string, error) {
	if _, err := os.Stat(filepath.Join(cfg.DataDir, config.SecretFile)); os.IsNotExist(err) && cfg.HookSecret.Empty() {
		return "generated-at-the-first-start", nil
	}
	err := cfg.EnsureHookSecret()
	return cfg.HookSecret.Reveal(), err
}

func printChanges(w io.Writer, changes []registration.Change, would string) error {
	for _, c := range changes {
		id := ""
		if c.Hook.ID != "" {
			id = " (" + c.Hook.ID + ")"
		}
		if _, err := fmt.Fprintf(w, "%s%s: %s%s\n", would, c.Kind, c.Hook.Name, id); err != nil {
			return err
		}
		if c.Reason != "" {
			if _, err := fmt.Fprintf(w, "  because: %s\n", c.Reason); err != nil {
				return err
			}
		}
		for _, f := range c.Fields {
			if _, err := fmt.Fprintf(w, "  %s: %s -> %s\n", f.Field, f.Before, f.After); err != nil {
				return err
			}
		}
	}
	return nil
}
