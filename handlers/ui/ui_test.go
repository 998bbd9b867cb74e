package ui

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestPage: the page forbids everything that it doesn't need, and each asset it
// names is there.
func TestPage(t *testing.T) {
	t.Parallel()
	h := New()
	w := get(t, h, "/")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'",
		"form-action 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy has no %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy %s", policy)
	}
	if w.Header().Get("X-Frame-Options") != "DENY" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", w.Header())
	}
	assets := regexp.MustCompile(`/assets/[^"]+`).FindAllString(w.Body.String(), -1)
	if len(assets) != 4 {
		t.Fatalf("assets %q", assets)
	}
	for _, path := range assets {
		w := get(t, h, path)
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
}

// TestCaching: what has not changed is not sent again, and what is not there is 404.
func TestCaching(t *testing.T) {
	t.Parallel()
	h := New()
	tag := get(t, h, "/").Header().Get("ETag")
	if w := get(t, h, "/", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("%d with %d bytes", w.Code, w.Body.Len())
	}
	for _, path := range []string{"/index.html", "/assets/", "/assets/0000/main.js", "/assets/../ui.go", "//"} {
		if w := get(t, h, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if get(t, New(), "/").Body.String() != get(t, h, "/").Body.String() {
		t.Error("two pages of one program differ")
	}
}

// TestNothingFromElsewhere: no inline script or style, no address of another
// host, no way to make markup of a string; and every import is there.
func TestNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|style="| on[a-z]+="|<style|https?://`)
	imported := regexp.MustCompile(`from "\./([^"]+)"`)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(content), "http://www.w3.org/2000/svg", "") // the name of a format, not an address
		if found := forbidden.FindString(text); found != "" {
			t.Errorf("%s holds %s", name, found)
		}
		for _, m := range imported.FindAllStringSubmatch(text, -1) {
			if _, err := files.ReadFile("assets/" + m[1]); err != nil {
				t.Errorf("%s imports %s", name, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
