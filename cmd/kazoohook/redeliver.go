package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kazoohook/handlers"
)

// redeliverCmd delivers events to a destination again.
type redeliverCmd struct {
	Destination string   `required:"" placeholder:"NAME" help:"Where to."`
	Dead        bool     `xor:"which" help:"Its dead letters, oldest first, at most 100,000 at once."`
	EventID     string   `xor:"which,when" placeholder:"ID" help:"One event, whatever the destination's filters say."`
	From        timeFlag `xor:"when" placeholder:"TIME" help:"Events received at or after: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago: 2h, 7d. With --dead: only dead letters of these."`
	To          timeFlag `placeholder:"TIME" help:"With --from or --dead: only events received before."`
	Event       string   `placeholder:"NAME" help:"With --from or --dead: only events of this name, with * and ? as wildcards."`
	DryRun      bool     `help:"Only say which events that would be."`
	settings
}

// Run asks the running service.
func (c *redeliverCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	switch {
	case c.EventID != "" && (c.To != "" || c.Event != ""):
		return usageError(errors.New("--to and --event need --from or --dead"))
	case c.EventID == "" && !c.Dead && c.From == "":
		return usageError(errors.New("say which events: --dead, --event-id ID or --from TIME"))
	}
	if c.Event != "" {
		if err := noteUnknown(e.stderr, c.Event); err != nil {
			return err
		}
	}
	body := map[string]any{"destination": c.Destination, "dead": c.Dead, "event_id": c.EventID, "from": c.From, "to": c.To, "event": c.Event, "dry_run": c.DryRun}
	return withService(cfg, "redeliver", func(a *admin) error {
		var res handlers.RedeliverResult
		if err := a.post(ctx, "/api/redeliver", body, &res); err != nil {
			return err
		}
		_, err := fmt.Fprint(e.stdout, c.report(&res))
		return err
	})
}

// report says in lines what is delivered again, or would be.
func (c *redeliverCmd) report(res *handlers.RedeliverResult) string {
	var b strings.Builder
	for _, one := range res.Events {
		fmt.Fprintf(&b, "%d  %s  %s", one.Seq, printable(one.EventID), printable(one.Event))
		if one.Skipped != "" {
			fmt.Fprintf(&b, "  skipped: %s", printable(one.Skipped))
		}
		b.WriteString("\n")
	}
	if res.More > 0 {
		fmt.Fprintf(&b, "and %d more\n", res.More)
	}
	verb := "are"
	switch {
	case c.DryRun:
		verb = "would be"
	case res.Count == 1:
		verb = "is"
	}
	fmt.Fprintf(&b, "%s %s delivered again to %s\n", counted(res.Count, "event"), verb, printable(res.Destination))
	if res.Left > 0 {
		fmt.Fprintf(&b, "%s left: one command takes no more, repeat it for them\n", counted(res.Left, "dead letter"))
	}
	return b.String()
}
