package handlers

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"kazoohook/internal/event"
)

// format is the format of a list of events.
type format string

const (
	formatJSON  format = "json"   // pages
	formatLines format = "ndjson" // one event a line, for programs
	formatCSV   format = "csv"    // one event a row, for spreadsheets
)

// formatOf returns the format that the parameter format or else Accept asks for.
func formatOf(r *http.Request) format {
	switch f := format(r.URL.Query().Get("format")); f {
	case formatJSON, formatLines, formatCSV:
		return f
	}
	accept := r.Header.Get("Accept")
	switch {
	case strings.Contains(accept, "application/x-ndjson"):
		return formatLines
	case strings.Contains(accept, "text/csv"):
		return formatCSV
	}
	return formatJSON
}

// attach makes a browser save the answer as a file.
func attach(w http.ResponseWriter, f format, now time.Time) {
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="kazoohook-events-%s.%s"`, now.UTC().Format("20060102-150405Z"), f))
}

// recordWriter writes events one after the other.
type recordWriter interface {
	contentType() string
	begin(dst *bytes.Buffer)
	event(dst *bytes.Buffer, rec event.Record)
}

// writeRecords streams events with one page in memory at a time.
func writeRecords(w http.ResponseWriter, r *http.Request, d AdminDeps, p *pager, out recordWriter) {
	control := http.NewResponseController(w)
	var b bytes.Buffer
	for begun := false; ; begun = true {
		records, err := p.next(r.Context())
		switch {
		case err != nil && !begun:
			w.Header().Del("Content-Disposition")
			failed(w, r, d.Log, err)
			return
		case err != nil:
			// An answer cut short must not look complete.
			d.Log.Error().Err(err).Msg("reading events failed in the middle of an answer")
			panic(http.ErrAbortHandler)
		}
		b.Reset()
		if !begun {
			w.Header().Set("Content-Type", out.contentType())
			w.WriteHeader(http.StatusOK)
			out.begin(&b)
		}
		for _, rec := range records {
			out.event(&b, rec)
		}
		extend(w, d.WriteTimeout)
		if _, err := w.Write(b.Bytes()); err != nil {
			return
		}
		if err := control.Flush(); err != nil || p.done {
			return
		}
	}
}

type lines struct{ deps AdminDeps }

func newLines(d AdminDeps) lines { return lines{d} }

func (lines) contentType() string   { return "application/x-ndjson" }
func (lines) begin(_ *bytes.Buffer) {}

func (l lines) event(dst *bytes.Buffer, rec event.Record) {
	dst.Write(appendEvent(dst.AvailableBuffer(), l.deps, rec))
	dst.WriteByte('\n')
}

// table writes events as CSV (RFC 4180) that people open in a spreadsheet.
type table struct{ deps AdminDeps }

func newTable(d AdminDeps) table { return table{d} }

func (table) contentType() string { return "text/csv; charset=utf-8; header=present" }

// tableColumns are the columns, each a field of the event's JSON.
func tableColumns() []string {
	return []string{"seq", "event_id", "received_at", "event", "source", "account_id", "object_type", "object_id", "object_name",
		"action", "hook", "hook_id", "verified", "journal", "decode_error", "data"}
}

func (table) begin(dst *bytes.Buffer) { writeRow(dst, tableColumns()) }

func (t table) event(dst *bytes.Buffer, rec event.Record) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(appendEvent(nil, t.deps, rec), &fields); err != nil {
		// Our own JSON should parse. If not, a row with the error is better than a
		// missing row.
		fields = map[string]json.RawMessage{"decode_error": json.RawMessage(strconv.Quote("this event can't be shown as a row"))}
	}
	columns := tableColumns()
	row := make([]string, len(columns))
	for i, name := range columns {
		row[i] = cell(fields[name])
	}
	writeRow(dst, row)
}

func writeRow(dst *bytes.Buffer, row []string) {
	w := csv.NewWriter(dst)
	w.UseCRLF = true
	_ = w.Write(row) // a buffer takes everything
	w.Flush()
}

// cell returns a JSON value as a cell: a text unquoted, anything else as JSON.
func cell(value json.RawMessage) string {
	text := string(value)
	if len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &text) != nil {
		text = string(value)
	}
	return inert(text)
}

// inert makes a cell that no spreadsheet reads as a formula and that shows every
// character. A spreadsheet decides by the first character after white space and
// quotes. One that splits at semicolons or tabs also looks behind those. An
// apostrophe in these places makes the cell text. Control characters, and those
// that change the direction of writing, are replaced by their codes.
func inert(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	start := true
	for _, c := range text {
		if !start && ' ' <= c && c <= '~' && c != ';' { // nearly all
			b.WriteByte(byte(c))
			continue
		}
		if start && strings.ContainsRune("=+-@＝＋－＠", c) {
			b.WriteByte('\'')
		}
		switch {
		case c == ';' || c == '\t' || c == '\n' || c == '\r':
			start = true
		case unicode.IsSpace(c) || c == '"' || c == '\'' || unseen(c):
		default:
			start = false
		}
		if unseen(c) {
			fmt.Fprintf(&b, `\u%04x`, c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// unseen reports whether a character is invisible, or changes how others are shown.
func unseen(c rune) bool {
	return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) && c != '\u200d'
}
