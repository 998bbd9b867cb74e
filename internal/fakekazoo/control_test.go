package fakekazoo

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestControl(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{Version: "5", Speed: 1000})
	srv := httptest.NewServer(k.Control())
	t.Cleanup(srv.Close)
	do := func(want int, method, path, body string) map[string]any {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		raw, _ := io.ReadAll(res.Body)
		if res.StatusCode != want {
			t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, raw)
		}
		var m map[string]any
		_ = json.Unmarshal(raw, &m) // a list stays nil
		return m
	}
	hook, _ := do(200, "POST", "/hooks", `{"fields":{"hook":"all","uri":"`+r.URL+`","http_verb":"post","format":"form-data","include_subaccounts":true}}`)["id"].(string)

	user, _ := do(200, "POST", "/users", `{"first_name":"Ann","last_name":"Lee"}`)["id"].(string)
	do(200, "PATCH", "/objects/"+user, `{"first_name":"Anna"}`)
	do(200, "DELETE", "/users/"+user, "")
	do(200, "POST", "/objects/"+user+"/save", "")
	do(200, "POST", "/objects/"+user+"/undelete", "")
	do(200, "DELETE", "/users/random?account=acme", "")
	do(404, "DELETE", "/objects/"+user, "")
	do(200, "POST", "/users/seed", `{"account":"acme","count":5}`)
	do(200, "POST", "/objects", `{"kind":"devices","fields":{"name":"Desk"}}`)
	branch, _ := do(200, "POST", "/accounts", `{"name":"branch","parent":"acme"}`)["id"].(string)
	do(200, "DELETE", "/accounts/"+branch, "")
	do(200, "POST", "/calls", `{"from":"+15551230000"}`)
	for _, what := range []string{"voicemail", "missed_call", "fax", "password_recovery", "sms", "mms", "parking", "abandoned", "stream"} {
		do(200, "POST", "/events/"+what, `{"account":"acme"}`)
	}
	do(404, "POST", "/events/party", "")
	do(200, "POST", "/notifications", `{"name":"low_balance","fields":{"current_balance":1.5}}`)
	do(200, "POST", "/happen", `{"count":50}`)
	do(200, "GET", "/idle", "")
	state := do(200, "GET", "/state", "")
	if hooks, _ := state["hooks"].([]any); len(hooks) != 1 || state["in_flight"] != 0.0 {
		t.Error(state)
	}
	truth := do(200, "GET", "/truth", "")
	if fired, _ := truth["firings"].([]any); len(fired) < 60 || len(fired) != len(r.got) {
		t.Errorf("%d firings, %d arrived", len(fired), len(r.got))
	}

	fault, _ := do(200, "POST", "/faults", `{"kind":"refuse","delay":"1s"}`)["id"].(string)
	do(200, "GET", "/faults", "")
	do(200, "DELETE", "/faults/"+fault, "")
	do(404, "DELETE", "/faults/"+fault, "")
	do(200, "DELETE", "/faults", "")
	do(400, "POST", "/faults", `{"kind":"storm"}`)
	do(200, "POST", "/hooks/"+hook+"/disable", `{"reason":"too many failed attempts"}`)
	if hookState(t, k, hook).Enabled {
		t.Error("still enabled")
	}
	do(404, "POST", "/hooks/x/disable", "")
	do(200, "PUT", "/clock", `{"offset":"-1h"}`)
	do(400, "PUT", "/clock", `{"offset":"later"}`)
	do(200, "PUT", "/password", `{"username":"admin","password":"new"}`)
	do(404, "PUT", "/password", `{"username":"nobody","password":"new"}`)
	do(200, "DELETE", "/tokens", "")
	do(200, "PUT", "/traffic", `{"rate":1000}`)
	eventually(t, "traffic", func() bool {
		return len(k.Truth().Firings)+len(k.Living("users", "")) > 100 || len(k.Living("users", "")) > 12
	})
	do(200, "PUT", "/traffic", `{"rate":10}`)
	do(200, "PUT", "/traffic", "")
	for _, path := range []string{"/users", "/users/seed", "/objects", "/accounts", "/calls", "/hooks", "/faults", "/happen"} {
		do(400, "POST", path, `{"unknown field":1}`)
	}
	do(400, "PATCH", "/objects/x", `[]`)

	// A slow delivery keeps the fake busy.
	do(200, "POST", "/faults", `{"kind":"slow_delivery","delay":"1h"}`)
	do(200, "POST", "/hooks", `{"fields":{"hook":"all","uri":"`+r.URL+`","http_verb":"post","format":"form-data"}}`)
	do(200, "POST", "/calls", "")
	do(504, "GET", "/idle?timeout=10ms", "")
	do(400, "GET", "/idle?timeout=soon", "")
}
