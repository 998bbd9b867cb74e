package server_test

import (
	"fmt"
	"strings"
	"testing"

	"kazoohook/server"
)

// wrongTargets lists request targets from which some server or proxy might make
// /kazoo/<secret>/object, and others that are not a path.
func wrongTargets() []string {
	const right = "/kazoo/" + secret + "/object"
	targets := []string{
		"*", "", "kazoo/" + secret + "/object", "x:443", "http://x", "http://x/", "http:///" + secret,
		"?" + right, "#" + right, "/?" + right, "/#" + right, "/kazoo#/" + secret + "/object", "/kazoo?/" + secret + "/object",
		"/" + strings.Repeat("../", 50) + "kazoo/" + secret + "/object", "/kazoo/" + secret, "/kazoo/" + secret + "?/object",
		"/kazoo/" + secret + ";/object", "/kazoo/" + secret + " /object", "/kazoo/" + secret + "\t/object", "/kazoo/" + secret + "\x00/object",
		"/kazoo/" + secret + "\x80/object", "/kazoo/" + secret + "%/object", "/kazoo/" + secret + "%zz/object", "/kazoo/" + secret + "%2/object",
		"/kazoo/" + secret[:len(secret)-1] + "/" + secret[len(secret)-1:] + "/object", "/kazoo/" + secret + secret + "/object",
		"/kazoo/wrong/object?secret=" + secret, "/kazoo/wrong%0d%0aX:" + secret + "/object", "/healthz" + right, "/healthz/.." + right,
	}
	for _, noise := range []string{"/", "/.", "/..", "/x/..", "/%2e", "/%2e%2e", "/%2E%2E", "/.%2e", "/%2f", "/;", "/;x", "/..;", "/%00", "/ ", "/%20", "/\\", "/%5c", "/%252f", "/%c0%af", "/%e3%80%82"} {
		targets = append(targets, noise+right, noise+"/."+right, "/kazoo"+noise+"/"+secret+"/object", "/kazoo/x"+noise+"/"+secret+"/object")
	}
	for _, slash := range []string{"%2f", "%2F", "\\", "%5c", "//", "/./", "/;/", ";/", "%252f"} {
		targets = append(targets, "/kazoo"+slash+secret+"/object", slash+"kazoo/"+secret+"/object")
		if !strings.HasPrefix(slash, "/") { // otherwise the text after the secret names the hook
			targets = append(targets, "/kazoo/"+secret+slash+"object")
		}
	}
	for i, c := range secret[:4] { // encoded twice
		targets = append(targets, fmt.Sprintf("/kazoo/%s%%25%02x%s/object", secret[:i], c, secret[i+1:]))
	}
	return targets
}

// TestPathTricks: only the path as Kazoo sends it is a delivery. Every other target is
// answered 400 or the usual 404, never a redirect, and nothing is kept.
func TestPathTricks(t *testing.T) {
	t.Parallel()
	r, kept := receiving(t, server.Options{})
	methods := []string{"POST", "GET", "OPTIONS", "TRACE", "CONNECT", "PUT"}
	for i, target := range wrongTargets() {
		for _, method := range []string{methods[i%2], methods[2+i%4]} {
			got := r.answers(method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\na=b")
			if len(got) != 1 || got[0] != "404" && got[0] != "400" {
				t.Errorf("%s %q: answers %v", method, target, got)
			}
			if all := kept.all(); len(all) != 0 {
				t.Fatalf("%s %q was kept", method, target)
			}
		}
	}
}

// TestOddTargetsWithTheSecret: a proxy may send the absolute form. Every method but
// Kazoo's three is refused, and nothing is kept.
func TestOddTargetsWithTheSecret(t *testing.T) {
	t.Parallel()
	const path = "/kazoo/" + secret + "/object"
	for request, want := range map[string]struct {
		status string
		kept   int
	}{
		"POST http://x" + path:        {"200", 1},
		"POST http://other:80" + path: {"200", 1},
		"POST http:" + path:           {"200", 1},
		"POST " + path + "?a=b":       {"200", 1},
		"POST /%6Bazoo/%" + fmt.Sprintf("%02x", secret[0]) + secret[1:] + "/object": {"200", 1}, // RFC 3986, 6.2.2.2
		"POST " + path + "#fragment":         {"200", 1},
		"POST " + path + "/../../../healthz": {"200", 1},
		"TRACE " + path:                      {"405", 0},
		"OPTIONS " + path:                    {"405", 0},
		"HEAD " + path:                       {"405", 0},
		"DELETE " + path:                     {"405", 0},
		"PATCH " + path:                      {"405", 0},
		"post " + path:                       {"405", 0},
		"M-SEARCH " + path:                   {"405", 0},
		"CONNECT " + path:                    {"405", 0},
		"CONNECT x" + path:                   {"405", 0},
		"P\x00ST " + path:                    {"400", 0},
	} {
		r, kept := receiving(t, server.Options{})
		got := r.answers(request + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\na=b")
		if len(got) != 1 || got[0] != want.status || len(kept.all()) != want.kept {
			t.Errorf("%q: answers %v, kept %q, want %s and %d", request, got, kept.all(), want.status, want.kept)
		}
	}
}

// TestHugeHeaders: a header over the limit is refused before it is read, and nothing is
// kept, even with the right secret.
func TestHugeHeaders(t *testing.T) {
	t.Parallel()
	const path = "/kazoo/" + secret + "/object"
	for name, send := range map[string]string{
		"one header":   "POST " + path + " HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 256<<10) + "\r\n\r\n",
		"many headers": "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 64<<10) + "\r\n",
		"long name":    "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("a", 256<<10) + ": y\r\n\r\n",
		"long target":  "GET " + path + "?" + strings.Repeat("a", 256<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"long method":  strings.Repeat("A", 256<<10) + " " + path + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		r, kept := receiving(t, server.Options{})
		// The unread rest may cause a reset, which can destroy the answer.
		if got := r.answers(send); len(got) > 1 || len(got) == 1 && got[0] != "431" && got[0] != "400" {
			t.Errorf("%s: answers %v", name, got)
		}
		if all := kept.all(); len(all) != 0 {
			t.Errorf("%s: kept %d", name, len(all))
		}
	}
}
