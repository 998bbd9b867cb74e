package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAbout(t *testing.T) {
	t.Parallel()
	known := About{Version: "v1.2.3", Go: "go1", StartedAt: time.Unix(1, 0).UTC(), Uptime: 90, Journal: "abcd1234", Last: 7, Bytes: 4096, Disk: &Disk{Free: 1, Total: 2}}
	var failing error
	h := newHarness(t, func(d *testDeps) {
		d.About = func(context.Context) (About, error) { return known, failing }
	})
	var got About
	if err := json.Unmarshal([]byte(h.get("/api/about").body), &got); err != nil || got.Version != known.Version || *got.Disk != *known.Disk || got.Uptime != 90 {
		t.Errorf("%+v, %v", got, err)
	}
	failing = errors.New("/secret/path is unreadable")
	if r := h.get("/api/about"); r.status != http.StatusInternalServerError || strings.Contains(r.body, "/secret/path") {
		t.Errorf("%+v", r)
	}
	if r := newHarness(t).get("/api/about"); r.status != http.StatusNotFound {
		t.Errorf("without: %+v", r)
	}
}

// TestHeld: held-back deletions are shown by name (of very many, the first), and a
// confirmation names the list.
func TestHeld(t *testing.T) {
	t.Parallel()
	list := HeldDeletions{ID: "abc", Since: time.Unix(1, 0).UTC(), Limit: 20}
	var asked ResyncRequest
	h := newHarness(t, func(d *testDeps) {
		d.Held = func() HeldDeletions { return list }
		d.Resync = func(_ context.Context, q ResyncRequest, _ func(ResyncProgress)) (ResyncResult, error) {
			asked = q
			return ResyncResult{}, nil
		}
	})
	if got := h.get("/api/resync").body; !strings.Contains(got, `"objects":[]`) {
		t.Errorf("none: %s", got)
	}
	for i := range 1500 {
		list.Objects = append(list.Objects, ResyncObject{Type: "user", ID: fmt.Sprint(i), Name: fmt.Sprintf("N%d", i)})
	}
	list.Count = len(list.Objects)
	var got HeldDeletions
	if err := json.Unmarshal([]byte(h.get("/api/resync").body), &got); err != nil || got.Count != 1500 || len(got.Objects) != maxHeldShown || got.Objects[0].Name != "N0" || got.Types["user"] != 1500 {
		t.Errorf("%d of %d, %v", len(got.Objects), got.Count, err)
	}
	h.do(http.MethodPost, h.admin.URL+"/api/resync", "application/json", `{"confirm":true,"held":"abc"}`)
	if asked != (ResyncRequest{Confirm: true, Held: "abc"}) {
		t.Errorf("asked %+v", asked)
	}
	for name, header := range map[string][]string{"a page of another origin": {"Sec-Fetch-Site", "cross-site"}, "another origin": {"Origin", "https://evil.example"}} {
		if r := h.do(http.MethodPost, h.admin.URL+"/api/resync", "application/json", `{"confirm":true}`, header...); r.status != http.StatusForbidden {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := newHarness(t).get("/api/resync"); r.status != http.StatusNotFound {
		t.Errorf("without: %+v", r)
	}
}
