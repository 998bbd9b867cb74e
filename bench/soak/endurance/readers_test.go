package endurance

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestStream proves that a stream with a hole, a repeated event or a gap that
// retention does not explain is noticed.
func TestStream(t *testing.T) {
	t.Parallel()
	const overtaken = "event: gap\nid: 7\ndata: {\"reason\":\"events past their retention\",\"from\":6,\"to\":7}\n\n"
	event := func(id string) string { return "id: " + id + "\ndata: {}\n\n" }
	for name, test := range map[string]struct {
		frames   string
		last     int64
		streamed int64
		want     string // part of the only violation; "" none
	}{
		"in order":               {event("6") + ": heartbeat\n\n" + event("7"), 7, 2, ""},
		"a hole":                 {event("6") + event("8"), 8, 2, `got "8" after 6`},
		"again":                  {event("5"), 5, 1, `got "5" after 5`},
		"a position":             {"event: position\nid: 9\ndata: {\"seq\":9}\n\n" + event("10"), 10, 1, ""},
		"overtaken":              {overtaken + event("8"), 8, 1, ""},
		"a hole after overtaken": {overtaken + event("9"), 9, 1, `got "9" after 7`},
		"another journal":        {"event: gap\nid: 2\ndata: {\"reason\":\"this journal is younger\"}\n\n" + event("3"), 3, 1, "this journal is younger"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Last-Event-ID") != "5" {
					t.Errorf("resumes at %q", r.Header.Get("Last-Event-ID"))
				}
				_, _ = io.WriteString(w, "retry: 2000\n\n"+test.frames) // the reader may have left
			}))
			defer srv.Close()
			r := newReaders(srv.URL, "")
			defer r.client.CloseIdleConnections()
			last := r.stream(t.Context(), 5)
			if got := strings.Join(r.violations(), "; "); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if n := r.streamed.Load(); last != test.last || n != test.streamed {
				t.Errorf("at %d after %d events, want %d after %d", last, n, test.last, test.streamed)
			}
		})
	}
}
