package main

import (
	"net/url"
	"slices"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/crossbar"
	"kazoohook/registration"
)

func newCrossbar(cfg *config.Config, log zerolog.Logger, secrets ...string) (*crossbar.Client, error) {
	return crossbar.New(crossbarOptions(cfg, log, secrets...))
}

func crossbarOptions(cfg *config.Config, log zerolog.Logger, secrets ...string) crossbar.Options {
	return crossbar.Options{
		BaseURL: cfg.KazooAPIURL.String(), Auth: auth(cfg),
		AccountName: cfg.KazooAccountName, AccountRealm: cfg.KazooAccountRealm,
		Rate: cfg.KazooAPIRate, CAFile: cfg.KazooCAFile, InsecureTLS: cfg.KazooInsecureTLS,
		Secrets: append(cfg.Secrets(), secrets...), Log: log, UserAgent: version().userAgent(),
	}
}

func auth(cfg *config.Config) crossbar.Auth {
	switch {
	case cfg.KazooAPIKey.Reveal() != "":
		return crossbar.APIKey(cfg.KazooAPIKey.Reveal())
	case cfg.KazooCredentials.Reveal() != "":
		return crossbar.Credentials{Hash: cfg.KazooCredentials.Reveal(), Method: string(cfg.KazooHash)}
	}
	return crossbar.Password{User: cfg.KazooUsername, Pass: cfg.KazooPassword.Reveal(), Hash: string(cfg.KazooHash)}
}

func hookSpecs(cfg *config.Config) []registration.Spec {
	specs := make([]registration.Spec, len(cfg.Hooks))
	for i, h := range cfg.Hooks {
		specs[i] = registration.Spec(h)
	}
	return specs
}

// hookNames are the path segments under which deliveries may come.
func hookNames(specs []registration.Spec) []string {
	var names []string
	for _, s := range specs {
		if !slices.Contains(names, s.Hook) {
			names = append(names, s.Hook)
		}
	}
	return names
}

func reconcileOptions(cfg *config.Config, secret string, log zerolog.Logger) registration.Options {
	return registration.Options{
		Desired: registration.Desired{
			Owner: cfg.HookName, PublicURL: publicURL(cfg.PublicURL), Secret: secret, Specs: hookSpecs(cfg),
			Retries: cfg.HookRetries, IncludeSubaccounts: cfg.IncludeSubaccounts,
		},
		AccountID: cfg.KazooAccountID, Interval: cfg.ReconcileInterval, Log: log,
	}
}

func publicURL(u *url.URL) string {
	if u == nil { // a command that needs none
		return ""
	}
	return u.String()
}

func resyncOptions(cfg *config.Config, log zerolog.Logger) registration.ResyncOptions {
	return registration.ResyncOptions{
		Specs: hookSpecs(cfg), IncludeSubaccounts: cfg.IncludeSubaccounts, MaxDeletions: int(cfg.ResyncMaxDeletions), Log: log,
	}
}
