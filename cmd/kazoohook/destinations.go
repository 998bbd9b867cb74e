package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"kazoohook/config"
	"kazoohook/handlers"
)

// destinationsCmd shows destinations, and pauses and resumes them.
type destinationsCmd struct {
	Preview string   `placeholder:"NAME" xor:"what" help:"Show which past events would have gone to the destination as it is configured here, and their bodies; nothing is sent."`
	Since   timeFlag `placeholder:"TIME" default:"7d" help:"With --preview: events received at or after: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago."`
	Pause   string   `placeholder:"NAME" xor:"what" help:"Stop delivering to the destination until it is resumed; its events wait."`
	Resume  string   `placeholder:"NAME" xor:"what" help:"Let a paused destination go on."`
	Format  string   `enum:"table,json" default:"table" help:"table or json."`
	settings
}

// Run previews, pauses or resumes a destination, or lists all.
func (c *destinationsCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	switch {
	case c.Preview != "":
		return c.preview(ctx, e, cfg)
	case c.Pause != "":
		return e.setPause(ctx, cfg, c.Pause, "pause", "paused; its events wait until: kazoohook destinations --resume "+c.Pause)
	case c.Resume != "":
		return e.setPause(ctx, cfg, c.Resume, "resume", "resumed")
	}
	return e.withAdmin(ctx, cfg, func(a *admin) error {
		var list []handlers.Destination
		if c.Format == "json" { // only the states in the contract
			if err := a.get(ctx, "/api/destinations", nil, &list); err != nil {
				return err
			}
			return printDestinationsJSON(e.jsonOut(), list)
		}
		if err := a.get(ctx, "/api/destinations", url.Values{"removed": {"true"}}, &list); err != nil {
			return err
		}
		return destinationsTable(e, list)
	})
}

// setPause pauses or resumes in the running service.
func (e *env) setPause(ctx context.Context, cfg *config.Config, name, verb, done string) error {
	return withService(cfg, "destinations --"+verb, func(a *admin) error {
		var d handlers.Destination
		if err := a.post(ctx, "/api/destinations/"+url.PathEscape(name)+"/"+verb, struct{}{}, &d); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stdout, "%s: %s\n", printable(name), printable(done))
		return err
	})
}

// printDestinationsJSON prints the stable fields for programs; the API has more.
func printDestinationsJSON(w io.Writer, list []handlers.Destination) error {
	type shown struct {
		Name                 string  `json:"name"`
		Type                 string  `json:"type"`
		State                string  `json:"state"`
		Waiting              int64   `json:"waiting"`
		Dead                 int64   `json:"dead"`
		OldestWaitingSeconds float64 `json:"oldest_waiting_seconds"`
		LastError            string  `json:"last_error"`
	}
	out := make([]shown, len(list))
	for i, d := range list {
		out[i] = shown{d.Name, d.Type, d.State, d.Waiting, d.Dead, d.OldestWaitingSeconds, d.LastError}
	}
	return indented(w, out)
}

func indented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func destinationsTable(e *env, list []handlers.Destination) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(e.stderr, "no destinations: see FORWARD_URL, or destinations in the configuration file")
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, "NAME\tTYPE\tSTATE\tWAITING\tOLDEST\tDEAD\tLAST ERROR"); err != nil {
		return err
	}
	for _, d := range list {
		state, oldest := d.State, "-"
		switch {
		case !d.RemovedAt.IsZero():
			state += " " + age(time.Since(d.RemovedAt).Seconds()) + " ago"
			d.Type = "-"
		case d.PausedBy != "":
			state += " (" + d.PausedBy + ")"
		}
		if d.Waiting > 0 && d.RemovedAt.IsZero() {
			oldest = age(d.OldestWaitingSeconds)
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%d\t%s\n", printable(d.Name), printable(d.Type), printable(state), d.Waiting, oldest, d.Dead, printable(d.LastError)); err != nil {
			return err
		}
	}
	return w.Flush()
}

// age returns a duration in the largest fitting unit.
func age(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// get reads JSON from the service.
func (a *admin) get(ctx context.Context, path string, query url.Values, out any) error {
	resp, err := a.do(ctx, http.MethodGet, path, query, nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("%s gave an answer that is not JSON: %w", a.base, err)
	}
	return nil
}

// configured returns the configured destination of a name.
func configured(cfg *config.Config, name string) (config.Destination, error) {
	var names []string
	for _, d := range cfg.Destinations {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	if names == nil {
		return config.Destination{}, exit(codeUsage, errors.New("no destination is configured: see FORWARD_URL, or destinations in the configuration file"))
	}
	return config.Destination{}, exit(codeUsage, fmt.Errorf("no destination %q is configured; there are %s", name, strings.Join(names, ", ")))
}
