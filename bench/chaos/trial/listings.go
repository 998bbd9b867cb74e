package trial

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// listings records which users Kazoo's API showed the receiver, and when.
type listings struct {
	mu     sync.Mutex
	shown  map[string][]time.Time // in listings, by user id, in the order of time
	looked map[string][]time.Time // in look-ups
}

func newListings() *listings {
	return &listings{shown: map[string][]time.Time{}, looked: map[string][]time.Time{}}
}

// watch forwards requests and reads the answers about users.
func (l *listings) watch(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, id, ok := strings.Cut(r.URL.Path, "/users")
		if r.Method != http.MethodGet || !ok {
			api.ServeHTTP(w, r)
			return
		}
		copied := &copyingWriter{ResponseWriter: w}
		api.ServeHTTP(copied, r) // an answer that is cut short panics
		if id == "" {
			l.note(copied)
		} else if copied.status == http.StatusOK {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.looked[id[1:]] = append(l.looked[id[1:]], time.Now())
		}
	})
}

func (l *listings) note(answer *copyingWriter) {
	body := io.Reader(&answer.body)
	if answer.Header().Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return
		}
		body = z
	}
	var page struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if json.NewDecoder(body).Decode(&page) != nil {
		return // garbage, which the receiver can't use
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range page.Data {
		l.shown[u.ID] = append(l.shown[u.ID], now)
	}
}

// times returns the times at which listings and look-ups showed each user.
func (l *listings) times() (shown, looked map[string][]time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.shown), maps.Clone(l.looked)
}

// copyingWriter keeps a copy of the answer.
type copyingWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader notes the status.
func (c *copyingWriter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Write forwards the answer.
func (c *copyingWriter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.body.Write(p[:n])
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *copyingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
