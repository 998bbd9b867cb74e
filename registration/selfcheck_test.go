package registration

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func TestSelfCheckOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"us":      {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(InstanceHeader, "me") }, ""},
		"another": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(InstanceHeader, "you") }, "another kazoohook"},
		"a page":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("It works!")) }, "another program than kazoohook answers there (status 200)"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://x/", http.StatusMovedPermanently)
		}, "a redirect (301)"},
		"an error": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(InstanceHeader, "me")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, "status 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/base/healthz" {
					t.Errorf("asked for %s", r.URL)
				}
				tc.answer(w, r)
			}))
			defer srv.Close()
			err := NewSelfCheck(srv.URL+"/base/", "me", zerolog.Nop()).Once(t.Context())
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if err := NewSelfCheck("http://127.0.0.1:1", "me", zerolog.Nop()).Once(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no answer") {
		t.Errorf("got %v", err)
	}
	if err := NewSelfCheck("http://bad host", "me", zerolog.Nop()).Once(t.Context()); err == nil {
		t.Error("no error from a bad URL")
	}
}

// answers is a transport whose /healthz answers with that instance.
type answers struct{ instance atomic.Value }

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{InstanceHeader: {a.instance.Load().(string)}}, Body: http.NoBody}, nil
}

func TestSelfCheckTellsChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logged := &logBuffer{}
		network := &answers{}
		network.instance.Store("me")
		s := NewSelfCheck("http://hooks.example.com", "me", zerolog.New(logged))
		s.Client = &http.Client{Transport: network}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		<-time.After(time.Hour + time.Second)
		network.instance.Store("you")
		<-time.After(time.Hour + time.Second)
		network.instance.Store("me")
		<-time.After(2 * time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if good, bad := strings.Count(logged.String(), "leads to this receiver"), strings.Count(logged.String(), "does not lead"); good != 2 || bad != 1 {
			t.Errorf("log:\n%s", logged)
		}
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}
