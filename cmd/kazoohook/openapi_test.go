package main

import (
	"bufio"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"kazoohook/handlers"
	"kazoohook/internal/event/eventtest"
	"kazoohook/internal/fakekazoo"
)

// openAPI reads docs/openapi.yaml, which must be a valid document.
func openAPI(t *testing.T) *openapi3.T {
	t.Helper()
	raw, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestOpenAPIRoutes compares the described operations with the routers', in both
// directions.
func TestOpenAPIRoutes(t *testing.T) {
	t.Parallel()
	public := handlers.Public(handlers.PublicDeps{})
	admin := handlers.Admin(handlers.AdminDeps{Gatherer: prometheus.NewRegistry(), Page: http.NotFoundHandler()})
	var routes []string
	for _, h := range []http.Handler{public, admin} {
		if err := chi.Walk(h.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
			switch route {
			case "/kazoo/{secret}/*":
				// The receiver routes every method, to refuse those that it doesn't
				// take.
				if !slices.Contains([]string{"GET", "POST", "PUT"}, method) {
					return nil
				}
				route = "/kazoo/{secret}/{hook}"
			case "/*":
				route = "/" // and the page's own files
			}
			if entry := method + " " + route; !slices.Contains(routes, entry) {
				routes = append(routes, entry)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	var described, ids []string
	for path, item := range openAPI(t).Paths.Map() {
		for method, op := range item.Operations() {
			described = append(described, method+" "+path)
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 || slices.Contains(ids, op.OperationID) {
				t.Errorf("%s %s lacks an id of its own, a summary or a tag", method, path)
			}
			ids = append(ids, op.OperationID)
		}
	}
	for _, r := range routes {
		if !slices.Contains(described, r) {
			t.Errorf("not described: %s", r)
		}
	}
	for _, d := range described {
		if !slices.Contains(routes, d) {
			t.Errorf("described, but no route: %s", d)
		}
	}
}

// TestOpenAPIAnswers compares the service's real answers with the description.
func TestOpenAPIAnswers(t *testing.T) {
	t.Parallel()
	doc := openAPI(t)
	s := newScene(t, "FORWARD_URL=http://127.0.0.1:1")
	u, err := s.CreateUser(fakekazoo.User{AccountID: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteUser(u.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.RecoverPassword("acme"); err != nil {
		t.Fatal(err)
	}
	s.logged(`"event":"user.deleted"`)
	s.logged(`"event":"notification.password_recovery"`)
	s.deliver("object", "\xff\xfe what is this")
	s.logged(`"event":"unknown"`)
	if _, err := s.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultRefuse, Op: "channel_create"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PlaceCall(fakekazoo.Call{AccountID: "acme"}); err != nil {
		t.Fatal(err)
	}
	s.logged(`"source":"recovered"`)
	s.until("the failures are shown", func() bool { return strings.Contains(s.get(s.admin+"/api/attempts").body, "hook_id") })
	delivery := s.public + "/kazoo/" + sceneSecret + "/object"
	const form, plain = "application/x-www-form-urlencoded", "application/json"
	for _, c := range []struct {
		method, path, url string
		status            int
		contentType, body string
	}{
		{"POST", "/kazoo/{secret}/{hook}", delivery, 200, form, "id=1&account_id=a&action=doc_edited&type=user"},
		{"PUT", "/kazoo/{secret}/{hook}", delivery, 200, plain, `{"id":"1","account_id":"a","action":"doc_edited","type":"user"}`},
		{"GET", "/kazoo/{secret}/{hook}", delivery + "?id=1&account_id=a&action=doc_edited&type=user", 200, "", ""},
		{"POST", "/kazoo/{secret}/{hook}", s.public + "/kazoo/wrong/object", 404, form, "id=1"},
		{"GET", "/healthz", s.public + "/healthz", 200, "", ""},
		{"GET", "/healthz", s.admin + "/healthz", 200, "", ""},
		{"GET", "/readyz", s.public + "/readyz", 200, "", ""},
		{"GET", "/readyz", s.admin + "/readyz", 200, "", ""},
		{"GET", "/metrics", s.admin + "/metrics", 200, "", ""},
		{"GET", "/", s.admin + "/", 200, "", ""},
		{"GET", "/api/events", s.admin + "/api/events?limit=2", 200, "", ""},
		{"GET", "/api/events", s.admin + "/api/events?event=*.deleted&order=oldest&since=1h", 200, "", ""},
		{"GET", "/api/events", s.admin + "/api/events?format=ndjson", 200, "", ""},
		{"GET", "/api/events", s.admin + "/api/events?limit=0", 400, "", ""},
		{"GET", "/api/events", s.admin + "/api/events?format=csv&download", 200, "", ""},
		{"GET", "/api/events", s.admin + "/api/events?duplicate=true", 200, "", ""},
		{"GET", "/api/events", s.admin + "/api/events?duplicate=perhaps", 400, "", ""},
		{"GET", "/api/events/{seq}", s.admin + "/api/events/0", 400, "", ""},
		{"GET", "/api/events/{seq}", s.admin + "/api/events/999999", 404, "", ""},
		{"GET", "/api/hooks", s.admin + "/api/hooks", 200, "", ""},
		{"GET", "/api/about", s.admin + "/api/about", 200, "", ""},
		{"GET", "/api/resync", s.admin + "/api/resync", 200, "", ""},
		{"GET", "/api/attempts", s.admin + "/api/attempts", 200, "", ""},
		{"GET", "/api/consumers", s.admin + "/api/consumers", 200, "", ""},
		{"GET", "/api/destinations", s.admin + "/api/destinations", 200, "", ""},
		{"GET", "/api/dead", s.admin + "/api/dead", 200, "", ""},
		{"GET", "/api/dead", s.admin + "/api/dead?limit=0", 400, "", ""},
		{"GET", "/api/accounts", s.admin + "/api/accounts", 200, "", ""},
		{"GET", "/api/events/{seq}/deliveries", s.admin + "/api/events/1/deliveries", 200, "", ""},
		{"GET", "/api/events/{seq}/deliveries", s.admin + "/api/events/x/deliveries", 400, "", ""},
		{"POST", "/api/destinations/{name}/pause", s.admin + "/api/destinations/forward/pause", 200, plain, "{}"},
		{"POST", "/api/destinations/{name}/resume", s.admin + "/api/destinations/forward/resume", 200, plain, "{}"},
		{"POST", "/api/destinations/{name}/pause", s.admin + "/api/destinations/nobody/pause", 404, plain, "{}"},
		{"POST", "/api/redeliver", s.admin + "/api/redeliver", 200, plain, `{"destination":"forward","from":"2h","dry_run":true}`},
		{"POST", "/api/redeliver", s.admin + "/api/redeliver", 400, plain, `{"destination":"forward"}`},
		{"POST", "/api/redeliver", s.admin + "/api/redeliver", 404, plain, `{"destination":"nobody","dead":true}`},
		{"POST", "/api/redeliver", s.admin + "/api/redeliver", 409, plain, `{"destination":"forward","from":"1h","to":"2h"}`},
		{"POST", "/api/dead/discard", s.admin + "/api/dead/discard", 200, plain, `{}`},
		{"POST", "/api/dead/discard", s.admin + "/api/dead/discard", 404, plain, `{"destination":"nobody"}`},
		{"GET", "/api/checks", s.admin + "/api/checks", 200, "", ""},
		{"GET", "/api/rates", s.admin + "/api/rates?span=24h", 200, "", ""},
		{"GET", "/api/rates", s.admin + "/api/rates?span=1y", 400, "", ""},
		{"POST", "/api/replay", s.admin + "/api/replay", 200, plain, `{"consumer":"log","from":1,"dry_run":true}`},
		{"POST", "/api/replay", s.admin + "/api/replay", 200, plain, `{"consumer":"log","from":"2h","dry_run":true}`},
		{"POST", "/api/replay", s.admin + "/api/replay", 400, plain, `{}`},
		{"POST", "/api/replay", s.admin + "/api/replay", 404, plain, `{"consumer":"nobody","from":1}`},
		{"POST", "/api/replay", s.admin + "/api/replay", 415, form, `{"consumer":"log","from":1}`},
		{"POST", "/api/resync", s.admin + "/api/resync", 200, plain, `{"dry_run":true}`},
		{"POST", "/api/resync", s.admin + "/api/resync", 200, plain, `{"confirm":true,"held":"nothing is"}`},
		{"POST", "/api/resync", s.admin + "/api/resync", 400, plain, `[]`},
		{"POST", "/api/session", s.admin + "/api/session", 204, plain, `{"token":"none is needed"}`},
		{"POST", "/api/session", s.admin + "/api/session", 400, plain, `{}{}`},
		{"DELETE", "/api/session", s.admin + "/api/session", 204, "", ""},
	} {
		checkAnswer(t, doc, c.method, c.path, c.status, s.send(c.method, c.url, c.contentType, c.body))
	}
	last, err := s.service.journal.Last(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for seq := int64(1); seq <= last; seq++ {
		checkAnswer(t, doc, "GET", "/api/events/{seq}", 200, s.get(s.admin+"/api/events/"+strconv.FormatInt(seq, 10)))
	}
	checkStream(t, doc, s.admin+"/api/events/stream?after=0")
}

// checkStream compares the first message of the live stream with its description.
func checkStream(t *testing.T, doc *openapi3.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(data), &value); err != nil {
			t.Fatal(err)
		}
		described := doc.Paths.Value("/api/events/stream").Get.Responses.Status(resp.StatusCode)
		if described.Value.Content[resp.Header.Get("Content-Type")] == nil {
			t.Errorf("stream: %d of type %q is not described", resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		if err := doc.Components.Schemas["Event"].Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
			t.Errorf("stream: %v in %s", err, data)
		}
		eventtest.Validate(t, []byte(data))
		return
	}
	t.Errorf("the stream ended without an event: %v", lines.Err())
}

// TestOpenAPIRefusals compares the answers of a listener that requires a token.
func TestOpenAPIRefusals(t *testing.T) {
	t.Parallel()
	doc := openAPI(t)
	s := newScene(t, "ADMIN_TOKEN=the-token-of-the-refusals")
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Security != nil || method == http.MethodHead {
				continue // no token is needed
			}
			url := s.admin + strings.ReplaceAll(path, "{seq}", "1")
			checkAnswer(t, doc, method, path, 401, s.send(method, url, "application/json", "{}"))
		}
	}
	checkAnswer(t, doc, "POST", "/api/session", 401, s.send("POST", s.admin+"/api/session", "application/json", `{"token":"wrong"}`))
	var wrong sync.WaitGroup // each is answered late
	for range 10 {
		wrong.Go(func() { s.send("POST", s.admin+"/api/session", "application/json", `{"token":"wrong"}`) })
	}
	wrong.Wait()
	checkAnswer(t, doc, "POST", "/api/session", 429, s.send("POST", s.admin+"/api/session", "application/json", `{"token":"wrong"}`))
}

// checkAnswer compares one answer with its description.
func checkAnswer(t *testing.T, doc *openapi3.T, method, path string, status int, got response) {
	t.Helper()
	where := method + " " + path + " " + strconv.Itoa(status)
	if got.status != status {
		t.Errorf("%s: answered %d %.300s", where, got.status, got.body)
		return
	}
	described := doc.Paths.Value(path).GetOperation(method).Responses.Status(status)
	if described == nil {
		t.Errorf("%s: no such answer is described", where)
		return
	}
	for name, h := range described.Value.Headers {
		if got.header.Get(name) == "" && (h.Value.Required || name != "Set-Cookie") {
			t.Errorf("%s: no header %s", where, name)
		}
	}
	if len(described.Value.Content) == 0 {
		if got.body != "" {
			t.Errorf("%s: a body that isn't described: %.300s", where, got.body)
		}
		return
	}
	contentType, _, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	media := described.Value.Content[contentType]
	if err != nil || media == nil {
		t.Errorf("%s: content type %q is not described", where, got.header.Get("Content-Type"))
		return
	}
	schema, bodies := media.Schema.Value, []string{got.body}
	if contentType == "application/x-ndjson" {
		bodies = nil
		lines := bufio.NewScanner(strings.NewReader(got.body))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			bodies = append(bodies, lines.Text())
		}
		if schema.Type.Is("string") {
			schema = doc.Components.Schemas["Event"].Value // one event per line
		}
		if len(bodies) == 0 {
			t.Errorf("%s: no lines", where)
		}
	}
	for _, body := range bodies {
		if contentType == "application/x-ndjson" && strings.HasPrefix(body, `{"event":`) {
			eventtest.Validate(t, []byte(body))
		}
		var value any = body
		if strings.HasSuffix(contentType, "json") {
			if err := json.Unmarshal([]byte(body), &value); err != nil {
				t.Errorf("%s: %v in %.300s", where, err, body)
				continue
			}
		}
		if err := schema.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
			t.Errorf("%s: %v\n%.600s", where, err, body)
		}
	}
}
