package handlers

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/internal/requests"
)

// TestRequestsOfOtherNodes: an event shows the requests that any node took, in order
// of time, and names nodes that can't be asked. It counts as duplicated, whichever
// node got the duplicate.
func TestRequestsOfOtherNodes(t *testing.T) {
	t.Parallel()
	own := requests.New(requests.Options{})
	begun := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	own.Note(requests.Request{Seq: 1, At: begun.Add(time.Second), Method: "POST", From: "192.0.2.2", Status: 200, Written: true})
	elsewhere := []requests.Request{
		{Seq: 1, At: begun, Method: "POST", From: "192.0.2.1", Status: 200},
		{Seq: 1, Duplicate: true, At: begun.Add(time.Minute), Method: "POST", From: "192.0.2.3", Status: 200, Written: true},
	}
	var away atomic.Bool
	h := newHarness(t, func(d *testDeps) {
		d.AdminDeps.Exchanges = own
		d.AdminDeps.Cluster = Cluster{
			Requests: func(_ context.Context, seq int64) ([]requests.Request, []string) {
				if seq != 1 {
					return nil, nil
				}
				if away.Load() {
					return nil, []string{"node3"}
				}
				return elsewhere, nil
			},
			Duplicated: func(context.Context) []int64 { return []int64{1, 1} },
		}
	})
	if r := h.deliver(userDeleted); r.status != http.StatusOK {
		t.Fatalf("%d", r.status)
	}
	r := h.get("/api/events/1")
	from := func(n string) int { return strings.Index(r.body, `"remote_addr":"192.0.2.`+n) }
	if from("1") < 0 || from("2") < from("1") || from("3") < from("2") || strings.Contains(r.body, "requests_unknown") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := h.get("/api/events?duplicate=true"); strings.Count(r.body, `"event_id"`) != 1 {
		t.Errorf("duplicated: %d %s", r.status, r.body)
	}
	away.Store(true)
	if r := h.get("/api/events/1"); !strings.Contains(r.body, `"requests_unknown":["node3"]`) {
		t.Errorf("%d %s", r.status, r.body)
	}
}
