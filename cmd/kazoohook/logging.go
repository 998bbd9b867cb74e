package main

import (
	"bytes"
	"io"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/config"
)

// timeFormat is RFC 3339 in UTC with milliseconds always there, so that lines
// sort as text.
const timeFormat = "2006-01-02T15:04:05.000Z"

// logs is where log lines go.
type logs struct {
	// Log writes everything that isn't an event.
	Log zerolog.Logger
	// Out takes finished JSON lines, one or many in a write, and shows them in
	// the chosen form. Log writes to it as well. A write is whole: lines never
	// mix, and nothing is held back that could be lost at exit.
	Out io.Writer
}

// newLogs returns the logs that cfg asks for, written to w.
func (e *env) newLogs(cfg *config.Config, w io.Writer) (logs, error) {
	level, err := zerolog.ParseLevel(string(cfg.LogLevel))
	if err != nil {
		return logs{}, err
	}
	out := zerolog.SyncWriter(w)
	if cfg.LogFormat == config.LogConsole {
		out = zerolog.SyncWriter(consoleLines{newConsole(w, !e.colours(w))})
	}
	return logs{Log: zerolog.New(out).Level(level).Hook(timestamp{}), Out: out}, nil
}

// timestamp adds the time. zerolog's own would need its package variables
// changed, which tests that run side by side share.
type timestamp struct{}

// Run adds the time to a line.
func (timestamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(timeFormat))
}

// newConsole shows lines to people: local time, what happened to whom first,
// and without the fields that only machines need.
func newConsole(w io.Writer, noColor bool) zerolog.ConsoleWriter {
	return zerolog.ConsoleWriter{
		Out:           w,
		NoColor:       noColor,
		TimeFormat:    "15:04:05.000",
		TimeLocation:  time.Local,
		FieldsOrder:   []string{"event", "object_name", "object_type", "object_id", "account_id", "source", "seq"},
		FieldsExclude: []string{"event_id", "received_at", "hook", "hook_id", "cluster_id", "action"},
	}
}

// consoleLines splits what it gets into lines: the console writer shows only
// the first of a write.
type consoleLines struct{ zerolog.ConsoleWriter }

// Write shows each line of p.
func (c consoleLines) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if _, err := c.ConsoleWriter.Write(line); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// colours reports whether w is a terminal whose user didn't object
// (https://no-color.org).
func (e *env) colours(w io.Writer) bool {
	if slices.ContainsFunc(e.environ, func(s string) bool { return len(s) > len("NO_COLOR=") && s[:len("NO_COLOR=")] == "NO_COLOR=" }) {
		return false
	}
	return isTerminal(w)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
