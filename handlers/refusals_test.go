package handlers

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Kazoo counts every answer but 200 and 503 with Retry-After towards switching
// the hook off, those to a former secret included.
func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	draining := false
	h := newHarness(t, func(d *Deps) {
		d.Refused = func(hook string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, hook)
		}
		d.Draining = func() bool { return draining }
	})
	right, wrong := h.public.URL+"/kazoo/"+testSecret+"/object", h.public.URL+"/kazoo/a-secret-of-long-ago/object"
	h.do(http.MethodPost, right, formType, userDeleted, "X-Hook-ID", "taken")
	h.do(http.MethodPost, right, formType, strings.Repeat("a", 2<<20), "X-Hook-ID", "large")
	h.do(http.MethodDelete, right, "", "", "X-Hook-ID", "method")
	h.do(http.MethodPost, wrong, formType, userDeleted, "X-Hook-ID", "former")
	h.do(http.MethodDelete, wrong, "", "", "X-Hook-ID", "former")
	draining = true
	h.do(http.MethodPost, right, formType, userDeleted, "X-Hook-ID", "draining")
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"large", "method", "former", "former"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestInstanceIsToldInPublicOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *Deps) { d.Instance = "nonce-of-this-process" })
	if got := h.do(http.MethodGet, h.public.URL+"/healthz", "", "").header.Get("Kazoohook-Instance"); got != "nonce-of-this-process" {
		t.Errorf("public: %q", got)
	}
	if got := h.get("/healthz").header.Get("Kazoohook-Instance"); got != "" {
		t.Errorf("admin: %q", got)
	}
}
