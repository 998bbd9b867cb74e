package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"kazoohook/config"
	"kazoohook/handlers"
)

// resyncCmd compares Kazoo's objects with the snapshot now.
type resyncCmd struct {
	DryRun  bool `help:"Print what would be reported, and report nothing."`
	Confirm bool `help:"Report the deletions however many they are: somebody has looked."`
	settings
}

// resyncSettings is what a resync needs where the service doesn't run.
const resyncSettings = config.Kazoo | config.HookSet | config.Engine | config.Listen | config.Journal

// Run asks the running service, or compares by itself where none runs.
func (c *resyncCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	return e.withAdmin(ctx, cfg, func(a *admin) error {
		resp, err := a.do(ctx, http.MethodPost, "/api/resync", nil, handlers.ResyncRequest{DryRun: c.DryRun, Confirm: c.Confirm}, nil)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }() // only read from
		res, err := e.followResync(resp.Body)
		if err != nil {
			return err
		}
		return printResync(e.stdout, res)
	})
}

// followResync shows the progress and returns the result.
func (e *env) followResync(body io.Reader) (*handlers.ResyncResult, error) {
	bar := newBar(e.stderr)
	defer bar.clear()
	dec := json.NewDecoder(body)
	for {
		var m handlers.ResyncMessage
		switch err := dec.Decode(&m); {
		case err != nil:
			return nil, fmt.Errorf("the service broke off: %w", err)
		case m.Error != "":
			return nil, errors.New(m.Error)
		case m.Result != nil:
			return m.Result, nil
		case m.Progress != nil:
			bar.show(*m.Progress)
		}
	}
}

func printResync(w io.Writer, res *handlers.ResyncResult) error {
	lines := &strings.Builder{}
	verb := ""
	if res.DryRun {
		verb = "would be "
	}
	if res.Held {
		verb = "not reported, waiting for --confirm: "
	}
	for _, l := range []struct {
		what string
		list []handlers.ResyncObject
	}{{"deleted", res.Deleted}, {"created", res.Created}} {
		for _, o := range l.list {
			fmt.Fprintf(lines, "%s%s.%s %s %q of account %s\n", verb, o.Type, l.what, o.ID, o.Name, o.AccountID)
		}
	}
	fmt.Fprintf(lines, "%d objects compared, %d deleted, %d created\n", res.Listed, len(res.Deleted), len(res.Created))
	if res.Baseline {
		fmt.Fprintln(lines, "this was the first look at some of them: it is the baseline, and yields no events")
	}
	if res.Held {
		fmt.Fprintf(lines, "more are gone than may vanish at once (%d): if that is right, run: kazoohook resync --confirm\n", res.Limit)
	}
	_, err := io.WriteString(w, lines.String())
	return err
}

// bar is a progress bar on a terminal, and nothing elsewhere.
type bar struct {
	w     io.Writer
	shown bool
}

func newBar(w io.Writer) *bar {
	if isTerminal(w) {
		return &bar{w: w}
	}
	return &bar{w: io.Discard}
}

func (b *bar) show(p handlers.ResyncProgress) {
	const width = 30
	b.shown = true
	if p.Expected == 0 {
		_, _ = fmt.Fprintf(b.w, "\r\x1b[Kcomparing %ss: %d", p.Type, p.Listed)
		return
	}
	done := min(width, width*p.Listed/p.Expected)
	_, _ = fmt.Fprintf(b.w, "\r\x1b[Kcomparing %ss [%s%s] %d of about %d", p.Type, strings.Repeat("=", done), strings.Repeat(" ", width-done), p.Listed, p.Expected)
}

func (b *bar) clear() {
	if b.shown {
		_, _ = io.WriteString(b.w, "\r\x1b[K")
	}
}
