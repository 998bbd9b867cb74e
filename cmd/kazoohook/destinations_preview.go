package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/internal/delivery"
	"kazoohook/internal/event"
)

// preview shows which past events would have gone to a destination. It uses the
// settings given here, so a change can be tried before the service gets it.
func (c *destinationsCmd) preview(ctx context.Context, e *env, cfg *config.Config) error {
	d, err := configured(cfg, c.Preview)
	if err != nil {
		return err
	}
	compiled, problems := delivery.Compile(deliverySettings(d))
	if problems != nil {
		return problems[0].Err
	}
	p := &previewing{destination: compiled, out: e, json: c.Format == "json"}
	err = e.withAdmin(ctx, cfg, func(a *admin) error {
		if len(compiled.Accounts) > 0 {
			if err := a.get(ctx, "/api/accounts", nil, &p.accounts); err != nil {
				return err
			}
		}
		return p.all(ctx, a, string(c.Since))
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "%d of %d events would have gone to %s\n", p.matched, p.seen, printable(d.Name))
	if err == nil && p.unplaced > 0 {
		_, err = fmt.Fprintf(e.stderr, "%d more are of accounts whose place in the tree of accounts is not known here\n", p.unplaced)
	}
	return err
}

// previewing is the state of a preview.
type previewing struct {
	destination *delivery.Destination
	accounts    []handlers.Account
	out         *env
	json        bool

	seen, matched, unplaced int
}

// all reads the history in order, page by page.
func (p *previewing) all(ctx context.Context, a *admin, since string) error {
	const page = 10_000
	v := url.Values{"format": {"ndjson"}, "order": {"oldest"}, "limit": {strconv.Itoa(page)}, "since": {since}}
	for {
		n, last, err := p.page(ctx, a, v)
		if err != nil || n < page {
			return err
		}
		v.Set("after", strconv.FormatInt(last, 10))
	}
}

func (p *previewing) page(ctx context.Context, a *admin, v url.Values) (n int, last int64, err error) {
	resp, err := a.do(ctx, http.MethodGet, "/api/events", v, nil, nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		ev, err := eventOfLine(in.Bytes())
		if err != nil {
			return n, last, fmt.Errorf("read an event: %w", err)
		}
		n, last = n+1, ev.Seq
		if err := p.one(ev); err != nil {
			return n, last, err
		}
	}
	return n, last, in.Err()
}

// one shows an event if it would have been delivered.
func (p *previewing) one(ev *event.Event) error {
	p.seen++
	matches, reason := p.destination.Matches(ev)
	if !matches {
		return nil
	}
	switch yes, known := p.within(ev); {
	case !known:
		p.unplaced++
		return nil
	case !yes:
		return nil
	}
	p.matched++
	m, err := p.destination.Message(ev)
	if err != nil {
		return p.print(ev, "", nil, err)
	}
	return p.print(ev, m.ContentType, m.Body, reason)
}

// within filters by account, as the delivery engine does.
func (p *previewing) within(ev *event.Event) (yes, known bool) {
	of, account := p.destination.Accounts, ev.AccountID
	if ev.ObjectType == "account" && ev.ObjectID != "" {
		account = ev.ObjectID
	}
	if len(of) == 0 || account == "" || slices.Contains(of, account) {
		return len(of) == 0 || account != "", true
	}
	i := slices.IndexFunc(p.accounts, func(a handlers.Account) bool { return a.ID == account })
	if i < 0 {
		return false, false
	}
	return slices.ContainsFunc(p.accounts[i].Ancestors, func(id string) bool { return slices.Contains(of, id) }), true
}

// print shows the event and its body. problem is an error of the template, which then
// has made no body, or of the condition.
func (p *previewing) print(ev *event.Event, contentType string, body []byte, problem error) error {
	if p.json {
		out := struct {
			Seq         int64     `json:"seq"`
			EventID     string    `json:"event_id"`
			Event       string    `json:"event"`
			ReceivedAt  time.Time `json:"received_at"`
			ContentType string    `json:"content_type,omitempty"`
			Body        string    `json:"body,omitempty"`
			Problem     string    `json:"problem,omitempty"`
		}{Seq: ev.Seq, EventID: ev.ID, Event: ev.Event, ReceivedAt: ev.ReceivedAt, ContentType: contentType, Body: string(body)}
		if problem != nil {
			out.Problem = problem.Error()
		}
		enc := json.NewEncoder(p.out.jsonOut())
		enc.SetEscapeHTML(false)
		return enc.Encode(out)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d  %s  %s  %s\n", ev.Seq, ev.ReceivedAt.UTC().Format(time.DateTime), printable(ev.Event), printable(ev.ID))
	if problem != nil {
		fmt.Fprintf(&b, "    problem: %s\n", printable(problem.Error()))
	}
	for line := range strings.Lines(string(body)) {
		fmt.Fprintf(&b, "    %s\n", printable(strings.TrimSuffix(line, "\n")))
	}
	_, err := fmt.Fprint(p.out.stdout, b.String())
	return err
}

// eventOfLine reads from an event's JSON the fields that destinations use.
func eventOfLine(line []byte) (*event.Event, error) {
	var l struct {
		Event       string         `json:"event"`
		ID          string         `json:"event_id"`
		Seq         int64          `json:"seq"`
		Journal     string         `json:"journal"`
		Source      event.Source   `json:"source"`
		ReceivedAt  time.Time      `json:"received_at"`
		AccountID   string         `json:"account_id"`
		Hook        string         `json:"hook"`
		HookID      string         `json:"hook_id"`
		Verified    *bool          `json:"verified"`
		ClusterID   string         `json:"cluster_id"`
		Action      event.Action   `json:"action"`
		ObjectType  string         `json:"object_type"`
		ObjectID    string         `json:"object_id"`
		ObjectName  string         `json:"object_name"`
		Data        map[string]any `json:"data"`
		DecodeError string         `json:"decode_error"`
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if err := dec.Decode(&l); err != nil {
		return nil, err
	}
	e := &event.Event{Journal: l.Journal, ClusterID: l.ClusterID, ObjectName: l.ObjectName, Data: l.Data}
	e.Event, e.ID, e.Seq, e.Source, e.ReceivedAt, e.AccountID = l.Event, l.ID, l.Seq, l.Source, l.ReceivedAt, l.AccountID
	e.Hook, e.HookID, e.Action, e.ObjectType, e.ObjectID = l.Hook, l.HookID, l.Action, l.ObjectType, l.ObjectID
	if l.Verified != nil {
		e.Signature = event.SignedWrong
		if *l.Verified {
			e.Signature = event.SignedRight
		}
	}
	if l.DecodeError != "" {
		e.Problems = []string{l.DecodeError}
	}
	return e, nil
}
