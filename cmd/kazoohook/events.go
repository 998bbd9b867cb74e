package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"kazoohook/config"
	"kazoohook/internal/event"
)

// filters are the filters of events and tail.
type filters struct {
	Since   timeFlag `placeholder:"TIME" help:"Received at or after: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago: 2h, 7d, 1d12h."`
	Event   []string `placeholder:"NAME" help:"Name of the event, with * and ? as wildcards: user.deleted, channel.*. May be repeated."`
	Account []string `placeholder:"ID" help:"Account id, with wildcards. May be repeated."`
	Object  []string `placeholder:"ID" help:"Object id. May be repeated."`
	Source  []string `placeholder:"SOURCE" help:"webhook, recovered, resync or receiver. May be repeated."`
	Text    string   `help:"Text that the raw body holds, in any case."`
}

func (f filters) values() url.Values {
	v := url.Values{"event": f.Event, "account": f.Account, "object": f.Object, "source": f.Source}
	if f.Since != "" {
		v.Set("since", string(f.Since))
	}
	if f.Text != "" {
		v.Set("text", f.Text)
	}
	return v
}

// noteUnknown names the patterns that match no known event. Such events may exist:
// other applications have hooks of their own, and events are named after them.
func noteUnknown(w io.Writer, patterns ...string) error {
	for _, pattern := range patterns {
		if slices.ContainsFunc(event.Names(), func(name string) bool { return event.Wildcard(pattern, name) }) {
			continue
		}
		if _, err := fmt.Fprintf(w, "note: no event is known whose name is %q; known are e.g. user.deleted, device.created, channel.destroy, notification.new_user\n", pattern); err != nil {
			return err
		}
	}
	return nil
}

// eventsCmd queries the history.
type eventsCmd struct {
	filters
	Until       timeFlag `placeholder:"TIME" help:"Received before."`
	Limit       int      `default:"50" help:"Events at most."`
	OldestFirst bool     `help:"Oldest first, not newest."`
	After       int64    `placeholder:"SEQ" help:"Only events after this seq: the next page, with --oldest-first."`
	Before      int64    `placeholder:"SEQ" help:"Only events before this seq: the next page."`
	Format      string   `enum:"table,json" default:"table" help:"table, or json: one event a line."`
	settings
}

// Run prints the events of the running service or of the data directory.
func (c *eventsCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	if err := noteUnknown(e.stderr, c.Event...); err != nil {
		return err
	}
	v := c.values()
	v.Set("format", "ndjson")
	v.Set("limit", strconv.Itoa(c.Limit))
	if c.Until != "" {
		v.Set("until", string(c.Until))
	}
	if c.OldestFirst {
		v.Set("order", "oldest")
	}
	for name, seq := range map[string]int64{"after": c.After, "before": c.Before} {
		if seq > 0 {
			v.Set(name, strconv.FormatInt(seq, 10))
		}
	}
	return e.withAdmin(ctx, cfg, func(a *admin) error {
		resp, err := a.do(ctx, http.MethodGet, "/api/events", v, nil, nil)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }() // only read from
		if c.Format == "json" {
			_, err = io.Copy(e.jsonOut(), resp.Body)
			return err
		}
		return c.table(e, resp.Body)
	})
}

// shown holds the fields of an event for the table.
type shown struct {
	Seq        int64     `json:"seq"`
	ReceivedAt time.Time `json:"received_at"`
	Event      string    `json:"event"`
	Source     string    `json:"source"`
	AccountID  string    `json:"account_id"`
	ObjectID   string    `json:"object_id"`
	ObjectName string    `json:"object_name"`
	Data       struct {
		CallID string `json:"call_id"`
	} `json:"data"`
}

func (c *eventsCmd) table(e *env, lines io.Reader) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	in := bufio.NewScanner(lines)
	in.Buffer(nil, 16<<20)
	n, last := 0, int64(0)
	for in.Scan() {
		var ev shown
		if err := json.Unmarshal(in.Bytes(), &ev); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if n == 0 {
			if _, err := fmt.Fprintln(w, "SEQ\tRECEIVED (UTC)\tEVENT\tOBJECT\tNAME\tACCOUNT\tSOURCE"); err != nil {
				return err
			}
		}
		n, last = n+1, ev.Seq
		if _, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", ev.Seq, ev.ReceivedAt.UTC().Format("2006-01-02 15:04:05.000"), printable(ev.Event),
			printable(ev.ObjectID+ev.Data.CallID), printable(ev.ObjectName), printable(ev.AccountID), printable(ev.Source)); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	switch {
	case n == 0:
		_, err := fmt.Fprintln(e.stderr, "no events")
		return err
	case n == c.Limit:
		next := "--before"
		if c.OldestFirst {
			next = "--after"
		}
		_, err := fmt.Fprintf(e.stderr, "there may be more: the next page is %s %d\n", next, last)
		return err
	}
	return nil
}

// history is the groups of settings that commands about the history need.
const history = config.Listen | config.Journal
