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

// TestPage: the page's policy forbids everything that it doesn't need, and each asset
// that it names exists.
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
	assets := regexp.MustCompile(`assets/[^"]+`).FindAllString(w.Body.String(), -1)
	if len(assets) != 5 {
		t.Fatalf("assets %q", assets)
	}
	for _, path := range assets {
		w := get(t, h, "/"+path)
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
}

// TestPageBelowAPath: the assets are found below any path of a proxy.
func TestPageBelowAPath(t *testing.T) {
	t.Parallel()
	h := New()
	plain, below := get(t, h, "/"), get(t, h, "/", "X-Forwarded-Prefix", "/ops/hooks")
	if strings.Contains(plain.Body.String(), `"/assets`) || !strings.Contains(plain.Body.String(), `"assets/`) {
		t.Error("without a prefix the addresses are not relative")
	}
	if !strings.Contains(below.Body.String(), `src="/ops/hooks/assets/`) || strings.Contains(below.Body.String(), `"assets/`) {
		t.Errorf("with a prefix: %s", below.Body)
	}
	if plain.Header().Get("ETag") == below.Header().Get("ETag") || below.Header().Get("Vary") != "X-Forwarded-Prefix" {
		t.Error("a cache can't tell the two apart")
	}
}

// TestCaching: an unchanged asset is not sent again, and a missing one is 404.
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

// TestNothingFromElsewhere: there is no inline script or style, no address of another
// host and no way to make markup from a string, and every import exists.
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

func asset(t *testing.T, name string) string {
	t.Helper()
	content, err := files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func all(text, pattern string) (found []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestMarkup: every element that scripts and labels refer to exists once, and every
// field has a label.
func TestMarkup(t *testing.T) {
	t.Parallel()
	index := asset(t, "index.html")
	ids := all(index, `\bid="([^"]+)"`)
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			t.Errorf("two elements have the id %s", id)
		}
	}
	for _, attribute := range []string{"aria-labelledby", "aria-describedby", "list"} {
		for _, id := range all(index, `\b`+attribute+`="([^"]+)"`) {
			if id != "detail-title" && !slices.Contains(ids, id) { // detail.js makes that one
				t.Errorf("%s names %s, which is not there", attribute, id)
			}
		}
	}
	entries, err := files.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		for _, id := range all(asset(t, "assets/"+e.Name()), `\$\("([^"]+)"\)`) {
			if !slices.Contains(ids, id) {
				t.Errorf("%s looks for #%s, which is not there", e.Name(), id)
			}
		}
	}
	for _, field := range regexp.MustCompile(`<(?:input|select)\b[^>]*>`).FindAllStringIndex(index, -1) {
		before := index[:field[0]]
		if strings.LastIndex(before, "<label") <= strings.LastIndex(before, "</label") {
			t.Errorf("%s is in no label", index[field[0]:field[1]])
		}
	}
	for _, button := range all(index, `<button\b([^>]*)>`) {
		if !strings.Contains(button, `type="`) {
			t.Errorf("a button without a type submits forms: %s", button)
		}
	}
}

// TestColoursOfFamilies: every known family of Kazoo's events has its own colour.
func TestColoursOfFamilies(t *testing.T) {
	t.Parallel()
	describe := asset(t, "assets/describe.js")
	slots := map[string]string{}
	for _, m := range regexp.MustCompile(`(\w+): (\d+)[,\n]`).FindAllStringSubmatch(describe, -1) {
		for family, slot := range slots {
			if slot == m[2] {
				t.Errorf("%s and %s have one colour", family, m[1])
			}
		}
		slots[m[1]] = m[2]
	}
	for _, family := range []string{"account", "call_recording", "callflow", "device", "fax", "faxbox", "mailbox_message", "media", "user", "vmbox",
		"channel", "parking", "cdr", "stream", "sms", "mms", "notification", "kazoohook"} {
		if slots[family] == "" {
			t.Errorf("%s has no colour", family)
		}
	}
	colours := asset(t, "assets/colours.css")
	rules := all(colours, `\[data-colour="\w+"\] \{ (--c: [^}]+) \}`)
	for i, rule := range rules {
		if slices.Contains(rules[:i], rule) {
			t.Errorf("two colours are %s", rule)
		}
	}
	if len(rules) != 26 {
		t.Errorf("%d colours", len(rules))
	}
}
