package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"kazoohook/config"
)

// tailCmd follows events live.
type tailCmd struct {
	filters
	Format string `enum:"console,json" default:"console" help:"console, or json: one event a line."`
	settings
}

// Run prints events as they come until ctx ends. A lost connection is resumed
// behind the last event that was printed, without gap or repeat.
func (c *tailCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	a, err := newAdmin(cfg)
	if err != nil {
		return err
	}
	out := e.stdout
	if c.Format == string(config.LogConsole) {
		out = consoleLines{newConsole(e.stdout, !e.colours(e.stdout))}
	}
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 200*time.Millisecond, 10*time.Second
	t := tail{admin: a, query: c.values(), out: out, notes: e.stderr}
	for {
		connected, err := t.follow(ctx)
		var final *printError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &final):
			return final.err
		case !connected && t.last == "" && !errors.Is(err, errNotRunning):
			return err // refused: another try would be, too
		}
		if connected {
			retry.Reset()
		}
		pause := retry.NextBackOff()
		if _, err := fmt.Fprintf(e.stderr, "connection lost (%v); trying again in %s\n", err, pause.Round(100*time.Millisecond)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// tail is a live stream and the place in it.
type tail struct {
	admin *admin
	query map[string][]string
	out   io.Writer
	notes io.Writer // for what isn't an event
	last  string    // id of the last event seen
}

// printError is one of our own output, for which no reconnecting helps.
type printError struct{ err error }

func (e *printError) Error() string { return e.err.Error() }

// follow prints one connection's events until it breaks. connected says that
// there was one.
func (t *tail) follow(ctx context.Context) (connected bool, err error) {
	header := http.Header{"Accept": {"text/event-stream"}}
	if t.last != "" {
		header.Set("Last-Event-ID", t.last)
	}
	resp, err := t.admin.do(ctx, http.MethodGet, "/api/events/stream", t.query, nil, header)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 16<<20)
	var id, name string
	var data []byte
	for in.Scan() {
		field, value, _ := bytes.Cut(in.Bytes(), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "id":
			id = string(value)
		case "event":
			name = string(value)
		case "data":
			data = append(data, value...)
		case "":
			if len(in.Bytes()) > 0 {
				continue // a comment: the stream lives
			}
			if err := t.message(name, data); err != nil {
				return true, err
			}
			if id != "" {
				t.last = id
			}
			id, name, data = "", "", data[:0]
		}
	}
	if err := in.Err(); err != nil {
		return true, err
	}
	return true, io.EOF
}

// message handles one message of the stream.
func (t *tail) message(name string, data []byte) error {
	switch {
	case name == "error" || name == "gap":
		if _, err := fmt.Fprintf(t.notes, "%s: %s\n", name, data); err != nil {
			return &printError{err}
		}
		return nil
	case name != "" || len(data) == 0: // a position, or nothing
		return nil
	}
	return t.print(data)
}

func (t *tail) print(data []byte) error {
	if _, err := t.out.Write(append(bytes.Clone(data), '\n')); err != nil {
		return &printError{err}
	}
	return nil
}
