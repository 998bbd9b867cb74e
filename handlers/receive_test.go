package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"kazoohook/internal/event"
)

// TestAnswers has a case for each row of the table of answers.
func TestAnswers(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 1<<20)
	down := errors.New("disk full")
	for name, tc := range map[string]struct {
		method, path, contentType, body string
		fail                            error
		draining                        bool

		status     int
		retryAfter string
		allow      string
		event      string // appended, "" for none
		outcome    string
		refused    int
	}{
		"POST form":        {body: userDeleted, status: 200, event: "user.deleted", outcome: "accepted"},
		"PUT form":         {method: "PUT", body: userDeleted, status: 200, event: "user.deleted", outcome: "accepted"},
		"GET query":        {method: "GET", path: "/object?" + userDeleted, status: 200, event: "user.deleted", outcome: "accepted"},
		"JSON":             {contentType: "application/json", body: `{"id":"5f1e","account_id":"a1","action":"doc_deleted","type":"user"}`, status: 200, event: "user.deleted", outcome: "accepted"},
		"not understood":   {body: "%%%&&&=", status: 200, event: event.Unknown, outcome: "unknown"},
		"empty":            {status: 200, event: event.Unknown, outcome: "unknown"},
		"exactly 1 MiB":    {body: big, status: 200, event: event.Unknown, outcome: "unknown"},
		"over 1 MiB":       {body: big + "x", status: 413, outcome: "too_large"},
		"journal down":     {body: userDeleted, fail: down, status: 503, retryAfter: "2", outcome: "unavailable", refused: 1},
		"draining":         {body: userDeleted, draining: true, status: 503, retryAfter: "5", outcome: "draining"},
		"DELETE":           {method: "DELETE", body: userDeleted, status: 405, allow: "GET, POST, PUT", outcome: "bad_method"},
		"HEAD":             {method: "HEAD", status: 405, allow: "GET, POST, PUT", outcome: "bad_method"},
		"OPTIONS":          {method: "OPTIONS", status: 405, allow: "GET, POST, PUT", outcome: "bad_method"},
		"a strange method": {method: "BREW", status: 405, allow: "GET, POST, PUT", outcome: "bad_method"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, func(d *testDeps) { d.Draining = func() bool { return tc.draining } })
			h.journal.setFail(tc.fail)
			if tc.method == "" {
				tc.method = http.MethodPost
			}
			if tc.path == "" {
				tc.path = "/object"
			}
			if tc.contentType == "" {
				tc.contentType = formType
			}
			got := h.do(tc.method, h.public.URL+"/kazoo/"+testSecret+tc.path, tc.contentType, tc.body,
				"X-Hook-ID", "h1", "X-Account-ID", "acc1")
			if got.status != tc.status || got.header.Get("Retry-After") != tc.retryAfter || got.header.Get("Allow") != tc.allow {
				t.Errorf("answer %d %v", got.status, got.header)
			}
			if tc.status == 200 && got.body != "OK\n" {
				t.Errorf("body %q", got.body)
			}
			var names []string
			for _, r := range h.journal.all() {
				names = append(names, r.Event)
				if r.Source != event.SourceWebhook || r.Hook != "object" || r.HookID != "h1" || r.HookAccountID != "acc1" ||
					r.RemoteAddr != "127.0.0.1" || r.ReceivedAt.IsZero() || r.Method != tc.method {
					t.Errorf("delivery %+v", r.Request)
				}
			}
			if got := strings.Join(names, ","); got != tc.event {
				t.Errorf("appended %q, want %q", got, tc.event)
			}
			if n := testutil.ToFloat64(h.metrics.deliveries.WithLabelValues("object", tc.outcome)); n != 1 {
				t.Errorf("outcome %s counted %v", tc.outcome, n)
			}
			eventually(t, "the journal knows the outcome", func() bool {
				acks := h.journal.acknowledged()
				return h.journal.refusals() == tc.refused && (tc.status != 200 || len(acks) == 1 && acks[0].written)
			})
			if strings.Contains(h.log.String(), testSecret) {
				t.Error("the secret is in the log")
			}
		})
	}
}

func TestRepeatedDeliveryIsOneEvent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for range 3 {
		if got := h.deliver(userDeleted); got.status != 200 {
			t.Fatalf("answer %d", got.status)
		}
	}
	if n := len(h.journal.all()); n != 1 {
		t.Errorf("%d events", n)
	}
	if n := testutil.ToFloat64(h.metrics.deliveries.WithLabelValues("object", "duplicate")); n != 2 {
		t.Errorf("%v duplicates", n)
	}
}

// TestWithoutTheSecret: every request without the secret gets the same 404. No body is
// read and nothing is kept.
func TestWithoutTheSecret(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	want := h.do(http.MethodGet, h.public.URL+"/no/such/path", "", "")
	if want.status != 404 {
		t.Fatalf("answer %d", want.status)
	}
	for _, path := range []string{
		"/", "/kazoo", "/kazoo/", "/kazoo//", "/kazoo//object", "/kazoo/wrong/object", "/kazoo/" + testSecret,
		"/kazoo/" + testSecret[1:] + "/object", "/kazoo/" + testSecret + "x/object",
		"/kazoo/x/" + testSecret + "/object", "//kazoo/" + testSecret + "/object", "/./kazoo/" + testSecret + "/object",
		"/kazoo/./" + testSecret + "/object", "/kazoo/x/../" + testSecret + "/object", "/kazoo%2f" + testSecret + "/object",
		"/kazoo/" + testSecret + "%2fobject", "/kazoo/%2e%2e/kazoo/" + testSecret + "/object",
		"/KAZOO/" + testSecret + "/object", "/kazoo/" + strings.ToUpper(testSecret) + "/object",
		"/kazoo/" + testSecret + "%00/object", "/kazoo/%2563" + testSecret[1:] + "/object", "/kazoo;x/" + testSecret + "/object",
		"/kazoo/\\" + testSecret + "/object", "/healthz/", "/readyz/..", "/admin", "/api/events", "/metrics",
		"/kazoo/?" + testSecret, "/kazoo/wrong/object/", "/kazoo/wrong/../" + testSecret + "/object",
	} {
		for _, method := range []string{"POST", "GET", "DELETE", "BREW", "OPTIONS"} {
			got := h.raw(method+" "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 2)
			if len(got) != 1 || got[0].status != 404 && got[0].status != 400 {
				t.Errorf("%s %s: %+v", method, path, got)
				continue
			}
			if got[0].status == 404 && (got[0].body != want.body || got[0].header.Get("Location") != "" || got[0].header.Get("Allow") != "") {
				t.Errorf("%s %s: a different 404: %+v", method, path, got[0])
			}
		}
	}
	if n := len(h.journal.all()); n != 0 {
		t.Errorf("%d events kept", n)
	}
}

// TestPathsWithTheSecret: every request with the secret is kept, in whatever way its
// path is written, and none is redirected.
func TestPathsWithTheSecret(t *testing.T) {
	t.Parallel()
	for rest, hook := range map[string]string{
		"object": "object", "object/": "object_", "": event.Unknown, "a/b": "a_b", "..": "__", "x%2f..": "x_2f__",
		"Channel-Create": "channel_create", strings.Repeat("a", 65): strings.Repeat("a", 64), "%00": "_00", "ob%6Aect": "object", "ob%2fect": "ob_2fect",
	} {
		h := newHarness(t)
		got := h.raw("POST /kazoo/"+testSecret+"/"+rest+" HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\na=b", 1)
		if len(got) != 1 || got[0].status != 200 {
			t.Errorf("%q: %+v", rest, got)
			continue
		}
		if all := h.journal.all(); len(all) != 1 || all[0].Hook != hook {
			t.Errorf("%q: hook %+v, want %q", rest, all, hook)
		}
		want := "other"
		if hook == "object" || hook == "channel_create" {
			want = hook
		}
		if n := testutil.ToFloat64(h.metrics.deliveries.WithLabelValues(want, "unknown")); n != 1 {
			t.Errorf("%q: counted %v under %s", rest, n, want)
		}
	}
}

func TestPreviousSecret(t *testing.T) {
	t.Parallel()
	var used atomic.Int64
	h := newHarness(t, func(d *testDeps) { d.PreviousUsed = func() { used.Add(1) } })
	for range 3 {
		got := h.do(http.MethodPost, h.public.URL+"/kazoo/"+oldSecret+"/object", formType, userDeleted)
		if got.status != 200 {
			t.Fatalf("answer %d", got.status)
		}
	}
	if got := h.deliver(userDeleted); got.status != 200 {
		t.Fatalf("answer %d", got.status)
	}
	if n := testutil.ToFloat64(h.metrics.previous); n != 3 || used.Load() != 3 {
		t.Errorf("counted %v, reported %d", n, used.Load())
	}
	if n := strings.Count(h.log.String(), "previous hook secret"); n != 1 {
		t.Errorf("%d log lines:\n%s", n, h.log)
	}
	if strings.Contains(h.log.String(), oldSecret) {
		t.Error("the secret is in the log")
	}
}

func TestNoSecretConfigured(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.Secret, d.PreviousSecret = "", "" })
	for _, p := range []string{"/kazoo//object", "/kazoo/x/object"} {
		if got := h.do(http.MethodPost, h.public.URL+p, formType, userDeleted); got.status != 404 {
			t.Errorf("%s: %d", p, got.status)
		}
	}
}

// TestWrongSecretIsLimitedRightIsNot: the right secret is always accepted, also from
// an address that has sent many wrong ones.
func TestWrongSecretIsLimitedRightIsNot(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for range failuresPerMinute + 5 {
		if got := h.do(http.MethodPost, h.public.URL+"/kazoo/wrong/object", formType, "a=b"); got.status != 404 {
			t.Fatalf("answer %d", got.status)
		}
	}
	if got := h.deliver(userDeleted); got.status != 200 {
		t.Errorf("right secret: %d", got.status)
	}
	if n := testutil.ToFloat64(h.metrics.rejected.WithLabelValues(rejectLimited)); n != 5 {
		t.Errorf("limited %v", n)
	}
	if n := testutil.ToFloat64(h.metrics.rejected.WithLabelValues(rejectSecret)); n != failuresPerMinute {
		t.Errorf("rejected %v", n)
	}
}

// TestStrangersKeepNoConnection: a 404 ends the connection without reading the body.
func TestStrangersKeepNoConnection(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	got := h.raw("POST /kazoo/wrong/object HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nstart", 1)
	if len(got) != 1 || got[0].status != 404 {
		t.Errorf("%+v", got)
	}
	got = h.raw("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 3)
	if len(got) != 1 {
		t.Errorf("%d answers on one connection", len(got))
	}
}

func TestBodyTooLargeIsNotRead(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.MaxBody = 10 })
	head := "POST /kazoo/" + testSecret + "/object HTTP/1.1\r\nHost: x\r\n"
	for name, send := range map[string]string{
		"announced": head + "Content-Length: 1000000000\r\n\r\n",
		"chunked":   head + "Transfer-Encoding: chunked\r\n\r\n14\r\n01234567890123456789\r\n",
	} {
		got := h.raw(send, 1)
		if len(got) != 1 || got[0].status != 413 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestFramings(t *testing.T) {
	t.Parallel()
	path := "/kazoo/" + testSecret + "/object"
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n",
		10, userDeleted[:10], len(userDeleted)-10, userDeleted[10:])
	length := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(userDeleted), userDeleted)
	for name, tc := range map[string]struct {
		send   string
		status []int
		events int
	}{
		"chunked":       {"POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + chunked, []int{200}, 1},
		"HTTP/1.0":      {"POST " + path + " HTTP/1.0\r\n" + length, []int{200}, 1},
		"absolute form": {"POST http://x" + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + length, []int{200}, 1},
		"pipelined": {strings.Repeat("POST "+path+" HTTP/1.1\r\nHost: x\r\n"+length, 3) +
			"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", []int{200, 200, 200, 404}, 1},
		"no length":       {"POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", []int{200}, 1},
		"length and TE":   {"POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n" + chunked, []int{200}, 1},
		"two lengths":     {"POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", []int{400}, 0},
		"negative length": {"POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", []int{400}, 0},
		"bad encoding":    {"POST " + path + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", []int{501}, 0},
		"bad chunk":       {"POST " + path + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", []int{503}, 0},
		"no host":         {"POST " + path + " HTTP/1.1\r\n" + length, []int{400}, 0},
		"not HTTP":        {"\x16\x03\x01\x02\x00hello\r\n\r\n", []int{400}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			var got []int
			for _, r := range h.raw(tc.send, 5) {
				got = append(got, r.status)
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.status) {
				t.Errorf("answers %v, want %v", got, tc.status)
			}
			if n := len(h.journal.all()); n != tc.events {
				t.Errorf("%d events", n)
			}
		})
	}
}

func TestCompressedBodyIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	body := "\x1f\x8b\x08\x00&id=5&action=doc_deleted&type=user"
	if got := h.deliver(body, "Content-Encoding", "gzip"); got.status != 200 {
		t.Fatalf("answer %d", got.status)
	}
	all := h.journal.all()
	if len(all) != 1 || all[0].Event != event.Unknown || string(all[0].Body) != body || !strings.Contains(all[0].Problem, "gzip") {
		t.Errorf("%+v", all)
	}
}

func (stuckJournal) Append(ctx context.Context, _ event.Record) (event.Appended, error) {
	<-ctx.Done()
	return event.Appended{}, ctx.Err()
}

func (brittleJournal) Acknowledged(event.Record, event.Appended, bool) {
	panic(fmt.Errorf("defect"))
}
