package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/redact"
)

// TestAnswersHoldNoSecret: no secret is shown, however an answer is cut into pieces.
func TestAnswersHoldNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-of-the-answers"
	text := strings.Repeat("x", 100) + secret + "\nsecond line " + secret
	for name, c := range map[string]struct {
		pieces []string
		flush  bool
	}{
		"at once":                       {[]string{text}, false},
		"cut":                           {[]string{text[:110], text[110:115], text[115:]}, false},
		"flushed lines":                 {strings.SplitAfter(text, "\n"), true},
		"long line":                     {[]string{strings.Repeat("y", longestLine), text[:110], text[110:]}, false},
		"across the cut of a long line": {[]string{strings.Repeat("y", longestLine) + secret + strings.Repeat("z", overlap-10), "end\n"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(maskAnswers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept-Encoding") != "" {
					t.Error("the answer may be compressed")
				}
				w.Header().Set("Content-Length", "5")
				if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Error(err)
				}
				for _, p := range c.pieces {
					if _, err := io.WriteString(w, p); err != nil {
						t.Error(err)
					}
					if f, ok := w.(http.Flusher); ok && c.flush {
						f.Flush()
					}
				}
			}), redact.New(secret)))
			t.Cleanup(srv.Close)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }() // only read from
			got, err := io.ReadAll(resp.Body)
			if want := strings.ReplaceAll(strings.Join(c.pieces, ""), secret, "***"); err != nil || string(got) != want {
				t.Errorf("%d bytes %.300q, %v; want %d bytes", len(got), got, err, len(want))
			}
		})
	}
}

// TestAHookSecretInAnEvent: a notification about one of our hooks contains its address.
// Nothing shows the secret in it, even if PUBLIC_URL ends in the path segment before
// it.
func TestAHookSecretInAnEvent(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.deliver("notifications", "event_name=webhook_disabled&event_category=notification&account_id=acme&hook_uri=https%3A%2F%2Fh%2Fkazoo%2Fkazoo%2F"+sceneSecret+"%2Fobject")
	s.logged(`"event":"notification.webhook_disabled"`)
	for from, text := range map[string]string{
		"the log": s.log.String(), "the history": s.get(s.admin + "/api/events?limit=5").body, "one event": s.get(s.admin + "/api/events/1").body,
	} {
		if !strings.Contains(text, "webhook_disabled") || strings.Contains(text, sceneSecret) {
			t.Errorf("%s: %s", from, text)
		}
	}
}
