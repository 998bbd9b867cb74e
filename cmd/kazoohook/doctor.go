package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/redact"
)

// doctorCmd checks everything that Kazoo's events need to arrive. It changes
// nothing.
type doctorCmd struct {
	Format  string    `enum:"text,json" default:"text" help:"text: one line for each check; or json."`
	Timeout limitFlag `default:"10s" help:"Time that a check may take; all of them together take less than a minute."`
	settings
}

// doctorLimit bounds all checks together.
const doctorLimit = 55 * time.Second

// Run makes the checks and fails if one of them fails. Unlike in other commands,
// wrong settings are ordinary findings.
func (c *doctorCmd) Run(ctx context.Context, e *env) error {
	timeout := time.Duration(c.Timeout)
	limited, cancel := context.WithTimeout(ctx, max(doctorLimit, timeout+doctorLimit/2))
	defer cancel()
	d := newDoctor(e.loadPartly(c.settings), &e.secrets, timeout)
	defer d.close()
	p := doctorPrinter{w: e.stdout, json: c.Format == "json", clean: d.clean}
	if p.json {
		p.w = e.jsonOut()
	}
	if err := errors.Join(d.run(limited, p.print), p.end()); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.failed > 0 {
		return fmt.Errorf("%s found", counted(p.failed, "failure"))
	}
	return nil
}

// doctor makes the checks. The fields below the blank line are results of checks
// that later checks need. A check that ran out of time may still write its fields,
// but the checks that read them are skipped.
type doctor struct {
	partly
	secrets *redact.Redactor
	timeout time.Duration
	secret  hookSecretState
	api     *crossbar.Client
	apiErr  error // why there is no api

	running atomic.Bool // a service answered; valid even if the check ran out of time
	offered []crossbar.OfferedHook
	account crossbar.Account       // where hooks are registered
	hooks   []crossbar.HookSummary // ours
}

func newDoctor(p partly, secrets *redact.Redactor, timeout time.Duration) *doctor {
	d := &doctor{partly: p, secrets: secrets, timeout: timeout}
	if d.cfg != nil {
		d.secret = readHookSecret(d.cfg, timeout)
		learnSecrets(secrets, d.cfg)
		secrets.Add(d.secret.value)
		d.api, d.apiErr = newCrossbar(d.cfg, zerolog.Nop(), d.secret.value)
	}
	return d
}

// clean returns a text on one line, without secrets and control characters.
func (d *doctor) clean(s string) string {
	return printable(strings.Join(strings.Fields(withoutForeign(d.secrets.String(s))), " "))
}

func (d *doctor) close() {
	if d.api != nil {
		d.api.Close()
	}
}

// checks lists all checks in the order of printing.
func (d *doctor) checks() []check {
	long := 2 * d.timeout // many requests, and KAZOO_API_RATE slows them
	list := []check{
		{name: "settings", run: d.checkSettings},
		{name: "data_dir", needs: vars("DATA_DIR"), run: d.checkDataDir},
		{name: "disk", needs: vars("DATA_DIR"), run: d.checkDisk},
		{name: "journal", needs: vars("DATA_DIR"), after: []string{"service"}, run: d.checkJournal},
		{name: "integrity", needs: vars("DATA_DIR"), after: []string{"journal"}, run: d.checkIntegrity},
		{name: "service", needs: vars("LISTEN_ADDR"), run: d.checkService},
		{name: "dns", needs: vars("PUBLIC_URL"), run: d.checkDNS},
		{name: "tls", needs: vars("PUBLIC_URL", "KAZOO_CA_FILE").and("dns"), run: d.checkTLS},
		{name: "certificate", needs: vars("TLS_CERT_FILE", "TLS_KEY_FILE", "ACME_DOMAINS", "ACME_CA", "DATA_DIR", "PUBLIC_URL", "KAZOO_CA_FILE"), run: d.checkCertificate},
		{name: "public_url", needs: vars("PUBLIC_URL").and("dns"), after: []string{"service"}, run: d.checkPublicURL},
		{name: "destinations", run: d.checkDestinations},
		{name: "api", needs: vars("KAZOO_API_URL", "KAZOO_CA_FILE", "KAZOO_API_RATE"), run: d.checkAPI},
		{name: "clock", needs: vars().and("api"), run: d.checkClock},
		{name: "login", needs: vars(loginVariable).and("api"), run: d.checkLogin},
		{name: "account", needs: vars("KAZOO_ACCOUNT_ID").and("login"), run: d.checkAccount},
		{name: "offered", needs: vars("HOOKS").and("api"), run: d.checkOffered},
		{
			name: "registered", limit: long, run: d.checkRegistered,
			needs: vars("HOOKS", "PUBLIC_URL", "HOOK_SECRET", "HOOK_NAME", "HOOK_RETRIES", "INCLUDE_SUBACCOUNTS", "DATA_DIR").and("enabled", "account"),
		},
		{name: "enabled", needs: vars("HOOK_NAME").and("account"), run: d.checkEnabled},
		{name: "attempts", limit: long, needs: vars().and("enabled"), run: d.checkAttempts},
		// Least useful and with the most requests, so it comes last.
		{name: "samples", limit: long, needs: vars().and("api"), after: []string{"registered", "attempts"}, run: d.checkSamples},
	}
	if d.cfg != nil && d.cfg.Clustered() {
		at := slices.IndexFunc(list, func(c check) bool { return c.name == "service" }) + 1
		list = slices.Insert(list, at, check{name: "cluster", needs: vars("ADMIN_ADDR", "ADMIN_TOKEN"), after: []string{"service"}, run: d.checkCluster})
	}
	return list
}

// doctorPrinter prints findings as they come, or all of them as JSON at the end.
type doctorPrinter struct {
	w      io.Writer
	json   bool
	clean  func(string) string
	failed int
	list   []finding
}

func (p *doctorPrinter) print(f finding) error {
	f.Found, f.Advice = p.clean(f.Found), p.clean(f.Advice)
	if f.Status == statusFail {
		p.failed++
	}
	if p.json {
		p.list = append(p.list, f)
		return nil
	}
	advice := ""
	if f.Advice != "" {
		advice = " -> " + f.Advice
	}
	_, err := fmt.Fprintf(p.w, "%-4s  %-10s  %s%s\n", f.Status, f.Check, f.Found, advice)
	return err
}

func (p *doctorPrinter) end() error {
	if !p.json {
		return nil
	}
	enc := json.NewEncoder(p.w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(p.list)
}
