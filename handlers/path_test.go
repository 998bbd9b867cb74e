package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func mustParse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestPathOfPublicURL: requests are taken whether or not the proxy strips the path of
// PUBLIC_URL, and however it encodes unreserved characters.
func TestPathOfPublicURL(t *testing.T) {
	t.Parallel()
	for public, paths := range map[string]map[string]int{
		"https://x.example/bücher x": {
			"/b%C3%BCcher%20x/kazoo/S/object": 200, "/b%c3%bccher%20x/kazoo/S/object": 200, "/b\u00fccher%20x/kazoo/S/object": 200, "/kazoo/S/object": 200,
			"/bucher%20x/kazoo/S/object": 404,
		},
		"https://x.example/hooks": {
			"/kazoo/S/object": 200, "/hooks/kazoo/S/object": 200, "/h%6Foks/%6bazoo/S/object": 200, "/healthz": 200, "/hooks/healthz": 200,
			"/hooks/readyz": 200, "/hooks/hooks/kazoo/S/object": 404, "/hook/kazoo/S/object": 404, "/hooks/kazoo/wrong/object": 404,
			"/hookskazoo/S/object": 404, "/hooks": 404, "/hooks/": 404, "/hooks/x": 404, "/hooks%2fkazoo/S/object": 404, "/other/healthz": 404,
		},
		"https://x.example/a/b~c/":  {"/a/b~c/kazoo/S/object": 200, "/a/b%7Ec/kazoo/S/object": 200, "/a/b%7ec/healthz": 200, "/a/kazoo/S/object": 404, "/a/b~c//healthz": 404},
		"https://x.example/a%2Fb":   {"/a%2Fb/kazoo/S/object": 200, "/a/b/kazoo/S/object": 404},
		"https://x.example/%7Eme":   {"/~me/kazoo/S/object": 200, "/%7Eme/kazoo/S/object": 200},
		"https://x.example/kazoo":   {"/kazoo/kazoo/S/object": 200, "/kazoo/S/object": 200, "/kazoo/kazoo/object": 404, "/kazoo/healthz": 200},
		"https://x.example/healthz": {"/healthz": 200, "/healthz/healthz": 200, "/healthz/kazoo/S/object": 200},
		"https://x.example/":        {"/kazoo/S/object": 200, "//kazoo/S/object": 404},
		"https://x.example":         {"/kazoo/S/object": 200, "/%6B%61zoo/S/obje%63t": 200, "/kazoo/S%2Fobject": 404},
	} {
		h := newHarness(t, func(d *testDeps) { d.PublicDeps.PublicURL = mustParse(t, public) })
		for path, want := range paths {
			path = strings.Replace(path, "/S", "/"+testSecret, 1)
			method := "POST"
			if strings.HasSuffix(path, "z") {
				method = "GET"
			}
			got := h.raw(method+" "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\na=b", 1)
			if len(got) != 1 || got[0].status != want {
				t.Errorf("%s: %s: %+v, want %d", public, path, got, want)
			}
		}
		for _, r := range h.journal.all() {
			if r.Hook != "object" {
				t.Errorf("%s: hook %q", public, r.Hook)
			}
		}
	}
}

// TestForwardedPrefix: the admin listener works below a path, whether or not the proxy
// strips it.
func TestForwardedPrefix(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) {
		d.Token = testToken
		d.Page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("page " + r.URL.Path)) }) //nolint:gosec // a test
	})
	for _, c := range []struct{ prefix, path, body string }{
		{"", "/x", "page /x"},
		{"/admin", "/x", "page /x"},
		{"/admin", "/admin/x", "page /x"},
		{"/admin/", "/admin/x", "page /x"},
		{"/admin", "/admin", "page /"},
		{"/a/b", "/a/b/", "page /"},
		{"/admin", "/administrator", "page /administrator"},
		{"/admin", "/admin/healthz", "ok\n"},
		{"/admin", "/healthz", "ok\n"},
		{"//evil.example", "//evil.example/x", "page //evil.example/x"},
		{`/"><script>`, "/x", "page /x"},
		{"admin", "/admin/x", "page /admin/x"},
	} {
		if got := h.get(c.path, "X-Forwarded-Prefix", c.prefix); got.body != c.body {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	login := h.do("POST", h.admin.URL+"/admin/api/session", "application/json", `{"token":"`+testToken+`"}`, "X-Forwarded-Prefix", "/admin")
	if cookie := login.header.Get("Set-Cookie"); login.status != 204 || !strings.Contains(cookie, "Path=/admin/;") {
		t.Errorf("%+v", login)
	}
}

// TestPrefixOfPublicURL: the admin listener also works below the path of PUBLIC_URL
// behind a proxy that neither strips the path nor names it in X-Forwarded-Prefix.
func TestPrefixOfPublicURL(t *testing.T) {
	t.Parallel()
	for public, paths := range map[string]map[string]string{
		"https://x.example/ops":   {"/ops/x": "page /x below /ops", "/ops": "page / below /ops", "/x": "page /x below ", "/opsy/x": "page /opsy/x below ", "/ops/healthz": "ok\n", "/ops/ops/x": "page /ops/x below /ops"},
		"https://x.example/a/b/":  {"/a/b/x": "page /x below /a/b", "/a/x": "page /a/x below "},
		"https://x.example/api":   {"/api/x": "page /api/x below ", "/x": "page /x below "},
		"https://x.example/api/v": {"/api/v/x": "page /api/v/x below "},
		"https://x.example":       {"/x": "page /x below "},
	} {
		h := newHarness(t, func(d *testDeps) {
			d.AdminDeps.PublicURL = mustParse(t, public)
			d.Page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte("page " + r.URL.Path + " below " + r.Header.Get("X-Forwarded-Prefix"))) //nolint:gosec // a test
			})
		})
		for path, want := range paths {
			if got := h.get(path); got.body != want {
				t.Errorf("%s: %s: %q, want %q", public, path, got.body, want)
			}
		}
		if got := h.get("/ops/x", "X-Forwarded-Prefix", "/elsewhere"); strings.Contains(got.body, "below /ops") {
			t.Errorf("%s: what the proxy says does not come first: %q", public, got.body)
		}
	}
}
