package crossbar

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOffered(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/webhooks", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Auth-Token") != "" {
			t.Error("a token was sent where none is needed")
		}
		ok(w, json.RawMessage(`[
			{"id":"object","name":"Object","description":"d","modifiers":{
				"type":{"type":"array","items":["user","account","user"]},"action":{"type":"array","items":["doc_created","doc_deleted"]}}},
			{"id":"notifications","modifiers":{"type":{"type":"object","items":{"new_user":{"name":"New user"},"voicemail_new":{}}}}},
			{"id":"webhooks_odd","modifiers":{"a":["x",{"id":"y"},{"value":"z"},{"other":1},null],"b":"one","c":{"items":{"enum":["e"]}},
				"d":{"enum":["f"]},"e":{},"f":null,"g":{"items":null,"type":"string"}}},
			{"id":"channel_create","name":null},
			{"id":"strange","name":"S","modifiers":["x"]}
		]`))
	})
	c, _ := inMemory(t, mux, func(o *Options) { o.Auth, o.AccountName = nil, "" })
	got, err := c.Offered(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []OfferedHook{
		{ID: "object", Name: "Object", Description: "d", Modifiers: map[string][]string{"type": {"account", "user"}, "action": {"doc_created", "doc_deleted"}}},
		{ID: "notifications", Modifiers: map[string][]string{"type": {"new_user", "voicemail_new"}}},
		{ID: "odd", Modifiers: map[string][]string{"a": {"x", "y", "z"}, "b": {"one"}, "c": {"e"}, "d": {"f"}, "e": {}, "f": {}, "g": {}}},
		{ID: "channel_create"},
		{ID: "strange", Name: "S"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestOfferedSendsTheToken: Kazoo shows superadmins more, so a token is sent if there is
// one. It isn't needed: without one, or if Kazoo refuses it, the offer is read as before.
func TestOfferedSendsTheToken(t *testing.T) {
	t.Parallel()
	a := newAPI()
	var sent []bool
	refuses := false
	a.HandleFunc("GET /v2/webhooks", func(w http.ResponseWriter, r *http.Request) {
		has := r.Header.Get("X-Auth-Token") != ""
		if sent = append(sent, has); has && refuses {
			fail(w, http.StatusUnauthorized, "invalid_credentials", nil)
			return
		}
		ok(w, []any{map[string]any{"id": "sms"}})
	})
	c, _ := inMemory(t, a)
	ask := func(want ...bool) {
		t.Helper()
		sent = nil
		if got, err := c.Offered(t.Context()); err != nil || len(got) != 1 || !slices.Equal(sent, want) {
			t.Errorf("%v, %v; tokens sent: %v, want %v", got, err, sent, want)
		}
	}
	ask(false)
	login(t, c)
	ask(true)
	refuses = true
	ask(true, false)
}

// TestUnauthorizedWithoutToken: the hint doesn't speak of a token where none was sent.
func TestUnauthorizedWithoutToken(t *testing.T) {
	t.Parallel()
	c, _ := inMemory(t, status(http.StatusUnauthorized))
	_, offered := c.Offered(t.Context())
	_, samples := c.Samples(t.Context())
	for _, err := range []error{offered, samples} {
		if err == nil || strings.Contains(err.Error(), "refused a token") || !strings.Contains(err.Error(), "needs no login") {
			t.Errorf("%v", err)
		}
	}
}

func TestSamples(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/webhooks/samples", func(w http.ResponseWriter, _ *http.Request) {
		ok(w, []any{"webhooks_object", map[string]any{"id": "one"}, "gone", "", "none"})
	})
	mux.HandleFunc("GET /v2/webhooks/samples/{id}", func(w http.ResponseWriter, r *http.Request) {
		switch r.PathValue("id") {
		case "gone":
			fail(w, 404, "bad identifier", nil)
		case "one":
			ok(w, map[string]any{"a": map[string]any{"b": 1}})
		case "none":
			ok(w, []any{})
		default:
			ok(w, []any{map[string]any{"id": "x"}, map[string]any{"id": "y"}})
		}
	})
	c, _ := inMemory(t, mux)
	got, err := c.Samples(t.Context())
	if err != nil || len(got) != 3 || len(got["webhooks_object"]) != 2 || string(got["one"][0]) != `{"a":{"b":1}}` || len(got["none"]) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	for _, code := range []int{403, 404} {
		c, _ = inMemory(t, status(code))
		if _, err := c.Samples(t.Context()); err == nil {
			t.Error("no error")
		}
	}
	c, _ = inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/webhooks/samples" {
			ok(w, []any{"a"})
			return
		}
		fail(w, 403, "no", nil)
	}))
	if _, err := c.Samples(t.Context()); err == nil {
		t.Error("no error")
	}
}
