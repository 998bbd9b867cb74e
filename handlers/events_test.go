package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/event/eventtest"
)

func newRecorder(t *testing.T, h http.Handler, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	change(r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

type page struct {
	Events []struct {
		Event string `json:"event"`
		Seq   int64  `json:"seq"`
	} `json:"events"`
	Next string `json:"next"`
}

func (h *harness) page(query string) page {
	h.t.Helper()
	got := h.get("/api/events" + query)
	var p page
	if err := json.Unmarshal([]byte(got.body), &p); err != nil || got.status != 200 {
		h.t.Fatalf("%s: %v %+v", query, err, got)
	}
	return p
}

func TestEventsArePaged(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if p := h.page(""); p.Events == nil || len(p.Events) != 0 || p.Next != "" {
		t.Errorf("empty journal: %+v", p)
	}
	h.fill(250)
	for order, cursor := range map[string]string{"newest": "before", "oldest": "after"} {
		for _, limit := range []int{9, 50, 100, 125, 249, 250, 1000} {
			var seqs []int64
			next := ""
			for pages := 0; ; pages++ {
				q := fmt.Sprintf("?order=%s&limit=%d", order, limit)
				if next != "" {
					q += "&" + cursor + "=" + next
				}
				p := h.page(q)
				if len(p.Events) > limit {
					t.Fatalf("%s: %d events", q, len(p.Events))
				}
				for _, e := range p.Events {
					seqs = append(seqs, e.Seq)
				}
				if next = p.Next; next == "" {
					if want := (250 + limit - 1) / limit; pages+1 != want {
						t.Errorf("%s %d: %d pages, want %d", order, limit, pages+1, want)
					}
					break
				}
			}
			for i, seq := range seqs {
				want := int64(i + 1)
				if order == "newest" {
					want = int64(250 - i)
				}
				if seq != want {
					t.Fatalf("%s by %d: event %d at %d", order, limit, seq, i)
				}
			}
			if len(seqs) != 250 {
				t.Errorf("%s by %d: %d events", order, limit, len(seqs))
			}
		}
	}
}

func TestEventsAsLines(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.fill(250)
	got := h.get("/api/events?order=oldest", "Accept", "application/x-ndjson")
	lines := strings.Split(strings.TrimSuffix(got.body, "\n"), "\n")
	if got.header.Get("Content-Type") != "application/x-ndjson" || len(lines) != 250 || !strings.HasPrefix(lines[0], `{"event":"user.deleted"`) {
		t.Errorf("%d lines, %v, %.100s", len(lines), got.header, got.body)
	}
	for _, line := range lines {
		eventtest.Validate(t, []byte(line))
	}
	if got := h.get("/api/events?format=ndjson&limit=3"); strings.Count(got.body, "\n") != 3 {
		t.Errorf("%s", got.body)
	}
	if got := h.get("/api/events?format=json&limit=3", "Accept", "application/x-ndjson"); got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", got.header)
	}
}

// TestLinesCutShort: an answer that fails in the middle must not look complete.
func TestLinesCutShort(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.fill(250)
	h.journal.setQuery(func(q event.Query) error {
		if q.Before != 0 {
			return errors.New("disk failed")
		}
		return nil
	})
	got := h.rawAdmin("GET /api/events?format=ndjson HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if !strings.Contains(got, "200 OK") || strings.Contains(got, "\r\n0\r\n\r\n") {
		t.Errorf("the answer ends as if complete: ...%s", got[max(0, len(got)-100):])
	}
}

func TestLargeEventsArePagedBySize(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for i := range 12 {
		h.journal.add(event.Record{Event: "x", Request: event.Request{
			Body: []byte("a=" + strings.Repeat("x", 1<<20)), ContentType: formType, Method: "POST",
		}, Dedupe: event.Dedupe{Key: event.Key{byte(i)}}})
	}
	p := h.page("?order=oldest")
	if len(p.Events) == 12 || p.Next != strconv.Itoa(len(p.Events)) {
		t.Errorf("%d events, next %q", len(p.Events), p.Next)
	}
	if rest := h.page("?order=oldest&after=" + p.Next); len(rest.Events)+len(p.Events) != 12 || rest.Next != "" {
		t.Errorf("then %d, next %q", len(rest.Events), rest.Next)
	}
}

func TestOneEvent(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.Enrich = func(e *event.Event) { e.ObjectName = "Ann Lee" } })
	h.fill(2)
	h.journal.add(event.Route(event.Request{
		Source: event.SourceRecovered, Hook: "object", Method: "POST", ContentType: formType, Body: []byte("id=u9&a=\xff\xfe"),
		Firing: event.Firing{ID: "f1", First: time.Unix(1, 0).UTC(), Last: time.Unix(2, 0).UTC()},
	}))
	got := h.get("/api/events/1")
	var b struct {
		Event    json.RawMessage
		Message  string
		Problems []string
		Raw      struct {
			ContentType    string `json:"content_type"`
			Size           int
			Encoding, Body string
		}
		Delivery map[string]any
	}
	if err := json.Unmarshal([]byte(got.body), &b); err != nil {
		t.Fatal(err)
	}
	eventtest.Validate(t, b.Event)
	var e map[string]any
	if err := json.Unmarshal(b.Event, &e); err != nil {
		t.Fatal(err)
	}
	if e["event"] != "user.deleted" || e["object_name"] != "Ann Lee" || b.Message == "" || b.Problems == nil ||
		b.Raw.ContentType != formType || b.Raw.Size == 0 || b.Raw.Encoding != "" || b.Delivery["remote_addr"] != "192.0.2.7" ||
		b.Delivery["hook_id"] != "h1" || b.Delivery["firing"] != nil {
		t.Errorf("%s", got.body)
	}
	if got := h.get("/api/events/3"); !strings.Contains(got.body, `"firing":{"id":"f1"`) {
		t.Errorf("%s", got.body)
	}
}

func TestQueryParams(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	v, err := url.ParseQuery("since=2h&until=2026-03-02&event=user.*,%20channel.create&event=sms&account=a&object=o,&text=Ann&after=3&before=9&order=oldest")
	if err != nil {
		t.Fatal(err)
	}
	q, err := queryParams(v, now)
	want := event.Query{
		Since: now.Add(-2 * time.Hour), Until: now.Add(-12 * time.Hour), Events: []string{"user.*", "channel.create", "sms"},
		Accounts: []string{"a"}, Objects: []string{"o"}, Text: "Ann", After: 3, Before: 9, OldestFirst: true,
	}
	if err != nil || fmt.Sprint(q) != fmt.Sprint(want) {
		t.Errorf("%+v %v", q, err)
	}
	for text, want := range map[string]time.Time{
		"2026-03-02T01:02:03.5Z": time.Date(2026, 3, 2, 1, 2, 3, 5e8, time.UTC), "2026-03-02T02:02:03+01:00": time.Date(2026, 3, 2, 1, 2, 3, 0, time.UTC),
		"2026-03-02 01:02:03": time.Date(2026, 3, 2, 1, 2, 3, 0, time.UTC), "2026-03-02T01:02": time.Date(2026, 3, 2, 1, 2, 0, 0, time.UTC),
		"90m": now.Add(-90 * time.Minute), "7d": now.AddDate(0, 0, -7), "2w": now.AddDate(0, 0, -14), "0s": now,
	} {
		if got, ok := ParseTime(text, now); !ok || !got.Equal(want) {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"x", "-1h", "99999999d", "1.5d", "d", "2026-13-01", "18446744073709551615d", "9000000h"} {
		if got, ok := ParseTime(text, now); ok {
			t.Errorf("%s: %v", text, got)
		}
	}
}
