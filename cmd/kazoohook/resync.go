package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"kazoohook/handlers"
	"kazoohook/internal/crossbar"
)

// resyncCmd compares Kazoo's objects with the snapshot now.
type resyncCmd struct {
	DryRun  bool      `help:"Print what would be reported, and report nothing."`
	Confirm bool      `help:"Report the deletions however many they are: somebody has looked."`
	Timeout limitFlag `default:"12s" help:"Time to wait for progress, as when Kazoo is away."`
	settings
}

// Run asks the running service, because the findings belong in its journal.
func (c *resyncCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	return withService(cfg, "resync", func(a *admin) error {
		ctx, wait := progressWithin(ctx, time.Duration(c.Timeout))
		defer wait.Stop()
		resp, err := a.do(ctx, http.MethodPost, "/api/resync", nil, handlers.ResyncRequest{DryRun: c.DryRun, Confirm: c.Confirm}, nil)
		if err != nil {
			return wait.explain(ctx, err)
		}
		defer func() { _ = resp.Body.Close() }() // only read from
		res, err := e.followResync(resp.Body, wait)
		if err != nil {
			return wait.explain(ctx, err)
		}
		return printResync(e.stdout, res)
	})
}

// waiting ends a context after a time without progress; its cause is crossbar.ErrTimeout.
type waiting struct {
	*time.Timer
	limit time.Duration
}

func progressWithin(ctx context.Context, limit time.Duration) (context.Context, *waiting) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &waiting{time.AfterFunc(limit, func() { cancel(crossbar.ErrTimeout) }), limit}
}

// moved starts the wait again.
func (w *waiting) moved() { w.Reset(w.limit) }

// explain returns an error in one sentence for a command that waited too long.
func (w *waiting) explain(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), crossbar.ErrTimeout) {
		return fmt.Errorf("the comparison has made no progress for %s; this command no longer waits, but the comparison may go on and report what it finds. Kazoo may be away: see the service's log, or run kazoohook doctor", w.limit)
	}
	return err
}

// followResync shows the progress and returns the result.
func (e *env) followResync(body io.Reader, wait *waiting) (*handlers.ResyncResult, error) {
	bar := newBar(e.stderr)
	defer bar.clear()
	dec := json.NewDecoder(body)
	for {
		var m handlers.ResyncMessage
		switch err := dec.Decode(&m); {
		case err != nil:
			return nil, fmt.Errorf("the service's answer ended early (%w); the comparison may go on and report what it finds: see the service's log", err)
		case m.Error != "":
			return nil, errors.New(m.Error)
		case m.Result != nil:
			return m.Result, nil
		case m.Progress != nil:
			wait.moved()
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
			fmt.Fprintf(lines, "%s%s.%s %s \"%s\" of account %s\n", verb, printable(o.Type), l.what, printable(o.ID), printable(o.Name), printable(o.AccountID))
		}
	}
	fmt.Fprintf(lines, "%d objects compared, %d deleted, %d created\n", res.Listed, len(res.Deleted), len(res.Created))
	if res.Baseline {
		fmt.Fprintln(lines, "this was the first look at some of them: it is the baseline, and yields no events")
	}
	if res.Held {
		fmt.Fprintf(lines, "more objects are missing than the limit for reports without confirmation (%d); if they were deleted, run: kazoohook resync --confirm\n", res.Limit)
	}
	_, err := io.WriteString(w, lines.String())
	return err
}

// bar is a progress bar on a terminal; elsewhere it prints nothing.
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
