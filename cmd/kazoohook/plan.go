package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/crossbar"
	"kazoohook/internal/journal/integrity"
	"kazoohook/registration"
)

// byHand is the groups of settings of the commands that register by hand.
const byHand = config.Kazoo | config.Delivery | config.HookSet | config.Journal

// byHandTimeout bounds such a command after the login.
const byHandTimeout = time.Minute

// answerTimeout bounds the wait for each of Kazoo's answers.
type answerTimeout struct {
	Timeout limitFlag `default:"12s" help:"Time to wait for an answer of Kazoo's."`
}

// planCmd shows what registration would change.
type planCmd struct {
	answerTimeout
	settings
}

// Run prints the plan. The exit code is 3 if there are changes, and 1 if HOOKS
// names something that can't be registered.
func (c *planCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	secret, err := currentSecret(cfg)
	if err != nil {
		return err
	}
	keys, err := openKeys(cfg, false, &e.secrets)
	if err != nil {
		return err
	}
	return e.reconciler(ctx, cfg, secret, keys, time.Duration(c.Timeout), func(ctx context.Context, r *registration.Reconciler) error {
		changes, problems, err := r.Plan(ctx)
		if err != nil {
			return err
		}
		if err := printChanges(e.stdout, changes, "would "); err != nil {
			return err
		}
		switch {
		case len(problems) > 0:
			return errors.New(strings.Join(problems, "\n"))
		case len(changes) > 0:
			return exit(codePending, nil)
		}
		_, err = fmt.Fprintln(e.stdout, "nothing to change: every hook is registered and enabled")
		return err
	})
}

// registerCmd registers the hooks, which serve does by itself.
type registerCmd struct {
	answerTimeout
	settings
	NewKey bool `help:"Make a new key for signed requests first; requests signed with the one before are still taken."`
}

// Run registers the hooks.
func (c *registerCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	if err := integrity.Unfinished(cfg.DataDir); err != nil {
		return err
	}
	if err := cfg.EnsureHookSecret(); err != nil {
		return err
	}
	keys, err := openKeys(cfg, true, &e.secrets)
	if err == nil && c.NewKey && keys == nil {
		err = errors.New("--new-key: requests are not signed with KAZOO_HMAC=off or HOOK_FORMAT=form-data")
	}
	if err != nil {
		return err
	}
	return e.reconciler(ctx, cfg, cfg.HookSecret.Reveal(), keys, time.Duration(c.Timeout), func(ctx context.Context, r *registration.Reconciler) error {
		if c.NewKey {
			if err := r.RotateKey(ctx); err != nil {
				return fmt.Errorf("--new-key: %w", err)
			}
		}
		if err := r.RunOnce(ctx); err != nil {
			return err
		}
		for _, h := range r.Status().Hooks {
			if _, err := fmt.Fprintf(e.stdout, "registered: %s (%s)%s\n", printable(h.Name), printable(h.ID), note(h.Purpose)); err != nil {
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
type unregisterCmd struct {
	answerTimeout
	settings
}

// Run deletes every hook with our name, and no other.
func (c *unregisterCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	running := serviceAt(ctx, cfg, time.Duration(c.Timeout))
	err = e.reconciler(ctx, cfg, "", nil, time.Duration(c.Timeout), func(ctx context.Context, r *registration.Reconciler) error {
		changes, err := r.Unregister(ctx)
		if err == nil && len(changes) == 0 {
			_, err = fmt.Fprintf(e.stdout, "nothing to remove: no hook has the name %q\n", cfg.HookName)
			return err
		}
		if printErr := printChanges(e.stdout, changes, ""); err == nil {
			err = printErr
		}
		return err
	})
	if err == nil && running != "" {
		_, err = fmt.Fprintf(e.stderr, "note: the service is running at %s and registers its hooks again within %s; stop it first, then unregister\n", running, cfg.ReconcileInterval)
	}
	return err
}

// serviceAt returns the service's address on this machine, "" if it doesn't answer within
// limit.
func serviceAt(ctx context.Context, cfg *config.Config, limit time.Duration) string {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, addr := range []config.Addr{cfg.AdminAddr, cfg.ListenAddr} {
		if host, err := dialable(addr); err == nil {
			if body, err := fetch(ctx, publicScheme(cfg)+host+"/healthz"); err == nil && strings.HasPrefix(body, "ok") {
				return host
			}
		}
	}
	return ""
}

// reconciler runs f with a reconciler for the settings. It logs to standard error,
// because standard output is for results. It ends f if Kazoo gives no answer within
// timeout, whatever it was asked.
func (e *env) reconciler(ctx context.Context, cfg *config.Config, secret string, keys *registration.Keyring, timeout time.Duration, f func(context.Context, *registration.Reconciler) error) error {
	if err := e.warn(cfg); err != nil {
		return err
	}
	log := zerolog.New(consoleWriter{e.stderr, consoleLines(!e.colours(e.stderr))}).Level(zerolog.WarnLevel).Hook(timestamp{})
	options := crossbarOptions(cfg, zerolog.Nop(), secret) // the error at the end is enough
	patient, wait := progressWithin(ctx, timeout)
	defer wait.Stop()
	options.Observe = func(_ string, status int, _ time.Duration) {
		if status != 0 && status != http.StatusTooManyRequests && status < http.StatusInternalServerError {
			wait.moved()
		}
	}
	api, err := crossbar.New(options)
	if err != nil {
		return err
	}
	defer api.Close()
	if err := answers(ctx, cfg, api, timeout); err != nil {
		return err
	}
	wait.moved()
	ctx, cancel := context.WithTimeout(patient, max(byHandTimeout, timeout))
	defer cancel()
	return f(ctx, registration.NewReconciler(api, reconcileOptions(cfg, secret, keys, log)))
}

// answers logs in. If Kazoo is away, the error says so in one sentence.
func answers(ctx context.Context, cfg *config.Config, api *crossbar.Client, timeout time.Duration) error {
	limited, cancel := context.WithTimeoutCause(ctx, timeout, crossbar.ErrTimeout)
	defer cancel()
	_, err := api.Login(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("no login to Kazoo at %s within %s: %w", cfg.KazooAPIURL.Redacted(), timeout, err)
	}
	return err
}

// currentSecret returns the hook secret for commands that change nothing. It
// generates none: before the first start it returns a placeholder.
func currentSecret(cfg *config.Config) (string, error) {
	if _, err := os.Stat(filepath.Join(cfg.DataDir, config.SecretFile)); os.IsNotExist(err) && cfg.HookSecret.Empty() {
		return "generated-at-the-first-start", nil
	}
	err := cfg.EnsureHookSecret()
	return cfg.HookSecret.Reveal(), err
}

// note returns the purpose of a hook that HOOKS doesn't name.
func note(purpose string) string {
	if purpose == "" {
		return ""
	}
	return " [" + purpose + "]"
}

func printChanges(w io.Writer, changes []registration.Change, would string) error {
	for _, c := range changes {
		id := ""
		if c.Hook.ID != "" {
			id = " (" + printable(c.Hook.ID) + ")"
		}
		if _, err := fmt.Fprintf(w, "%s%s: %s%s%s\n", would, c.Kind, printable(c.Hook.Name), id, note(c.Purpose)); err != nil {
			return err
		}
		if c.Reason != "" {
			if _, err := fmt.Fprintf(w, "  because: %s\n", printable(c.Reason)); err != nil {
				return err
			}
		}
		for _, f := range c.Fields {
			if _, err := fmt.Fprintf(w, "  %s: %s -> %s\n", f.Field, printable(f.Before), printable(f.After)); err != nil {
				return err
			}
		}
	}
	return nil
}
