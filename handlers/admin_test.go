package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"kazoohook/internal/event"
)

// fill puts n events into the journal, alternately user.deleted and user.created.
func (h *harness) fill(n int) {
	h.t.Helper()
	for i := range n {
		action := "doc_deleted"
		if i%2 == 1 {
			action = "doc_created"
		}
		h.journal.add(event.Route(event.Request{
			Source: event.SourceWebhook, Hook: "object", HookID: "h1", Method: "POST", ContentType: formType,
			ReceivedAt: time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC), RemoteAddr: "192.0.2.7",
			Body: fmt.Appendf(nil, "id=u%d&account_id=a%d&action=%s&type=user", i+1, i%3, action),
		}))
	}
}

func isProblem(t *testing.T, got reply, status int) {
	t.Helper()
	var p problem
	if got.status != status || got.header.Get("Content-Type") != "application/problem+json" ||
		json.Unmarshal([]byte(got.body), &p) != nil || p.Status != status || p.Title != http.StatusText(status) {
		t.Errorf("not a problem of status %d: %+v", status, got)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	checks := []Check{{Name: "journal", OK: true}, {Name: "hooks", Reason: "not registered", Detail: "401 from http://kazoo.internal"}}
	stopping := false
	h := newHarness(t, func(d *testDeps) {
		d.Token = testToken
		d.Ready = func(context.Context) []Check { return checks }
		d.Draining = func() bool { return stopping }
	})
	for _, base := range []string{h.public.URL, h.admin.URL} {
		if got := h.do("GET", base+"/healthz", "", ""); got.status != 200 || got.body != "ok\n" {
			t.Errorf("healthz %+v", got)
		}
		got := h.do("GET", base+"/readyz", "", "")
		if got.status != 503 || !strings.Contains(got.body, `"ready":false`) {
			t.Errorf("readyz %+v", got)
		}
		if strings.Contains(got.body, "kazoo.internal") != (base == h.admin.URL) {
			t.Errorf("detail on the wrong side: %s", got.body)
		}
	}
	checks = checks[:1]
	if got := h.do("GET", h.public.URL+"/readyz", "", ""); got.status != 200 ||
		got.body != `{"ready":true,"checks":[{"name":"journal","ok":true}]}`+"\n" {
		t.Errorf("readyz %+v", got)
	}
	if got := h.do("HEAD", h.public.URL+"/readyz", "", ""); got.status != 200 {
		t.Errorf("HEAD readyz %+v", got)
	}
	stopping = true
	if got := h.do("GET", h.public.URL+"/readyz", "", ""); got.status != 503 || !strings.Contains(got.body, "stopping") {
		t.Errorf("stopping: %+v", got)
	}
	for _, base := range []string{h.public.URL, h.admin.URL} {
		if got := h.do("GET", base+"/healthz", "", ""); got.status != 503 || got.body != "stopping\n" {
			t.Errorf("healthz while stopping %+v", got)
		}
	}
}

func TestAdminToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.Token = testToken })
	for name, header := range map[string][]string{
		"none": nil, "wrong": {"Authorization", "Bearer nope"}, "basic": {"Authorization", "Basic " + testToken},
		"prefix": {"Authorization", "Bearer " + testToken[:5]}, "empty": {"Authorization", "Bearer "},
	} {
		for _, path := range []string{"/api/events", "/metrics", "/api/events/1"} {
			got := h.get(path, header...)
			if got.status == 401 && got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: no challenge", name)
			}
			isProblem(t, got, 401)
		}
	}
	if got := h.get("/api/events", "Authorization", "Bearer "+testToken, "Host", "example.com"); got.status != 200 {
		t.Errorf("right token: %+v", got)
	}
	if !strings.Contains(h.log.String(), "wrong admin token") || strings.Contains(h.log.String(), testToken) {
		t.Errorf("log: %s", h.log)
	}
}

func TestWrongTokensAreLimited(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := AdminDeps{Token: testToken, Common: Common{Now: func() time.Time { return now }}}.withDefaults()
	g := newGuard(d)
	g.delay = time.Microsecond
	next := g.authenticate(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	try := func(token, addr string) int {
		w := newRecorder(t, next, "GET", "/api/events", func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+token)
			r.RemoteAddr = addr
		})
		return w.Code
	}
	for range wrongTokensPerMinute {
		if code := try("wrong", "192.0.2.1:99"); code != 401 {
			t.Fatalf("answer %d", code)
		}
	}
	for range 3 {
		if code := try("wrong", "192.0.2.1:100"); code != 429 {
			t.Errorf("above the limit: %d", code)
		}
		if code := try(testToken, "192.0.2.1:100"); code != 200 {
			t.Errorf("the right one from the same address: %d", code)
		}
	}
	if code := try("wrong", "192.0.2.2:99"); code != 401 {
		t.Errorf("another source: %d", code)
	}
	now = now.Add(time.Minute)
	if code := try("wrong", "192.0.2.1:100"); code != 401 {
		t.Errorf("a minute later: %d", code)
	}
	if n := testutil.ToFloat64(d.Metrics.refused.WithLabelValues(refuseLimited)); n != 3 {
		t.Errorf("counted %v", n)
	}
}

// TestHostIsChecked: without a token, a web page whose host name points at 127.0.0.1
// must not read the journal.
func TestHostIsChecked(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.Hosts = []string{"Admin.Example.com", "box:9090"} })
	for host, status := range map[string]int{
		"localhost": 200, "localhost:9090": 200, "LOCALHOST.": 200, "127.0.0.1:1": 200, "127.9.9.9": 200, "[::1]:9090": 200,
		"admin.example.com:1": 200, "box:9090": 200,
		"box:9091": 403, "evil.example": 403, "localhost.evil.example": 403, "192.168.0.1": 403, "127.0.0.1.evil.example:9090": 403,
	} {
		if got := h.get("/api/events", "Host", host); got.status != status {
			t.Errorf("%s: %d", host, got.status)
		}
	}
	isProblem(t, h.get("/readyz", "Host", "evil.example"), 403)
}

func TestAdminHeadersAndProblems(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, path := range []string{"/api/events", "/healthz", "/nothing", "/metrics"} {
		got := h.get(path)
		for k, v := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if got.header.Get(k) != v {
				t.Errorf("%s: %s is %q", path, k, got.header.Get(k))
			}
		}
	}
	isProblem(t, h.get("/nothing"), 404)
	isProblem(t, h.get("/api/events/999"), 404)
	isProblem(t, h.get("/api/events/x"), 400)
	isProblem(t, h.get("/api/events/0"), 400)
	isProblem(t, h.get("/api/hooks"), 404)
	isProblem(t, h.do("DELETE", h.admin.URL+"/api/events", "", ""), 405)
	for _, q := range []string{
		"since=yesterday", "until=-2h", "limit=0", "limit=1001", "limit=x", "order=up", "after=x", "before=-1",
		"format=ndjson&limit=10000001", "format=csv&limit=0", "duplicate=maybe", "duplicate=true", "text=" + strings.Repeat("x", 257), "event=" + strings.Repeat("x", 257),
		"account=" + strings.Repeat("x,", 101), "object=" + strings.Repeat("x", 257),
	} {
		isProblem(t, h.get("/api/events?"+q), 400)
	}
}

func TestAdminFailuresStayInside(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) {
		d.Consumers = func(context.Context) ([]Consumer, error) { return nil, errors.New("sqlite: internal detail") }
		d.Hooks = func() Overview { panic("internal detail") }
	})
	h.journal.setQuery(func(event.Query) error { return errors.New("internal detail") })
	for _, path := range []string{"/api/hooks", "/api/consumers", "/api/events", "/api/events/1", "/api/events?format=ndjson", "/api/events/stream?since=1h"} {
		got := h.get(path)
		isProblem(t, got, 500)
		if strings.Contains(got.body, "internal detail") {
			t.Errorf("%s tells: %s", path, got.body)
		}
	}
	if n := testutil.ToFloat64(h.metrics.panics.WithLabelValues("admin")); n != 1 {
		t.Errorf("%v panics", n)
	}
	if !strings.Contains(h.log.String(), "sqlite: internal detail") {
		t.Error("the reason is not in the log")
	}
}

func TestDependenciesAreShown(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) {
		d.Hooks = func() Overview { return Overview{Gaps: 3} }
		d.Attempts = func() []FailureGroup { return nil }
		d.Consumers = func(context.Context) ([]Consumer, error) { return []Consumer{{Name: "log", Cursor: 7}}, nil }
		d.Page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("page")) })
	})
	for path, want := range map[string]string{"/api/hooks": `"gaps":3,`, "/api/attempts": "[]\n", "/api/consumers": `[{"name":"log","cursor":7,"lag":0,"lag_seconds":0}]`} {
		if got := h.get(path); got.status != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if got := h.get("/some/where"); got.body != "page" {
		t.Errorf("%+v", got)
	}
	if got := h.get("/metrics"); got.status != 200 || !strings.Contains(got.body, `kazoohook_deliveries_total{hook="object",outcome="accepted"} 0`) {
		t.Errorf("%+v", got)
	}
}

func TestMetricsFollowConventions(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	if len(families) != len(h.metrics.Collectors()) {
		t.Errorf("%d families of %d collectors: not all are initialised", len(families), len(h.metrics.Collectors()))
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	var asked []ReplayRequest
	var fail error
	h := newHarness(t, func(d *testDeps) {
		d.Now = func() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }
		d.Replay = func(_ context.Context, r ReplayRequest) (ReplayResult, error) {
			asked = append(asked, r)
			return ReplayResult{Consumer: r.Consumer, Cursor: 20, From: 17, Events: 4, DryRun: r.DryRun}, fail
		}
	})
	post := func(body string, header ...string) reply {
		return h.do("POST", h.admin.URL+"/api/replay", "application/json", body, header...)
	}
	got := post(`{"consumer":"log","from":17,"dry_run":true}`)
	if got.status != 200 || got.body != `{"consumer":"log","cursor":20,"from":17,"events":4,"dry_run":true}`+"\n" {
		t.Errorf("%+v", got)
	}
	post(`{"consumer":"log","from":"2h"}`)
	post(`{"consumer":"log","from":"2025-12-31"}`)
	want := []ReplayRequest{
		{Consumer: "log", Seq: 17, DryRun: true},
		{Consumer: "log", Since: time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)},
		{Consumer: "log", Since: time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC)},
	}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked %v", asked)
	}
	for _, body := range []string{
		"", "null", "[]", `{"consumer":"log"}`, `{"from":1}`, `{"consumer":"log","from":0}`, `{"consumer":"log","from":null}`,
		`{"consumer":"log","from":"soon"}`, `{"consumer":"log","from":1.5}`, `{"consumer":"log","from":[1]}`,
		`{"consumer":"log","from":1,"more":2}`, `{"consumer":"log","from":1}{}`, `{"consumer":"` + strings.Repeat("x", 5000) + `","from":1}`,
	} {
		isProblem(t, post(body), 400)
	}
	isProblem(t, h.do("POST", h.admin.URL+"/api/replay", formType, "consumer=log&from=1"), 415)
	isProblem(t, post(`{"consumer":"log","from":17}`, "Sec-Fetch-Site", "cross-site"), 403)
	isProblem(t, post(`{"consumer":"log","from":17}`, "Origin", "https://evil.example"), 403)
	for err, status := range map[error]int{ErrNoConsumer: 404, ErrConflict: 409, errors.New("x"): 500} {
		fail = fmt.Errorf("replay: %w", err)
		isProblem(t, post(`{"consumer":"log","from":17}`), status)
	}
	if len(asked) != 6 {
		t.Errorf("asked %d times", len(asked))
	}
	isProblem(t, newHarness(t).do("POST", newHarness(t).admin.URL+"/api/replay", "application/json", "{}"), 404)
}

func TestResync(t *testing.T) {
	t.Parallel()
	var fail error
	h := newHarness(t, func(d *testDeps) {
		d.Resync = func(_ context.Context, q ResyncRequest, progress func(ResyncProgress)) (ResyncResult, error) {
			progress(ResyncProgress{Type: "user", Listed: 50, Expected: 100})
			return ResyncResult{DryRun: q.DryRun, Listed: 100, Deleted: []ResyncObject{{Type: "user", ID: "u1"}}}, fail
		}
	})
	post := func(body string) reply { return h.do("POST", h.admin.URL+"/api/resync", "application/json", body) }
	got := post(`{"dry_run":true}`)
	lines := strings.Split(strings.TrimSpace(got.body), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"listed":50`) || !strings.Contains(lines[1], `"dry_run":true`) {
		t.Errorf("%+v", got)
	}
	fail = errors.New("listing incomplete")
	if got := post(`{}`); !strings.Contains(got.body, `{"error":"listing incomplete"}`) {
		t.Errorf("%+v", got)
	}
	isProblem(t, post(`{"force":true}`), 400)
	isProblem(t, newHarness(t).do("POST", newHarness(t).admin.URL+"/api/resync", "application/json", "{}"), 404)
}
