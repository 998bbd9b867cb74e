package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"kazoohook/handlers"
)

// replayCmd moves a consumer back.
type replayCmd struct {
	From     positionFlag `required:"" help:"First event to handle again: a seq, a time, or 2h (ago)."`
	Consumer string       `default:"log" help:"Which consumer: log prints the event lines."`
	DryRun   bool         `help:"Only say how many events that would be."`
	settings
}

// Run moves the consumer in the running service.
func (c *replayCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	from, err := json.Marshal(c.From)
	if err != nil {
		return err
	}
	if _, err := strconv.ParseInt(string(c.From), 10, 64); err == nil {
		from = []byte(c.From)
	}
	body := map[string]any{"consumer": c.Consumer, "from": json.RawMessage(from), "dry_run": c.DryRun}
	return withService(cfg, "replay", func(a *admin) error {
		var res handlers.ReplayResult
		if err := a.post(ctx, "/api/replay", body, &res); err != nil {
			return err
		}
		if res.Events == 0 {
			_, err := fmt.Fprintf(e.stdout, "nothing to handle again: %s has handled no event since then (it is at seq %d)\n", printable(res.Consumer), res.Cursor)
			return err
		}
		verb := "will be"
		if c.DryRun {
			verb = "would be"
		}
		_, err := fmt.Fprintf(e.stdout, "%d events %s handled again by %s, from seq %d to %d\n", res.Events, verb, printable(res.Consumer), res.From, res.Cursor)
		return err
	})
}
