package crossbar

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// endless serves pages of ten new rows without end.
func endless(padding int, each time.Duration) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(each)
		size := 10
		if s := r.URL.Query().Get("page_size"); s != "" {
			_, _ = fmt.Sscan(s, &size)
			size = min(size, 10)
		}
		data := []any{}
		for range size {
			n++
			data = append(data, map[string]any{"id": fmt.Sprint("u", n), "name": strings.Repeat("x", padding)})
		}
		reply(w, 200, map[string]any{"status": "success", "next_start_key": fmt.Sprint("k", n), "data": data})
	}
}

// A listing without end stops exactly at the limit, with an error that names the
// limit and the numbers.
func TestListingLimits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		h      http.HandlerFunc
		change func(*limits)
		what   string
		items  int
	}{
		"pages": {endless(0, 0), func(l *limits) { l.pages = 7 }, "pages", 70},
		"items": {endless(0, 0), func(l *limits) { l.items = 35 }, "items", 35},
		"bytes": {endless(1000, 0), func(l *limits) { l.bytes = 50_000 }, "bytes", 40},
		"time":  {endless(0, 11*time.Second), func(l *limits) { l.time = time.Minute }, "time", 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := inMemory(t, usersAPI(tc.h))
				tc.change(&c.limits)
				got, err := list(t, c)
				var e *LimitError
				if !errors.As(err, &e) || !errors.Is(err, ErrLimit) || !errors.Is(err, ErrIncomplete) {
					t.Fatal(err)
				}
				if e.What != tc.what || e.Op != opObjectsList || e.Items != tc.items || len(got) != tc.items {
					t.Errorf("%d given; %+v", len(got), e)
				}
				for _, part := range []string{"listing objects was given up: more than ", e.Limit, "incomplete"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("no %q in %v", part, err)
					}
				}
			})
		})
	}
}

// Attempts end after their pages, and the next call continues.
func TestAttemptsContinue(t *testing.T) {
	t.Parallel()
	newest := time.Unix(1_800_000_000, 0)
	a := newAPI()
	a.authed("GET /v2/accounts/{id}/webhooks/attempts", func(w http.ResponseWriter, r *http.Request) {
		// One attempt a second, without a first one, ten a page.
		var to, key int64
		_, _ = fmt.Sscan(r.URL.Query().Get("created_to"), &to)
		_, _ = fmt.Sscan(r.URL.Query().Get("start_key"), &key)
		if key > 0 {
			to = min(to, key)
		}
		data := []any{}
		for i := range int64(10) {
			data = append(data, map[string]any{"hook_id": "h", "event_id": fmt.Sprint(to - i), "timestamp": to - i})
		}
		reply(w, 200, map[string]any{"status": "success", "next_start_key": to - 10, "data": data})
	})
	c, _ := inMemory(t, a)
	c.limits.attempts = 3
	to, seen := newest, map[string]bool{}
	for range 3 {
		var err error
		var at Attempt
		for at, err = range c.Attempts(t.Context(), testAccount, "", to.Add(-time.Hour), to) {
			if err != nil {
				break
			}
			seen[at.EventID] = true
			to = at.Time
		}
		var e *LimitError
		if !errors.As(err, &e) || e.What != "pages" || e.Pages != 3 || e.Items != 30 {
			t.Fatal(err)
		}
	}
	if len(seen) != 88 { // the next pass repeats the oldest of a pass
		t.Errorf("%d attempts in three passes", len(seen))
	}
}

// Rows too large for ordinary pages are fetched in small ones.
func TestLargeRows(t *testing.T) {
	t.Parallel()
	rows := userRows("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l")
	for i := range rows {
		rows[i].doc["blob"] = strings.Repeat("x", 10_000)
	}
	c, m := inMemory(t, usersAPI(func(w http.ResponseWriter, r *http.Request) { view(rows, w, r) }))
	c.limits.page = 60_000
	got, err := list(t, c)
	if err != nil || len(got) != len(rows) || m.count("GET") != 5 { // 500, 50 and three of 5
		t.Errorf("%d rows, %d requests, %v", len(got), m.count("GET"), err)
	}
	c.limits.page, c.limits.item = 1<<20, 5000
	if _, err = list(t, c); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "one element has more than 5000 bytes") {
		t.Error(err)
	}
}

// Many large rows with the same key can't be listed: ErrLimit.
func TestLargeRowsOfOneKey(t *testing.T) {
	t.Parallel()
	rows := userRows(strings.Split(strings.Repeat("a", 60), "")...)
	for i := range rows {
		rows[i].doc["blob"] = strings.Repeat("x", 10_000)
	}
	c, m := inMemory(t, usersAPI(func(w http.ResponseWriter, r *http.Request) { view(rows, w, r) }))
	c.limits.page, c.limits.whole = 60_000, 60_000
	if _, err := list(t, c); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	if n := m.count("GET"); n > 10 {
		t.Errorf("%d requests", n)
	}
}

// Hooks, offers and samples are kept in memory, or cost a request each, so their
// listings end sooner.
func TestSmallListingLimits(t *testing.T) {
	t.Parallel()
	a := newAPI()
	a.authed("GET "+hooksPath, endless(0, 0))
	a.HandleFunc("GET /v2/webhooks", endless(0, 0))
	a.HandleFunc("GET /v2/webhooks/samples", endless(0, 0))
	c, m := inMemory(t, a)
	c.limits.hooks, c.limits.samples = 25, 9
	for name, do := range map[string]func() error{
		"hooks":   func() error { _, err := c.Hooks(t.Context(), testAccount); return err },
		"offer":   func() error { _, err := c.Offered(t.Context()); return err },
		"samples": func() error { _, err := c.Samples(t.Context()); return err },
	} {
		var e *LimitError
		if err := do(); !errors.As(err, &e) || e.What != "items" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := m.count("GET"); n != 7 {
		t.Errorf("%d requests", n)
	}
}
