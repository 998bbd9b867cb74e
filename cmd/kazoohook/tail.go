package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/event"
)

// tailCmd follows events live.
type tailCmd struct {
	filters
	Format string `enum:"console,json" default:"console" help:"console, or json: one event a line."`
	settings
}

// Run prints events as they come until ctx ends. After a lost connection it
// continues after the last printed event, without gap or repeat. If the first
// connection fails, that is an error.
func (c *tailCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	if err := noteUnknown(e.stderr, c.Event...); err != nil {
		return err
	}
	return withService(cfg, "tail", func(a *admin) error { return c.follow(ctx, e, a) })
}

func (c *tailCmd) follow(ctx context.Context, e *env, a *admin) error {
	out := e.jsonOut()
	if c.Format == string(config.LogConsole) {
		show := consoleLines(!e.colours(e.stdout))
		out = consoleWriter{e.stdout, func(line []byte) []byte { return show(asLogLine(line)) }}
	}
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 200*time.Millisecond, 10*time.Second
	t := tail{admin: a, query: c.values(), out: out, notes: e.stderr}
	for met := false; ; {
		connected, err := t.follow(ctx)
		var final *printError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &final):
			return final.err
		case !connected && !met:
			return err // another try would fail, too
		}
		if connected {
			met = true
			retry.Reset()
		}
		pause := retry.NextBackOff()
		if _, err := fmt.Fprintf(e.stderr, "connection lost (%s); trying again in %s\n", printable(err.Error()), pause.Round(100*time.Millisecond)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// asLogLine adds the fields of a log line to an event's JSON. The time is the
// event's.
func asLogLine(line []byte) []byte {
	var e struct {
		Event      string `json:"event"`
		ReceivedAt string `json:"received_at"`
	}
	if json.Unmarshal(line, &e) != nil {
		return line
	}
	level := zerolog.LevelInfoValue
	if e.Event == event.Unknown {
		level = zerolog.LevelWarnValue
	}
	head, err := json.Marshal(map[string]string{
		zerolog.LevelFieldName: level, zerolog.TimestampFieldName: e.ReceivedAt,
		zerolog.MessageFieldName: strings.NewReplacer(".", " ", "_", " ").Replace(e.Event),
	})
	if err != nil {
		return line
	}
	return slices.Concat(head[:len(head)-1], []byte{','}, bytes.TrimLeft(line, " {"))
}

// tail is a live stream and the position in it.
type tail struct {
	admin *admin
	query map[string][]string
	out   io.Writer
	notes io.Writer // for everything but events
	last  string    // id of the last event seen
}

// printError is a failure of our own output, which a new connection doesn't repair.
type printError struct{ err error }

func (e *printError) Error() string { return e.err.Error() }

// follow prints one connection's events until it breaks. connected says that there
// was a connection.
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
				continue // a comment: the stream is alive
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
		if _, err := fmt.Fprintf(t.notes, "%s: %s\n", name, printable(string(data))); err != nil {
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
