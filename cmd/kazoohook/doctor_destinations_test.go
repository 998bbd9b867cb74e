package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestDoctorDestinations: doctor checks each destination without sending an event.
func TestDoctorDestinations(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Method }))
	defer server.Close()
	gone := freeAddrs(t, 1)[0]
	file := filepath.Join(t.TempDir(), "x.yaml")
	put(t, file, "destinations:\n  good: {type: http, url: '"+server.URL+"'}\n  away: {type: http, url: 'http://"+gone+"/?token=MARKED'}\n  program: {type: exec, command: [/nonexistent/program]}\n  wrong: {type: http, url: '"+server.URL+"', retry: [soon]}\n")
	d := doctorWith(t, "KAZOOHOOK_CONFIG="+file)
	got := map[string]finding{}
	found, usable := d.checkDestinations(t.Context())
	for _, f := range found {
		name, _, _ := strings.Cut(f.Found, ":")
		got[name] = f
		if strings.Contains(f.Found+f.Advice, "MARKED") {
			t.Errorf("a secret is shown: %+v", f)
		}
	}
	if usable || len(got) != 3 || got["good"].Status != statusOK || got["away"].Status != statusFail || got["program"].Status != statusFail || !strings.Contains(got["away"].Advice, "kazoohook ping away") {
		t.Errorf("%+v", found)
	}
	settings, _ := d.checkSettings(t.Context())
	if !strings.Contains(settings[len(settings)-1].Found, "destinations.wrong.retry[0]") {
		t.Errorf("%+v", settings)
	}
	close(asked)
	for method := range asked {
		if method == http.MethodPost {
			t.Error("something was posted")
		}
	}
	if found, usable := doctorWith(t).checkDestinations(t.Context()); !usable || len(found) != 1 || found[0].Status != statusOK {
		t.Errorf("%+v", found)
	}
}
