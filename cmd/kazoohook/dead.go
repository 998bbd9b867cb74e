package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"kazoohook/handlers"
)

// deadCmd shows and discards dead letters.
type deadCmd struct {
	Destination string `placeholder:"NAME" help:"Only those of this destination."`
	EventID     string `placeholder:"ID" help:"With --discard: only this event."`
	Discard     bool   `help:"End them: they are not delivered, and their events are no longer kept for them."`
	All         bool   `help:"With --discard: those of every destination, where several have some."`
	Format      string `enum:"table,json" default:"table" help:"table or json."`
	settings
}

// Run lists dead letters, or ends them in the running service.
func (c *deadCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	if c.Discard {
		return withService(cfg, "dead --discard", func(a *admin) error {
			if err := errors.Join(a.knows(ctx, c.Destination), c.confirm(ctx, a)); err != nil {
				return err
			}
			var done struct{ Discarded int }
			if err := a.post(ctx, "/api/dead/discard", handlers.DiscardRequest{Destination: c.Destination, EventID: c.EventID}, &done); err != nil {
				return err
			}
			_, err := fmt.Fprintf(e.stdout, "%s discarded\n", counted(done.Discarded, "dead letter"))
			return err
		})
	}
	return e.withAdmin(ctx, cfg, func(a *admin) error {
		if err := a.knows(ctx, c.Destination); err != nil {
			return err
		}
		list, err := a.dead(ctx, c.Destination)
		if err != nil {
			return err
		}
		if c.Format == "json" {
			return c.json(e, list)
		}
		return c.table(e, list)
	})
}

// confirm refuses to discard the dead letters of several destinations unless that
// is asked for.
func (c *deadCmd) confirm(ctx context.Context, a *admin) error {
	if c.Destination != "" || c.EventID != "" || c.All {
		return nil
	}
	var all []handlers.Destination
	if err := a.get(ctx, "/api/destinations", nil, &all); err != nil {
		return err
	}
	var have []string
	for _, d := range all {
		if d.Dead > 0 {
			have = append(have, fmt.Sprintf("%s has %d", d.Name, d.Dead))
		}
	}
	if len(have) < 2 {
		return nil
	}
	return usageError(fmt.Errorf("several destinations have dead letters (%s): say which with --destination, or add --all to end them all", strings.Join(have, ", ")))
}

// knows returns an error if no destination has the name, not even a removed one. "" is
// none.
func (a *admin) knows(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	var all []handlers.Destination
	if err := a.get(ctx, "/api/destinations", url.Values{"removed": {"true"}}, &all); err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(d handlers.Destination) bool { return d.Name == name }) {
		return nil
	}
	return fmt.Errorf("there is no destination %q; kazoohook destinations lists them", name)
}

// dead reads all dead letters, by destination and seq.
func (a *admin) dead(ctx context.Context, only string) ([]handlers.DeadLetter, error) {
	names := []string{only}
	if only == "" {
		var all []handlers.Destination
		if err := a.get(ctx, "/api/destinations", nil, &all); err != nil {
			return nil, err
		}
		names = nil
		for _, d := range all {
			if d.Dead > 0 {
				names = append(names, d.Name)
			}
		}
	}
	const page = 1000
	var list []handlers.DeadLetter
	for _, name := range names {
		for after := int64(0); ; {
			var part []handlers.DeadLetter
			v := url.Values{"destination": {name}, "after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(page)}}
			if err := a.get(ctx, "/api/dead", v, &part); err != nil {
				return nil, err
			}
			list = append(list, part...)
			if len(part) < page {
				break
			}
			after = part[len(part)-1].Seq
		}
	}
	return list, nil
}

// json prints the stable fields for programs; the API has more.
func (c *deadCmd) json(e *env, list []handlers.DeadLetter) error {
	type shown struct {
		Destination string    `json:"destination"`
		EventID     string    `json:"event_id"`
		Seq         int64     `json:"seq"`
		Event       string    `json:"event"`
		Attempts    int       `json:"attempts"`
		LastError   string    `json:"last_error"`
		At          time.Time `json:"at"`
	}
	out := make([]shown, len(list))
	for i, d := range list {
		out[i] = shown{d.Destination, d.EventID, d.Seq, d.Event, d.Attempts, d.LastError, d.At}
	}
	return indented(e.jsonOut(), out)
}

func (c *deadCmd) table(e *env, list []handlers.DeadLetter) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(e.stderr, "no dead letters")
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, "DESTINATION\tSEQ\tEVENT\tEVENT ID\tATTEMPTS\tLAST (UTC)\tLAST ERROR"); err != nil {
		return err
	}
	lost := 0
	for _, d := range list {
		if d.NoBody {
			lost++
			d.LastError = "can't be redelivered: " + d.LastError
		}
		if _, err := fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%s\t%s\n", printable(d.Destination), d.Seq, printable(d.Event), printable(d.EventID),
			d.Attempts, d.At.UTC().Format(time.DateTime), printable(d.LastError)); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if lost < len(list) {
		_, err := fmt.Fprintln(e.stderr, "to deliver them again: kazoohook redeliver --destination NAME --dead")
		return err
	}
	return nil
}
