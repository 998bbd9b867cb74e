package handlers

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event"
)

func rowsOf(t *testing.T, r reply) []map[string]string {
	t.Helper()
	if r.status != http.StatusOK || !strings.HasPrefix(r.header.Get("Content-Type"), "text/csv; charset=utf-8") {
		t.Fatalf("%d %v", r.status, r.header)
	}
	all, err := csv.NewReader(strings.NewReader(r.body)).ReadAll()
	if err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	var rows []map[string]string
	for _, line := range all[1:] {
		row := map[string]string{}
		for i, value := range line {
			row[all[0][i]] = value
		}
		rows = append(rows, row)
	}
	return rows
}

// TestExport: the events of a filter are exported as a table and as lines, with the
// name of a file.
func TestExport(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for i := range 250 { // more than are in memory at once
		kind := []string{"user", "device"}[i%2]
		h.deliver(fmt.Sprintf("id=%032x&account_id=a1&action=doc_deleted&type=%s&name=N%d", i, kind, i))
	}
	rows := rowsOf(t, h.get("/api/events?format=csv&event=user.*&download"))
	if len(rows) != 125 || rows[0]["seq"] != "249" || rows[0]["event"] != "user.deleted" || rows[0]["account_id"] != "a1" ||
		rows[0]["source"] != "webhook" || rows[0]["object_id"] != fmt.Sprintf("%032x", 248) {
		t.Fatalf("%d rows, the first is %v", len(rows), rows[0])
	}
	var data map[string]any
	if err := json.Unmarshal([]byte(rows[0]["data"]), &data); err != nil || data["name"] != "N248" {
		t.Errorf("data %q: %v", rows[0]["data"], err)
	}
	if _, err := time.Parse(time.RFC3339Nano, rows[0]["received_at"]); err != nil {
		t.Error(err)
	}
	for query, want := range map[string]string{
		"format=csv&download":    `attachment; filename="kazoohook-events-`,
		"format=ndjson&download": `attachment; filename="kazoohook-events-`,
		"format=csv":             "", "format=json&download": "",
	} {
		got := h.get("/api/events?" + query).header.Get("Content-Disposition")
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: disposition %q", query, got)
		}
	}
	if n := strings.Count(h.get("/api/events?format=ndjson&limit=10000000").body, "\n"); n != 250 {
		t.Errorf("%d lines", n)
	}
	if got := rowsOf(t, h.get("/api/events?limit=3", "Accept", "text/csv")); len(got) != 3 {
		t.Errorf("%d rows for Accept", len(got))
	}
	if got := rowsOf(t, h.get("/api/events?format=csv&event=nothing")); len(got) != 0 {
		t.Errorf("%d rows of nothing", len(got))
	}
}

// TestExportNeedsTheToken: an export needs the token like every other route.
func TestExportNeedsTheToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.Token = testToken })
	for _, format := range []string{"csv", "ndjson"} {
		if got := h.get("/api/events?format=" + format); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %+v", format, got)
		}
		if got := h.get("/api/events?format="+format, "Authorization", "Bearer "+testToken); got.status != http.StatusOK {
			t.Errorf("%s with the token: %+v", format, got)
		}
	}
}

// TestExportIsCutShort: a journal that fails in the middle makes no file that looks
// complete, and one that fails at once makes no file.
func TestExportIsCutShort(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for i := range 150 {
		h.deliver(fmt.Sprintf("id=%032x&account_id=a1&action=doc_deleted&type=user", i))
	}
	for _, format := range []string{"csv", "ndjson"} {
		asked := 0
		h.journal.setQuery(func(event.Query) error {
			if asked++; asked == 2 {
				return errors.New("disk failed")
			}
			return nil
		})
		request := fmt.Sprintf("GET /api/events?format=%s&download HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", format)
		if got := h.rawAdmin(request); !strings.Contains(got, "200 OK") || strings.HasSuffix(got, "\r\n0\r\n\r\n") {
			t.Errorf("%s: it ends as if it was whole", format)
		}
		h.journal.setQuery(func(event.Query) error { return errors.New("disk failed") })
		got := h.get("/api/events?format=" + format + "&download")
		if got.status != http.StatusInternalServerError || got.header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %+v", format, got)
		}
	}
}

// TestExportCells: every value of an event is text in a spreadsheet, even if it looks
// like a formula.
func TestExportCells(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"plain":                  {"Ann Lee", "Ann Lee"},
		"empty":                  {"", ""},
		"formula":                {`=HYPERLINK("http://x";"y")`, `'=HYPERLINK("http://x";"y")`},
		"plus":                   {"+15551234567", "'+15551234567"},
		"minus":                  {"-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"},
		"at":                     {"@SUM(1)", "'@SUM(1)"},
		"full width":             {"＝1+1", "'＝1+1"},
		"white space before":     {"  =1", "  '=1"},
		"no-break space before":  {"\u00a0=1", "\u00a0'=1"},
		"quote before":           {`"=1`, `"'=1`},
		"apostrophe before":      {"'=1", "''=1"},
		"tab":                    {"\t=1", `\u0009'=1`},
		"line":                   {"a\r\n=1", `a\u000d\u000a'=1`},
		"zero width before":      {"\u200b=1", `\u200b'=1`},
		"semicolon":              {"a;=1;b", "a;'=1;b"},
		"semicolon and space":    {`a; "@x`, `a; "'@x`},
		"in the middle":          {"a=b+c-d@e", "a=b+c-d@e"},
		"escape":                 {"\x1b[31mred", `\u001b[31mred`},
		"c1 and direction":       {"a\u009bb\u202ec", `a\u009bb\u202ec`},
		"accents, signs, joined": {"Chloé 👨\u200d👩 日本", "Chloé 👨\u200d👩 日本"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := inert(c.text); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			h := newHarness(t)
			h.deliver(url.Values{"hook_event": {"channel_create"}, "call_id": {c.text}, "account_id": {c.text}, "timestamp": {"63907712980"}}.Encode())
			rows := rowsOf(t, h.get("/api/events?format=csv"))
			if len(rows) != 1 || rows[0]["account_id"] != inert(c.text) {
				t.Errorf("%q", rows)
			}
			for column, value := range rows[0] {
				if strings.IndexAny(value, "=+-@\t\r\n\x1b") == 0 {
					t.Errorf("column %s begins with %q", column, value[0])
				}
			}
		})
	}
}

func FuzzInert(f *testing.F) {
	for _, s := range []string{"", "=1", "a;=1", "\x00\xff", `" ' =`, "\u202e@", "'-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := inert(s)
		for part := range strings.SplitSeq(got, ";") {
			bare := strings.TrimLeft(part, " \u00a0\u2003\"")
			if strings.HasPrefix(bare, "=") || strings.HasPrefix(bare, "+") || strings.HasPrefix(bare, "@") || strings.HasPrefix(bare, "-") {
				t.Errorf("%q becomes %q, in which %q is a formula", s, got, part)
			}
		}
		if strings.ContainsFunc(got, unseen) {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}

// largeHistory has many large events, which exist only while they are read.
type largeHistory struct {
	History
	n int64
}

func (l largeHistory) Query(_ context.Context, q event.Query) (found []event.Record, next int64, err error) {
	for seq := q.Before - 1; len(found) < q.Limit; seq-- {
		if q.Before == 0 {
			seq, q.Before = l.n, 1
		}
		if seq < 1 {
			return found, 0, nil
		}
		body := fmt.Appendf(nil, "id=%032x&account_id=a&action=doc_deleted&type=user&name=%010000d", seq, seq)
		r := event.Route(event.Request{Source: event.SourceWebhook, Method: "POST", ContentType: formType, Hook: "object", Body: body})
		r.Seq = seq
		found = append(found, r)
	}
	return found, found[len(found)-1].Seq, nil
}

// TestExportNeedsLittleMemory: an export of many events has few of them in memory.
func TestExportNeedsLittleMemory(t *testing.T) {
	const events = 1_500
	h := Admin(AdminDeps{History: largeHistory{n: events}})
	for _, format := range []string{"csv", "ndjson"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/events?limit=10000000&format="+format, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		w := &countingWriter{header: http.Header{}}
		h.ServeHTTP(w, r)
		if w.bytes < events*10_000 {
			t.Fatalf("%s: only %d bytes", format, w.bytes)
		}
		if slices.Max(w.heap) > slices.Min(w.heap)+10<<20 {
			t.Errorf("%s: the heap grew from %d to %d bytes", format, slices.Min(w.heap), slices.Max(w.heap))
		}
	}
}

// countingWriter measures the heap now and then while an answer is written.
type countingWriter struct {
	header http.Header
	bytes  int
	writes int
	heap   []uint64
}

func (w *countingWriter) Header() http.Header { return w.header }
func (w *countingWriter) WriteHeader(int)     {}
func (w *countingWriter) Flush()              {}

func (w *countingWriter) SetWriteDeadline(time.Time) error { return nil }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.bytes += len(p)
	if w.writes++; w.writes%5 == 1 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		w.heap = append(w.heap, m.HeapAlloc)
	}
	return len(p), nil
}
