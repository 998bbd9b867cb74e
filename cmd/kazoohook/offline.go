package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/redact"
)

const readTimeout = 10 * time.Second

// offline answers the queries of a stopped service from its data directory, with the
// same secrets masked as by the service.
func (e *env) offline(ctx context.Context, cfg *config.Config, token string) (http.Handler, func() error, error) {
	secrets, err := e.secretsOfService(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("mask secrets in events: %w", err)
	}
	log := zerolog.New(maskedWriter{e.stderr, secrets}).Level(zerolog.WarnLevel).Hook(timestamp{})
	j, err := journal.OpenReadOnly(ctx, journal.Options{Dir: cfg.DataDir, Log: log})
	if err != nil {
		return nil, nil, err
	}
	enrich := named(j)
	admin := handlers.Admin(handlers.AdminDeps{
		Common: handlers.Common{Log: log}, History: j, Token: token, Onward: journalOnward(j, cfg.Destinations),
		Enrich: func(ev *event.Event) { enrich(ctx, ev) },
	})
	return maskAnswers(admin, secrets), j.Close, nil
}

// secretsOfService knows every secret of the service, although the command itself
// needs few settings: those in the settings, the stored hook secret and the signing
// keys.
func (e *env) secretsOfService(cfg *config.Config) (*redact.Redactor, error) {
	secrets, all := &redact.Redactor{}, config.Known(config.Options{File: e.file, Environ: e.environ})
	all.DataDir = cfg.DataDir
	learnSecrets(secrets, cfg)
	learnSecrets(secrets, all)
	stored, _, err := config.StoredSecret(cfg.DataDir)
	if err != nil && all.HookSecret.Empty() {
		return nil, err
	}
	secrets.Add(stored.Reveal())
	_, err = openKeys(all, false, secrets)
	return secrets, err
}
