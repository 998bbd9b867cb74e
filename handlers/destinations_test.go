package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestOnward: requests about destinations, the calls that they make, and the answers
// to errors.
func TestOnward(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var redelivered []RedeliverRequest
	var discarded []DiscardRequest
	paused := false
	h := newHarness(t, func(d *testDeps) {
		d.Now = func() time.Time { return now }
		named := func(name string, f func() error) error {
			switch name {
			case "billing":
				return f()
			case "broken":
				return errors.New("the disk is full")
			}
			return fmt.Errorf("%w: %q", ErrNoDestination, name)
		}
		d.Onward = Onward{
			Destinations: func(context.Context) ([]Destination, error) {
				state := map[bool]string{true: "paused", false: "ok"}[paused]
				return []Destination{{Name: "billing", Type: "http", State: state, Waiting: 2}}, nil
			},
			Dead: func(_ context.Context, q DeadQuery) ([]DeadLetter, error) {
				return []DeadLetter{{Destination: q.Destination, Seq: q.After + 1, Attempts: q.Limit, At: now}}, nil
			},
			Deliveries: func(_ context.Context, seq int64) ([]Delivery, error) {
				return []Delivery{{Destination: "billing", State: "waiting", Attempts: int(seq)}}, nil
			},
			Accounts: func(context.Context) ([]Account, error) { return nil, nil },
			Pause: func(_ context.Context, name string) error {
				return named(name, func() error { paused = true; return nil })
			},
			Resume: func(_ context.Context, name string) error {
				return named(name, func() error { paused = false; return nil })
			},
			Redeliver: func(_ context.Context, q RedeliverRequest) (RedeliverResult, error) {
				redelivered = append(redelivered, q)
				switch q.EventID {
				case "gone":
					return RedeliverResult{}, ErrNoEvent
				case "early":
					return RedeliverResult{}, fmt.Errorf("%w: it waits for its turn", ErrRefused)
				}
				return RedeliverResult{Destination: q.Destination, DryRun: q.DryRun}, named(q.Destination, func() error { return nil })
			},
			Discard: func(_ context.Context, q DiscardRequest) (int, error) {
				discarded = append(discarded, q)
				return 3, named(q.Destination, func() error { return nil })
			},
		}
	})
	const json = "application/json"
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string // in the answer
	}{
		{"GET", "/api/destinations", "", 200, `[{"name":"billing","type":"http","state":"ok","waiting":2,"dead":0,"oldest_waiting_seconds":0,"last_error":"","delivered":0,"per_minute":0}]`},
		{"POST", "/api/destinations/billing/pause", "{}", 200, `"state":"paused"`},
		{"POST", "/api/destinations/billing/resume", "{}", 200, `"state":"ok"`},
		{"POST", "/api/destinations/other/pause", "{}", 404, "no destination of this name"},
		{"POST", "/api/destinations/broken/pause", "{}", 500, "See the log"},
		{"GET", "/api/dead?destination=billing&after=7&limit=5", "", 200, `[{"destination":"billing","event_id":"","seq":8,"event":"","attempts":5,"last_error":"","at":"2026-01-02T03:04:05Z"}]`},
		{"GET", "/api/dead?limit=10001", "", 400, "limit"},
		{"GET", "/api/dead?after=x", "", 400, "after"},
		{"GET", "/api/events/9/deliveries", "", 200, `[{"destination":"billing","state":"waiting","attempts":9,"history":[]}]`},
		{"GET", "/api/events/0/deliveries", "", 400, "from 1"},
		{"GET", "/api/accounts", "", 200, "[]"},
		{"POST", "/api/redeliver", `{"destination":"billing","dead":true,"dry_run":true}`, 200, `"dry_run":true,"count":0,"events":[],"more":0`},
		{"POST", "/api/redeliver", `{"destination":"billing","from":"2h","to":"1h","event":"user.*"}`, 200, ""},
		{"POST", "/api/redeliver", `{"destination":"billing","dead":true,"from":"2h","to":"1h","event":"user.*"}`, 200, `"more":0,"left":0}`},
		{"POST", "/api/redeliver", `{"destination":"billing","event_id":"gone"}`, 404, "no event of this id"},
		{"POST", "/api/redeliver", `{"destination":"billing","event_id":"early"}`, 409, "it waits for its turn"},
		{"POST", "/api/redeliver", `{"destination":"broken","dead":true}`, 500, ""},
		{"POST", "/api/redeliver", `{"destination":"billing"}`, 400, "Send one object"},
		{"POST", "/api/redeliver", `{"dead":true}`, 400, "destination: the name"},
		{"POST", "/api/redeliver", `{"destination":"billing","dead":true,"event_id":"x"}`, 400, "Send one object"},
		{"POST", "/api/redeliver", `{"destination":"billing","event_id":"x","to":"1h"}`, 400, "Send one object"},
		{"POST", "/api/redeliver", `{"destination":"billing","event_id":"x","from":"1h"}`, 400, "Send one object"},
		{"POST", "/api/redeliver", `{"destination":"billing","to":"1h"}`, 400, "Send one object"},
		{"POST", "/api/redeliver", `{"destination":"billing","from":"soon"}`, 400, "from: a time like"},
		{"POST", "/api/redeliver", `{"destination":"billing","dead":true,"what":1}`, 400, "Send one object"},
		{"POST", "/api/dead/discard", `{"destination":"billing","event_id":"e"}`, 200, `{"discarded":3}`},
		{"POST", "/api/dead/discard", `{"destination":"other"}`, 404, ""},
		{"POST", "/api/dead/discard", `[]`, 400, ""},
	} {
		contentType := ""
		if c.body != "" {
			contentType = json
		}
		got := h.do(c.method, h.admin.URL+c.path, contentType, c.body)
		if got.status != c.status || !strings.Contains(got.body, c.want) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, got.status, got.body)
		}
	}
	for i, dead := range []bool{false, true} {
		if q := redelivered[1+i]; !q.From.Equal(now.Add(-2*time.Hour)) || !q.To.Equal(now.Add(-time.Hour)) || q.Event != "user.*" || q.Dead != dead || q.DryRun {
			t.Errorf("%+v", q)
		}
	}
	if len(redelivered) != 6 || len(discarded) != 2 || discarded[0].EventID != "e" {
		t.Errorf("%+v, %+v", redelivered, discarded)
	}
	if got := h.do("POST", h.admin.URL+"/api/redeliver", "text/plain", `{"destination":"billing","dead":true}`); got.status != 415 {
		t.Errorf("%+v", got)
	}
}

// TestOnwardAbsent: a stopped service answers reads only.
func TestOnwardAbsent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, path := range []string{"/api/destinations", "/api/dead", "/api/accounts", "/api/events/1/deliveries"} {
		isProblem(t, h.do("GET", h.admin.URL+path, "", ""), 404)
	}
	for _, path := range []string{"/api/redeliver", "/api/dead/discard", "/api/destinations/x/pause", "/api/destinations/x/resume"} {
		isProblem(t, h.do("POST", h.admin.URL+path, "application/json", "{}"), 404)
	}
}

// TestRemovedDestinations: removed destinations are listed only on request.
func TestRemovedDestinations(t *testing.T) {
	t.Parallel()
	named := func(name, state string) func(context.Context) ([]Destination, error) {
		return func(context.Context) ([]Destination, error) { return []Destination{{Name: name, State: state}}, nil }
	}
	h := listDestinations(AdminDeps{Onward: Onward{Destinations: named("billing", "ok"), Removed: named("old", "removed")}})
	for query, want := range map[string]string{
		"":               `"billing"`,
		"?removed=false": `"billing"`,
		"?removed=true":  `"old"`,
		"?removed=maybe": "removed: true or false",
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/destinations"+query, http.NoBody))
		if body := rec.Body.String(); !strings.Contains(body, want) || query != "?removed=true" && strings.Contains(body, `"old"`) {
			t.Errorf("%s: %d %s", query, rec.Code, body)
		}
	}
}
