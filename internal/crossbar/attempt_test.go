package crossbar

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"
)

// vectors reads attempts as Kazoo's real sender stored them.
func vectors(tb testing.TB) []json.RawMessage {
	tb.Helper()
	f, err := os.Open("testdata/attempts.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	var items []json.RawMessage
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var line struct {
			Item json.RawMessage `json:"api_item"`
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			tb.Fatal(err)
		}
		items = append(items, line.Item)
	}
	if len(items) == 0 || s.Err() != nil {
		tb.Fatal("no attempts", s.Err())
	}
	return items
}

func TestAttemptVectors(t *testing.T) {
	t.Parallel()
	items := vectors(t)
	a := newAPI()
	var from, to string
	path := "GET /v2/accounts/" + testAccount + "/webhooks/"
	h := func(w http.ResponseWriter, r *http.Request) {
		from, to = r.URL.Query().Get("created_from"), r.URL.Query().Get("created_to")
		ok(w, items)
	}
	a.authed(path+"h1/attempts", h)
	a.authed(path+"attempts", h)
	c, _ := inMemory(t, a)
	end := time.Unix(63962778722-GregorianEpoch, 0)
	for _, hook := range []string{"h1", ""} {
		var got []Attempt
		for at, err := range c.Attempts(t.Context(), testAccount, hook, end.Add(-MaxWindow), end) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, at)
		}
		if len(got) != len(items) || from != "63960100322" || to != "63962778722" {
			t.Fatalf("%d attempts of %d, from %s to %s", len(got), len(items), from, to)
		}
		for i, at := range got {
			var item struct {
				Body json.RawMessage `json:"req_body"`
				ID   string          `json:"event_id"`
				TS   int64           `json:"timestamp"`
			}
			if err := json.Unmarshal(items[i], &item); err != nil {
				t.Fatal(err)
			}
			if at.EventID != item.ID || len(at.EventID) != 10 || string(at.Body) != string(item.Body) || at.Time.Unix() != item.TS-GregorianEpoch ||
				at.Status != "503" || at.RespBody != "OK" || at.Try != 2 || at.RetriesLeft != 1 || !at.Last || at.Method != "post" ||
				at.Result != "failure" || at.Reason != "bad response code" || at.HookID == "" || at.Header["x-hook-id"] != at.HookID || at.URI == "" {
				t.Errorf("%+v", at)
			}
		}
	}
}

func TestParseAttempt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		doc  string
		left int
		last bool
	}{
		"first try":      {`{"client_error":"econnrefused","retries":3,"retries_left":2,"reason":"kazoo http client error"}`, 2, false},
		"as text":        {`{"client_error":"econnrefused","retries":"3","retries_left":"2"}`, 2, false},
		"exceeded":       {`{"client_error":"timeout","retries":3,"retries_left":"retries exceeded"}`, 0, true},
		"none left":      {`{"client_error":"timeout","retries":3,"retries_left":0}`, 0, true},
		"answered":       {`{"resp_status_code":"404","retries_left":2}`, 2, true},
		"number status":  {`{"resp_status_code":404,"retries_left":2}`, 2, true},
		"success":        {`{"result":"success","resp_status_code":"200"}`, -1, true},
		"nothing":        {`{}`, -1, false},
		"nulls":          {`{"retries_left":null,"resp_status_code":null,"timestamp":null,"req_headers":null}`, -1, false},
		"old names":      {`{"response_code":"500","response_body":"x","retries left":1}`, 1, true},
		"old exceeded":   {`{"result":"failure","reason":"retries exceeded"}`, 0, true},
		"odd":            {`{"retries_left":{},"req_headers":[],"timestamp":"soon","try":[1]}`, -1, false},
		"odd headers":    {`{"req_headers":{"X":["a","b"],"Y":1}}`, -1, false},
		"text timestamp": {`{"timestamp":"63962778721"}`, -1, false},
		"channel hook":   {`{"hook_event":"CHANNEL_CREATE"}`, -1, false},
	} {
		a, err := parseAttempt(json.RawMessage(tc.doc))
		if err != nil || a.RetriesLeft != tc.left || a.Last != tc.last {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		switch name {
		case "text timestamp":
			if a.Time.Unix() != 63962778721-GregorianEpoch {
				t.Errorf("%s: %s", name, a.Time)
			}
		case "channel hook":
			if a.HookEvent != "channel_create" {
				t.Errorf("%s: %s", name, a.HookEvent)
			}
		case "odd headers":
			if a.Header["x"] != "a, b" || a.Header["y"] != "1" {
				t.Errorf("%s: %v", name, a.Header)
			}
		case "old names":
			if a.Status != "500" || a.RespBody != "x" {
				t.Errorf("%s: %+v", name, a)
			}
		default:
			if !a.Time.IsZero() {
				t.Errorf("%s: time %s", name, a.Time)
			}
		}
	}
	for _, doc := range []string{``, `null`, `[]`, `"x"`} {
		if _, err := parseAttempt(json.RawMessage(doc)); err == nil {
			t.Errorf("%q accepted", doc)
		}
	}
}

func TestAttemptWindows(t *testing.T) {
	t.Parallel()
	c, m := inMemory(t, newAPI())
	now := time.Now()
	for name, w := range map[string][2]time.Time{
		"too long":  {now.Add(-MaxWindow - time.Second), now},
		"backwards": {now, now.Add(-time.Second)},
	} {
		n := 0
		for _, err := range c.Attempts(t.Context(), testAccount, "h1", w[0], w[1]) {
			if n++; err == nil {
				t.Errorf("%s accepted", name)
			}
		}
		if n != 1 || len(m.log) != 0 {
			t.Errorf("%s: %d items, %d requests", name, n, len(m.log))
		}
	}
}

// TestAttemptsOfOneSecond: attempts have no id; all of a second have the same key.
func TestAttemptsOfOneSecond(t *testing.T) {
	t.Parallel()
	var rows []row
	for i := range 1200 {
		rows = append(rows, row{"63962778721", map[string]any{"event_id": i / 2, "try": i % 2, "timestamp": 63962778721}})
	}
	a := newAPI()
	a.authed("GET /v2/accounts/{id}/webhooks/attempts", func(w http.ResponseWriter, r *http.Request) { view(rows, w, r) })
	c, _ := inMemory(t, a)
	n := 0
	for _, err := range c.Attempts(t.Context(), testAccount, "", time.Now().Add(-time.Hour), time.Now()) {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n != len(rows) {
		t.Errorf("%d of %d", n, len(rows))
	}
}
