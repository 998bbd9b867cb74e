package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kazoohook/internal/event"
)

// TestOwnEventsAreShown: a hook that Kazoo switches off makes a line, an event in the
// history and the API, and a metric. Nobody else can send such an event.
func TestOwnEventsAreShown(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, hook := range []string{"kazoohook", "object"} {
		s.deliver(hook, `{"event":"kazoohook.outage","account_id":"a1","reasons":["forged"]}`)
	}
	if err := s.DisableHook(s.Hooks()[0].ID, "too many failed attempts"); err != nil {
		t.Fatal(err)
	}
	s.service.leading().engine.ReconcileNow()
	s.logged(`"event":"kazoohook.hook_disabled"`)
	line := ""
	for l := range strings.Lines(s.log.String()) {
		if strings.Contains(l, `"event":"kazoohook.hook_disabled"`) {
			line = l
		}
	}
	for _, want := range []string{`"level":"info"`, `"source":"receiver"`, `"seq":`, `"event_id":"`, `"disable_reason":"too many failed attempts"`, `"message":"a hook was switched off in Kazoo"`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	for _, query := range []string{"event=kazoohook.*", "source=receiver&event=*.hook_disabled"} {
		if got := s.get(s.admin + "/api/events?" + query); got.status != http.StatusOK || strings.Count(got.body, `"event":"kazoohook.hook_disabled"`) != 1 || strings.Contains(got.body, "forged") {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	if got := s.get(s.admin + "/metrics"); !strings.Contains(got.body, `kazoohook_events_total{event="kazoohook.hook_disabled",source="receiver"} 1`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestOwnEventsGoWhereTheyAreNamed: a destination gets our own events only if its
// patterns name them. A failed delivery of such an event makes no further event.
func TestOwnEventsGoWhereTheyAreNamed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	got := map[string][]string{} // names of events by path
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct {
			Event string `json:"event"`
		}
		_ = json.NewDecoder(r.Body).Decode(&e)
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/refuses" && e.Event == "user.deleted" {
			return // otherwise its failures would pause it
		}
		if got[r.URL.Path] = append(got[r.URL.Path], e.Event); r.URL.Path == "/refuses" {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(srv.Close)
	path := filepath.Join(t.TempDir(), "config.yaml")
	put(t, path, `destinations:
  default: {type: http, url: "`+srv.URL+`/default"}
  star: {type: http, url: "`+srv.URL+`/star", events: ["*"]}
  alerts: {type: http, url: "`+srv.URL+`/alerts", events: ["kazoohook.*"]}
  refuses: {type: http, url: "`+srv.URL+`/refuses", events: ["kazoohook.*", "user.*"], retry: [1s]}
`)
	s := newScene(t, "KAZOOHOOK_CONFIG="+path)
	if err := s.DisableHook(s.Hooks()[0].ID, "too many failed attempts"); err != nil {
		t.Fatal(err)
	}
	s.service.leading().engine.ReconcileNow()
	s.logged(`"event":"kazoohook.hook_disabled"`)
	s.deliver("object", "id=5f1e2d3c4b5a69788796a5b4c3d2e1f0&account_id=acme&action=doc_deleted&type=user")
	of := func(path string) []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got[path])
	}
	s.until("it arrives where it is named", func() bool { return slices.Contains(of("/alerts"), "kazoohook.hook_disabled") })
	for _, path := range []string{"/default", "/star"} {
		s.until("the deletion arrives at "+path, func() bool { return slices.Contains(of(path), "user.deleted") })
		if slices.ContainsFunc(of(path), event.IsOwn) {
			t.Errorf("%s: %q", path, of(path))
		}
	}
	s.until("it is a dead letter", func() bool {
		return strings.Contains(s.get(s.admin+"/api/dead").body, `"event":"kazoohook.hook_disabled"`)
	})
	if n, err := s.service.journal.Count(t.Context(), event.Query{Events: []string{"kazoohook.dead_letter"}}); err != nil || n != 0 {
		t.Errorf("%d events of dead letters, %v", n, err)
	}
	if slices.Contains(of("/alerts"), "user.deleted") {
		t.Errorf("%q", of("/alerts"))
	}
}
