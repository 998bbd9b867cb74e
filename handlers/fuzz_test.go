package handlers

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func FuzzQueryParams(f *testing.F) {
	for _, s := range []string{"", "since=2h&event=a,b", "until=2026-01-01", "limit=5&order=oldest&after=3", "since=7d&since=x", "text=%ff", "event=,,,"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, err := queryParams(v, now)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, list := range [][]string{q.Events, q.Accounts, q.Objects} {
			if len(list) > maxFilters {
				t.Errorf("%d filters", len(list))
			}
			for _, s := range list {
				if s == "" || len(s) > maxFilterLen {
					t.Errorf("filter %q", s)
				}
			}
		}
		if q.After < 0 || q.Before < 0 || len(q.Text) > maxFilterLen {
			t.Errorf("%+v", q)
		}
		if n, err := limitParam(v, 10, 100); err == nil && (n < 1 || n > 100) {
			t.Errorf("limit %d", n)
		}
	})
}

// FuzzPublicRequest sends a whole request to the public handler. A request is kept
// only if a segment of its path is the secret, and none is redirected.
func FuzzPublicRequest(f *testing.F) {
	const head = " HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nX-Hook-Id: h\r\nX-Account-Id: a\r\nContent-Type: " + formType + "\r\n\r\na=b"
	for _, target := range []string{
		"/kazoo/" + testSecret + "/object", "/kazoo/" + oldSecret + "/Channel-Create", "/kazoo/" + testSecret + "/", "/kazoo/" + testSecret + "%2fobject",
		"//kazoo/" + testSecret + "/object", "/kazoo/x/../" + testSecret + "/object", "http://x/kazoo/" + testSecret + "/object?a=b", "/healthz", "/readyz", "*",
	} {
		for _, method := range []string{"POST ", "GET ", "DELETE ", "OPTIONS "} {
			f.Add([]byte(method + target + head))
		}
	}
	f.Add([]byte("POST /kazoo/" + testSecret + "/object HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n3\r\na=b\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(raw))))
		if err != nil {
			return
		}
		j := newMemJournal()
		public := Public(PublicDeps{Journal: j, Secret: testSecret, PreviousSecret: oldSecret, MaxBody: 1 << 10})
		r.RemoteAddr = "192.0.2.1:5"
		w := httptest.NewRecorder()
		public.ServeHTTP(w, r.WithContext(t.Context()))
		kept := j.all()
		path := pathOf(r.URL)
		segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/kazoo/"), "/")
		right := strings.HasPrefix(path, "/kazoo/") && (segment == testSecret || segment == oldSecret)
		switch {
		case w.Code/100 == 3 || w.Header().Get("Location") != "":
			t.Fatalf("redirected: %d %v", w.Code, w.Header())
		case len(kept) > 1 || len(kept) == 1 && !right:
			t.Fatalf("%q was kept: %+v", path, kept)
		case (w.Code == http.StatusOK) != (len(kept) == 1) && path != "/healthz" && path != "/readyz":
			t.Fatalf("answer %d, %d kept", w.Code, len(kept))
		case len(kept) == 1 && (kept[0].Hook == "" || hookName(kept[0].Hook) != kept[0].Hook || len(kept[0].Body) > 1<<10 && r.Method != http.MethodGet):
			t.Fatalf("%+v", kept[0])
		}
	})
}

// FuzzForwarded: X-Forwarded-For counts only from a trusted proxy, and only the part
// that no stranger can have written.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		"", "198.51.100.7", "1.2.3.4, 198.51.100.7", "10.0.0.9, 198.51.100.7", "198.51.100.7, unknown", "[2001:db8::1]:4711", "::ffff:198.51.100.7",
		"198.51.100.7:4711", ",,,", " , 10.0.0.2", "fe80::1%eth0", "\"198.51.100.7\"", strings.Repeat("10.0.0.2,", 50),
	} {
		f.Add(s, "")
		f.Add("1.2.3.4", s)
	}
	trusted := prefixes("10.0.0.0/8", "fd00::/8")
	f.Fuzz(func(t *testing.T, first, second string) {
		ask := func(peer string, lines ...string) source {
			s := sources{trusted: trusted}
			return s.of(&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": lines}})
		}
		if got := ask("203.0.113.9:5", first, second).text(); got != "203.0.113.9" {
			t.Fatalf("a stranger is taken for %q", got)
		}
		got := ask("10.0.0.1:5", first, second)
		if !got.addr.IsValid() || got.addr.Zone() != "" || got.addr.Is4In6() {
			t.Fatalf("source %v", got)
		}
		// What a stranger writes to the left of what the proxy adds changes nothing.
		for _, added := range []string{"198.51.100.7", "2001:db8::1"} {
			for _, lines := range [][]string{{first, second, added}, {first + "," + second + "," + added}, {first, second + ", " + added}} {
				if got := ask("10.0.0.1:5", lines...); got.addr != netip.MustParseAddr(added) {
					t.Fatalf("%q: %v, want %s", lines, got, added)
				}
			}
		}
	})
}

// FuzzAdminRequest: for any body and any Last-Event-ID the answer is proper, and the
// service is asked for nothing more than the request says.
func FuzzAdminRequest(f *testing.F) {
	for _, s := range []string{
		`{"consumer":"log","from":17,"dry_run":true}`, `{"consumer":"log","from":"2h"}`, `{"consumer":"log","from":"2026-01-02T15:04:05Z"}`,
		`{"dry_run":true,"confirm":false}`, `{"token":"` + testToken + `"}`, `{"token":"x"}`, `{}{}`, `[]`, `{"from":1e3}`, `{"consumer":"\u0000","from":-1}`, `null`,
		`{"consumer":"log","from":9223372036854775808}`, "17", "-1", "+5", " 3", "0x10", "9223372036854775807",
	} {
		for target := range 4 {
			f.Add(byte(target), s)
		}
	}
	f.Fuzz(func(t *testing.T, target byte, text string) {
		j := newMemJournal()
		var replayed *ReplayRequest
		resynced := false
		now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
		admin := Admin(AdminDeps{
			History: j, Token: testToken, Common: Common{Now: func() time.Time { return now }},
			Replay: func(_ context.Context, q ReplayRequest) (ReplayResult, error) {
				replayed = &q
				return ReplayResult{}, nil
			},
			Resync: func(context.Context, ResyncRequest, func(ResyncProgress)) (ResyncResult, error) {
				resynced = true
				return ResyncResult{}, nil
			},
		})
		// A stream would wait for events, so the context has ended already.
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		path := []string{"/api/replay", "/api/resync", "/api/session", "/api/events/stream"}[target%4]
		method, body := http.MethodPost, text
		if path == "/api/events/stream" {
			method, body = http.MethodGet, ""
			cancel()
		}
		r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if path != "/api/session" {
			r.Header.Set("Authorization", "Bearer "+testToken)
		} else if !strings.Contains(text, testToken) {
			return // each would be kept waiting
		}
		if path == "/api/events/stream" {
			r.Header["Last-Event-Id"] = []string{text}
		}
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		switch {
		case w.Code >= 500:
			t.Fatalf("%s %q: %d %s", path, text, w.Code, w.Body)
		case w.Code >= 400 && !json.Valid(w.Body.Bytes()):
			t.Fatalf("%s %q: a problem that is not JSON: %s", path, text, w.Body)
		case w.Code < 400 && method == http.MethodPost && !json.Valid([]byte(text)):
			t.Fatalf("%s takes %q", path, text)
		case w.Code >= 400 && (replayed != nil || resynced):
			t.Fatalf("%s %q: refused, and done", path, text)
		case replayed != nil && (replayed.Consumer == "" || (replayed.Seq >= 1) == !replayed.Since.IsZero() || replayed.Seq < 0):
			t.Fatalf("%s %q: %+v", path, text, replayed)
		}
	})
}

// FuzzSession: only a cookie that we have made opens a session.
func FuzzSession(f *testing.F) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	g := newGuard(AdminDeps{Token: testToken, Common: Common{Now: func() time.Time { return now }}}.withDefaults())
	good := g.session(now.Add(time.Hour))
	for _, s := range []string{good, good + "x", "0." + good, "", ".", "9999999999.x", "-1.x", g.session(now), "1e9." + good} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := &http.Request{Header: http.Header{"Cookie": {sessionCookie + "=" + value}}}
		if !g.inSession(r) {
			return
		}
		c, err := r.Cookie(sessionCookie)
		if err != nil {
			t.Fatal(err)
		}
		at, _, _ := strings.Cut(c.Value, ".")
		var unix int64
		if json.Unmarshal([]byte(at), &unix) != nil || g.session(time.Unix(unix, 0)) != c.Value || unix <= now.Unix() {
			t.Fatalf("%q opens a session", value)
		}
	})
}
