package main

import (
	"net/url"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/crossbar"
	"kazoohook/internal/redact"
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

// hookNames returns the last path segments of the hook URIs.
func hookNames(specs []registration.Spec) []string {
	var names []string
	for _, s := range slices.Concat(specs, registration.HiddenSpecs(specs)) {
		if !slices.Contains(names, s.Hook) {
			names = append(names, s.Hook)
		}
	}
	return names
}

// openKeys opens the keys with which Kazoo signs requests; nil if it doesn't sign.
// With keep it generates and stores the first key if there is none.
func openKeys(cfg *config.Config, keep bool, secrets *redact.Redactor) (*registration.Keyring, error) {
	if cfg.KazooHMAC == config.HMACOff || cfg.HookFormat == config.FormatForm {
		return nil, nil //nolint:nilnil // no keys are no error
	}
	return registration.OpenKeyring(cfg.DataDir, keep, secrets.Add)
}

func reconcileOptions(cfg *config.Config, secret string, keys *registration.Keyring, log zerolog.Logger) registration.Options {
	specs := hookSpecs(cfg)
	return registration.Options{
		Desired: registration.Desired{
			Owner: cfg.HookName, PublicURL: publicURL(cfg.PublicURL), Secret: secret, PreviousSecret: cfg.HookSecretPrevious.Reveal(),
			Specs: specs, Hidden: registration.HiddenSpecs(specs),
			Retries: cfg.HookRetries, IncludeSubaccounts: cfg.IncludeSubaccounts, Format: string(cfg.HookFormat), InternalLegs: cfg.HookInternalLegs, Keys: keys,
		},
		AccountID: cfg.KazooAccountID, Interval: cfg.ReconcileInterval, Log: log,
	}
}

func publicURL(u *url.URL) string {
	if u == nil { // the command needs none
		return ""
	}
	return u.String()
}

func resyncOptions(cfg *config.Config, log zerolog.Logger) registration.ResyncOptions {
	return registration.ResyncOptions{
		Specs: hookSpecs(cfg), IncludeSubaccounts: cfg.IncludeSubaccounts, AccountsInterval: time.Duration(cfg.AccountsInterval),
		MaxDeletions: int(cfg.ResyncMaxDeletions), Log: log,
	}
}
