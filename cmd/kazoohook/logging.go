package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/output"
	"kazoohook/internal/redact"
)

// timeFormat is RFC 3339 in UTC, always with milliseconds, so that lines sort as
// text.
const timeFormat = "2006-01-02T15:04:05.000Z"

// logs writes the log lines.
type logs struct {
	// Log writes everything that isn't an event. It never waits for the output.
	Log zerolog.Logger

	output  *output.Output
	secrets *redact.Redactor
	render  func([]byte) []byte // shows JSON lines in the chosen form
}

// events returns a writer that takes finished JSON lines of events, one or many in a
// write, shows them in the chosen form and passes them on.
func (l logs) events(next *output.Events) io.Writer {
	return lineWriter{next, l.secrets.Event, l.render}
}

// newLogs returns the logs that cfg asks for, written to w. Secrets of cfg are
// masked, and those that logs.secrets learns later.
func (e *env) newLogs(cfg *config.Config, w io.Writer) (logs, error) {
	level, err := zerolog.ParseLevel(string(cfg.LogLevel))
	if err != nil {
		return logs{}, err
	}
	l := logs{secrets: &e.secrets}
	learnSecrets(l.secrets, cfg)
	w = unmasked(w)
	l.render = jsonVisible
	if cfg.LogFormat == config.LogConsole {
		l.render = consoleLines(!e.colours(w))
	}
	if f, ok := w.(*os.File); ok {
		w = output.Checked(f)
	}
	l.output = output.New(w, output.Options{Notice: func(dropped int64) []byte {
		var line bytes.Buffer
		log := zerolog.New(&line).Hook(timestamp{})
		log.Warn().Int64("dropped", dropped).Msg("log messages were dropped because the output did not take them; event lines were not")
		return l.render(line.Bytes())
	}})
	l.Log = zerolog.New(lineWriter{l.output, l.secrets.JSON, l.render}).Level(level).Hook(timestamp{})
	return l, nil
}

// flushLimit bounds the wait for a blocked output.
const flushLimit = time.Second

// flush waits, for a limited time, until the messages are written.
func (l logs) flush() { flush(l.output) }

func flush(o *output.Output) {
	ctx, cancel := context.WithTimeout(context.Background(), flushLimit)
	defer cancel()
	_ = o.Flush(ctx) // there is no place to report it
}

// dropped counts the dropped messages.
func (l logs) dropped() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "kazoohook_log_messages_dropped_total",
		Help: "Messages of the log that were dropped because standard output did not take them. Lines of events are never dropped: they wait in the journal.",
	}, func() float64 { return float64(l.output.Dropped()) })
}

// lineWriter masks secrets in finished JSON lines, formats the lines and passes
// them on.
type lineWriter struct {
	next   io.Writer
	clean  func([]byte) []byte
	render func([]byte) []byte
}

// Write passes on the lines.
func (w lineWriter) Write(p []byte) (int, error) {
	if _, err := w.next.Write(w.render(w.clean(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// timestamp adds the time. zerolog's own hook needs package variables, which
// parallel tests share.
type timestamp struct{}

// Run adds the time to a line.
func (timestamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(timeFormat))
}

// newConsole formats lines for people: local time, the message and its subject
// first, and without fields for machines.
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

// consoleLines formats JSON lines for people. A line that can't be formatted is
// passed on unchanged.
func consoleLines(noColor bool) func([]byte) []byte {
	return func(p []byte) []byte {
		var out bytes.Buffer
		console := newConsole(&out, noColor)
		for line := range bytes.Lines(p) { // the console writer formats only the first line of a write
			if _, err := console.Write(textVisible(line)); err != nil {
				out.WriteString(printable(string(bytes.TrimSpace(line))) + "\n")
			}
		}
		return out.Bytes()
	}
}

// consoleWriter formats JSON lines for people, one or many in a write.
type consoleWriter struct {
	io.Writer
	render func([]byte) []byte
}

// Write shows the lines.
func (w consoleWriter) Write(p []byte) (int, error) {
	if _, err := w.Writer.Write(w.render(p)); err != nil {
		return 0, err
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
	f, ok := unmasked(w).(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
