package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"kazoohook/internal/event"
)

// pathOf returns the path as it was sent, in RFC 3986's normal form for percent
// encoding, because proxies differ (6.2.2.1: %c3 is %C3, as Apache writes it; 6.2.2.2:
// %7E is ~). Nothing else is decoded: an encoded slash stays encoded, and dot segments
// stay.
func pathOf(u *url.URL) string {
	path := u.EscapedPath()
	if !strings.Contains(path, "%") {
		return path
	}
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if c, ok := unhex(path[i+1], path[i+2]); ok {
				if unreserved(c) {
					b = append(b, c)
				} else {
					b = append(b, strings.ToUpper(path[i:i+3])...)
				}
				i += 2
				continue
			}
		}
		b = append(b, path[i])
	}
	return string(b)
}

func unhex(high, low byte) (byte, bool) {
	const digits = "0123456789abcdef"
	h, l := strings.IndexByte(digits, high|0x20), strings.IndexByte(digits, low|0x20)
	return byte(h<<4 | l), h >= 0 && l >= 0
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// prefixOf returns the path of PUBLIC_URL in the form of pathOf, without its last
// slash.
func prefixOf(u *url.URL) string {
	if u == nil {
		return ""
	}
	return strings.TrimRight(pathOf(u), "/")
}

// hookPath splits /kazoo/{secret}/{hook}.
func hookPath(path string) (secret, rest string, ok bool) {
	path, ok = strings.CutPrefix(path, "/kazoo/")
	if !ok {
		return "", "", false
	}
	return strings.Cut(path, "/")
}

// forwardedPrefix returns the path under which a proxy offers the admin listener,
// from X-Forwarded-Prefix; empty if there is none or it is not plain. It is
// believed from anyone, because it only changes the answer to its sender.
func forwardedPrefix(r *http.Request) string {
	p := strings.TrimRight(r.Header.Get("X-Forwarded-Prefix"), "/")
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || len(p) > 256 {
		return ""
	}
	for i := range len(p) {
		if !unreserved(p[i]) && p[i] != '/' {
			return ""
		}
	}
	return p
}

// withoutPrefix removes the path under which a proxy offers the admin listener, if
// the proxy did not: the one in X-Forwarded-Prefix, or else the path of PUBLIC_URL
// unless that is one of our own paths.
func withoutPrefix(public *url.URL) func(http.Handler) http.Handler {
	known := prefixOf(public)
	if first, _, _ := strings.Cut(strings.TrimPrefix(known, "/"), "/"); slices.Contains([]string{"api", "assets", "metrics", "healthz", "readyz"}, first) {
		known = ""
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p := forwardedPrefix(r)
			_, given := r.Header["X-Forwarded-Prefix"]
			if !given && known != "" && under(r.URL.Path, known) {
				p, given = known, true
			}
			if given {
				r.Header.Set("X-Forwarded-Prefix", p) // inner handlers see a plain one, or none
			}
			if p != "" && under(r.URL.Path, p) {
				short := *r
				short.URL = &url.URL{Path: "/" + strings.TrimPrefix(r.URL.Path[len(p):], "/"), RawQuery: r.URL.RawQuery}
				r = &short
			}
			next.ServeHTTP(w, r)
		})
	}
}

// under reports whether a path is a prefix, or below it.
func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// hookName makes a hook name, [a-z0-9_]{1,64}, of the rest of the path. An event
// that came with the secret is never lost because of its spelling.
func hookName(s string) string {
	const longest = 64
	clean := s != "" && len(s) <= longest
	for i := 0; clean && i < len(s); i++ {
		clean = nameByte(s[i])
	}
	if clean {
		return s
	}
	if s == "" {
		return event.Unknown
	}
	b := []byte(strings.ToLower(clip(s, longest)))
	for i := range b {
		if !nameByte(b[i]) {
			b[i] = '_'
		}
	}
	return clip(string(b), longest)
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_'
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
