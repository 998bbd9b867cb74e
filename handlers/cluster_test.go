package handlers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/journal"
)

// pair is a node that doesn't lead, and the leader that it asks.
func pair(t *testing.T, leader AdminDeps, change func(*Cluster)) *harness {
	t.Helper()
	answer := AnswerAsLeader(leader)
	c := Cluster{
		Status: func(context.Context) ClusterStatus { return ClusterStatus{Node: "two", Leader: "one", State: "ready"} },
		Leads:  func() bool { return false },
		Ask: func(ctx context.Context, q LeaderRequest, piece func(LeaderAnswer)) (LeaderAnswer, error) {
			raw, err := json.Marshal(q) // as between nodes
			if err != nil {
				return LeaderAnswer{}, err
			}
			var passed LeaderRequest
			if err := json.Unmarshal(raw, &passed); err != nil {
				return LeaderAnswer{}, err
			}
			return answer(ctx, passed, piece), nil
		},
	}
	if change != nil {
		change(&c)
	}
	return newHarness(t, func(d *testDeps) { d.AdminDeps.Cluster, d.AdminDeps.Token = c, testToken })
}

// TestAsksTheLeader: a node forwards what only the leader can answer, and returns the
// leader's answer unchanged. The asked node checks the token.
func TestAsksTheLeader(t *testing.T) {
	t.Parallel()
	var resumed, redelivered atomic.Value
	leader := AdminDeps{
		History:   newMemJournal(),
		Hooks:     func() Overview { return Overview{FailureLimit: 6, Gaps: 7} },
		Attempts:  func() []FailureGroup { return []FailureGroup{{HookID: "h", Why: "refused"}} },
		Consumers: func(context.Context) ([]Consumer, error) { return []Consumer{{Name: "log", Cursor: 5}}, nil },
		Resync: func(_ context.Context, q ResyncRequest, progress func(ResyncProgress)) (ResyncResult, error) {
			progress(ResyncProgress{Type: "user", Listed: 1})
			return ResyncResult{DryRun: q.DryRun, Listed: 9}, nil
		},
		Onward: Onward{
			Destinations: func(context.Context) ([]Destination, error) { return []Destination{{Name: "billing"}}, nil },
			Resume:       func(_ context.Context, name string) error { resumed.Store(name); return nil },
			Redeliver: func(_ context.Context, q RedeliverRequest) (RedeliverResult, error) {
				redelivered.Store(q.EventID)
				return RedeliverResult{}, fmt.Errorf("%w: no event %s", ErrNoEvent, q.EventID)
			},
		},
	}
	h := pair(t, leader, nil)
	auth := []string{"Authorization", "Bearer " + testToken}
	post := func(path, body string) reply {
		return h.do(http.MethodPost, h.admin.URL+path, "application/json", body, auth...)
	}
	for name, c := range map[string]struct {
		got    reply
		status int
		want   string
	}{
		"hooks":       {h.get("/api/hooks", auth...), 200, `"gaps":7`},
		"attempts":    {h.get("/api/attempts", auth...), 200, `"why":"refused"`},
		"consumers":   {h.get("/api/consumers", auth...), 200, `"cursor":5`},
		"resync":      {post("/api/resync", `{"dry_run":true,"confirm":false}`), 200, `"listed":9`},
		"resume":      {post("/api/destinations/billing/resume", `{}`), 200, `"name":"billing"`},
		"its refusal": {post("/api/redeliver", `{"destination":"billing","event_id":"01A"}`), 404, "no event of this id"},
		"its usage":   {post("/api/redeliver", `{"nonsense":1}`), 400, "Send one object"},
		"not known":   {h.get("/api/resync", auth...), 404, "nothing at this path"},
		"no token":    {h.get("/api/hooks"), 401, "admin token"},
		"of its own":  {h.get("/api/events", auth...), 200, `"events":[]`},
	} {
		if c.got.status != c.status || !strings.Contains(c.got.body, c.want) {
			t.Errorf("%s: %d %s", name, c.got.status, c.got.body)
		}
	}
	if resumed.Load() != "billing" || redelivered.Load() != "01A" {
		t.Errorf("resumed %v, redelivered %v", resumed.Load(), redelivered.Load())
	}
	if r := post("/api/replay", `{"consumer":"`+strings.Repeat("x", 70<<10)+`"}`); r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large request: %d", r.status)
	}
}

// TestPassesOnAsItComes: progress of the leader is passed on while the leader still works.
// An answer that ends early is cut off, so that the reader notices.
func TestPassesOnAsItComes(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	leader := AdminDeps{History: newMemJournal(), Resync: func(_ context.Context, _ ResyncRequest, progress func(ResyncProgress)) (ResyncResult, error) {
		progress(ResyncProgress{Type: "user", Listed: 1})
		<-goOn
		return ResyncResult{Listed: 9}, nil
	}}
	h := pair(t, leader, func(c *Cluster) {
		ask := c.Ask
		c.Ask = func(ctx context.Context, q LeaderRequest, piece func(LeaderAnswer)) (LeaderAnswer, error) {
			if !strings.Contains(string(q.Body), "confirm") {
				return ask(ctx, q, piece)
			}
			piece(LeaderAnswer{Status: http.StatusOK, ContentType: "application/x-ndjson", Body: []byte(`{"progress":{"type":"user"}}` + "\n")})
			return LeaderAnswer{}, ErrNoLeader
		}
	})
	first := func(body string) (rest *bufio.Reader) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.admin.URL+"/api/resync", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+testToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if got := resp.Header.Get("Content-Type"); got != "application/x-ndjson" {
			t.Errorf("it is %q", got)
		}
		rest = bufio.NewReader(resp.Body)
		line, err := rest.ReadString('\n')
		if err != nil || !strings.Contains(line, `"progress"`) {
			t.Errorf("first: %q, %v", line, err)
		}
		return rest
	}
	cut := first(`{"confirm":true}`)
	if rest, err := io.ReadAll(cut); err == nil {
		t.Errorf("no word of the end, after %q", rest)
	}
	whole := first(`{}`)
	close(goOn)
	if rest, err := io.ReadAll(whole); err != nil || !strings.Contains(string(rest), `"listed":9`) {
		t.Errorf("then %q, %v", rest, err)
	}
}

// TestNoLeader: without a leader a request that needs one is answered 503 with
// Retry-After, and the journal can still be read.
func TestNoLeader(t *testing.T) {
	t.Parallel()
	h := pair(t, AdminDeps{History: newMemJournal()}, func(c *Cluster) {
		c.Ask = func(context.Context, LeaderRequest, func(LeaderAnswer)) (LeaderAnswer, error) {
			return LeaderAnswer{}, fmt.Errorf("asked in vain: %w", ErrNoLeader)
		}
	})
	auth := []string{"Authorization", "Bearer " + testToken}
	if r := h.get("/api/hooks", auth...); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || !strings.Contains(r.body, "no leader") {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	for _, path := range []string{"/api/events", "/api/cluster", "/api/about", "/healthz"} {
		if r := h.get(path, auth...); r.status != http.StatusOK && path != "/api/about" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

// TestUnreadableJournal: a node whose journal differs from the others' shows nothing
// of the journal, but the state of the cluster.
func TestUnreadableJournal(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	h := pair(t, AdminDeps{History: newMemJournal()}, func(c *Cluster) {
		c.Readable = func(context.Context) error {
			if asked.Add(1) > 1 {
				return errors.New("this node's journal differs from the others'")
			}
			return nil
		}
	})
	auth := []string{"Authorization", "Bearer " + testToken}
	if r := h.get("/api/events", auth...); r.status != http.StatusOK {
		t.Errorf("before: %d", r.status)
	}
	for _, path := range []string{"/api/events", "/api/events/1", "/api/events/stream", "/api/rates", "/api/dead"} {
		if r := h.get(path, auth...); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "differs from the others'") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if r := h.get("/api/cluster", auth...); r.status != http.StatusOK || !strings.Contains(r.body, `"leader":"one"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestChangeCluster: remove and rebuild answer with their result.
func TestChangeCluster(t *testing.T) {
	t.Parallel()
	var removed atomic.Value
	var rebuilt atomic.Bool
	h := pair(t, AdminDeps{History: newMemJournal()}, func(c *Cluster) {
		c.Remove = func(_ context.Context, node string) error {
			if node == "one" {
				return errors.New("node one is connected: stop it first")
			}
			removed.Store(node)
			return nil
		}
		c.Rebuild = func(context.Context) error { rebuilt.Store(true); return nil }
	})
	post := func(path, body string) reply {
		return h.do(http.MethodPost, h.admin.URL+path, "application/json", body, "Authorization", "Bearer "+testToken)
	}
	for name, c := range map[string]struct {
		path, body string
		status     int
		want       string
	}{
		"remove":         {"/api/cluster/remove", `{"node":"three"}`, 200, `"node":"two"`},
		"remove nobody":  {"/api/cluster/remove", `{}`, 400, `Send one object: {\"node\":\"node2\"}`},
		"remove refused": {"/api/cluster/remove", `{"node":"one"}`, 409, "stop it first"},
		"rebuild":        {"/api/cluster/rebuild", `{}`, 200, `"node":"two"`},
		"rebuild what":   {"/api/cluster/rebuild", `{"node":"one"}`, 400, "Send an empty object"},
	} {
		if r := post(c.path, c.body); r.status != c.status || !strings.Contains(r.body, c.want) {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if removed.Load() != "three" || !rebuilt.Load() {
		t.Errorf("removed %v, rebuilt %v", removed.Load(), rebuilt.Load())
	}
	single := newHarness(t)
	for _, r := range []reply{single.get("/api/cluster"), single.do(http.MethodPost, single.admin.URL+"/api/cluster/rebuild", "application/json", `{}`)} {
		if r.status != http.StatusNotFound || !strings.Contains(r.body, "single node") {
			t.Errorf("a single node: %d %s", r.status, r.body)
		}
	}
}

// TestWaitingForTheSecret: a node that has not joined its cluster knows no secret, and
// answers every request to a hook's path with 503.
func TestWaitingForTheSecret(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) {
		d.PublicDeps.Secret, d.PublicDeps.PreviousSecret, d.PublicDeps.Waiting = "", "", true
	})
	if r := h.deliver(userDeleted); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != retrySoon {
		t.Errorf("%d, Retry-After %q", r.status, r.header.Get("Retry-After"))
	}
	if n := len(h.journal.all()); n != 0 {
		t.Errorf("%d requests were kept", n)
	}
	for path, want := range map[string]int{"/healthz": 200, "/elsewhere": 404} {
		if r := h.do(http.MethodGet, h.public.URL+path, "", ""); r.status != want {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

// TestSecretsOfOtherNodes: other nodes' secrets are accepted, and masked in the log.
func TestSecretsOfOtherNodes(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.PublicDeps.OtherSecrets = []string{"the-secret-of-the-leader", ""} })
	for secret, want := range map[string]int{testSecret: 200, oldSecret: 200, "the-secret-of-the-leader": 200, "another-secret": 404, "": 404} {
		r := h.do(http.MethodPost, h.public.URL+"/kazoo/"+secret+"/object", formType, strings.Replace(userDeleted, "5f1e", "5f"+secret, 1))
		if r.status != want {
			t.Errorf("%q: %d, want %d", secret, r.status, want)
		}
	}
	s := newSecrets("first", "second", "the-secret-of-the-leader", "")
	if got := s.mask("x the-secret-of-the-leader"); got != "x ***" {
		t.Errorf("masked: %q", got)
	}
}

// TestNeverTaken: 413 for a request that the log can never take, else 503.
func TestNeverTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"too large": {fmt.Errorf("keep: %w", journal.ErrTooLarge), 413},
		"no quorum": {journal.ErrNoQuorum, 503},
		"disk":      {journal.ErrUnavailable, 503},
	} {
		h := newHarness(t)
		h.journal.setFail(c.err)
		if r := h.deliver(userDeleted); r.status != c.status || (r.header.Get("Retry-After") != "") != (c.status == 503) {
			t.Errorf("%s: %d, Retry-After %q", name, r.status, r.header.Get("Retry-After"))
		}
	}
}

// TestRequestID: X-Request-Id is believed from trusted proxies only.
func TestRequestID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		want    string
	}{
		"trusted": {[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, "abc"},
		"nobody":  {nil, ""},
		"others":  {[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, ""},
	} {
		h := newHarness(t, func(d *testDeps) { d.Common.TrustedProxies = c.trusted })
		if r := h.deliver(userDeleted, "X-Request-Id", "abc"); r.status != http.StatusOK {
			t.Fatalf("%s: %d", name, r.status)
		}
		if got := h.journal.all()[0].RequestID; got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// deadlineRecorder records an answer that can be written until a time.
type deadlineRecorder struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (w *deadlineRecorder) SetWriteDeadline(until time.Time) error {
	w.until = until
	return nil
}

func (w *deadlineRecorder) Write(p []byte) (int, error) {
	if time.Now().After(w.until) {
		return 0, os.ErrDeadlineExceeded
	}
	return w.ResponseRecorder.Write(p)
}

// TestLeaderTakesItsTime: an answer arrives even if it takes longer than WriteTimeout.
func TestLeaderTakesItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := Admin(AdminDeps{WriteTimeout: 50 * time.Millisecond, Cluster: Cluster{
			Leads: func() bool { return false },
			Ask: func(context.Context, LeaderRequest, func(LeaderAnswer)) (LeaderAnswer, error) {
				time.Sleep(200 * time.Millisecond)
				return LeaderAnswer{Status: http.StatusOK, ContentType: "application/json", Body: []byte("{}")}, nil
			},
		}})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/hooks", http.NoBody)
		w := &deadlineRecorder{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Body.String() != "{}" {
			t.Errorf("%d %q", w.Code, w.Body)
		}
	})
}
