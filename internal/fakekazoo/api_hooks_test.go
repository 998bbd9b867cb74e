package fakekazoo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// apiHook is a hook that both versions of Kazoo accept.
func apiHook(more ...any) *jobj {
	h := obj("hook", "object", "name", "n", "uri", "http://hooks.example.org/kazoo", "http_verb", "post", "format", "form-data",
		"retries", 3, "custom_data", obj("type", "user", "action", "doc_deleted"))
	for i := 0; i+1 < len(more); i += 2 {
		key, _ := more[i].(string)
		h.set(key, more[i+1])
		if more[i+1] == nil {
			h.del(key)
		}
	}
	return h
}

func TestHookValidation(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		hook *jobj
		want string // the errors; empty is 201
	}{
		"good":               {apiHook(), ""},
		"put":                {apiHook("http_verb", "put"), ""},
		"retries 0":          {apiHook("retries", 0), ""},
		"notifications":      {apiHook("hook", "notifications", "custom_data", obj("type", "all")), ""},
		"no modifiers":       {apiHook("hook", "sms", "custom_data", nil), ""},
		"all":                {apiHook("hook", "all", "custom_data", nil), ""},
		"https":              {apiHook("uri", "https://u:p@hooks.example.org:8443/x"), ""},
		"no name":            {apiHook("name", nil), `{"name":{"required":{"message":"Field is required but missing"}}}`},
		"empty name":         {apiHook("name", ""), `{"name":{"minLength":`},
		"name not a string":  {apiHook("name", 1), `{"name":{"type":{"message":"Value did not match type(s): string"`},
		"no uri and no hook": {apiHook("uri", nil, "hook", nil), `{"hook":{"required":{"message":"Field is required but missing"}},"uri":{"required":`},
		"bad scheme":         {apiHook("uri", "ftp://hooks.example.org/"), `{"uri":{"error":{"message":"invalid client URL","value":"ftp://hooks.example.org/"}}}`},
		"no host":            {apiHook("uri", "http:///x"), `{"uri":{"error":`},
		"not a uri":          {apiHook("uri", "http://a b/%zz"), `{"uri":{"error":`},
		"localhost":          {apiHook("uri", "http://LOCALHOST:80/"), `{"uri":{"error":{"message":"invalid client URL"`},
		"127.0.0.1":          {apiHook("uri", "http://127.0.0.1/"), `{"uri":{"error":`},
		"0.0.0.0":            {apiHook("uri", "http://0.0.0.0/"), `{"uri":{"error":`},
		"unknown hook":       {apiHook("hook", "birthday"), `{"hook":{"enum":{"message":"Value not found in enumerated list of values","target":["all",`},
		"verb":               {apiHook("http_verb", "patch"), `{"http_verb":{"enum":{"message":"Value not found in enumerated list of values","target":["get","post","put"],"value":"patch"}}}`},
		"format":             {apiHook("format", "xml"), `{"format":{"enum":`},
		"retries -1":         {apiHook("retries", -1), `{"retries":{"minimum":`},
		"retries 5":          {apiHook("retries", 5), `{"retries":{"maximum":{"message":"Value must be at most 4"`},
		"retries a word":     {apiHook("retries", "3"), `{"retries":{"type":`},
		"enabled a word":     {apiHook("enabled", "yes"), `{"enabled":{"type":`},
		"custom a list":      {apiHook("custom_data", []any{}), `{"custom_data":{"type":`},
		"custom not strings": {apiHook("custom_data", obj("type", "user", "action", "doc_deleted", "n", 1)), `{"custom_data.n":{"type":`},
		"missing modifiers":  {apiHook("custom_data", nil), `{"type":{"required":{"message":"missing required modifier"}},"action":{"required":`},
		"top-level type":     {apiHook("custom_data", nil, "type", "user", "action", "doc_deleted"), `{"type":{"required":`},
		"unknown type":       {apiHook("custom_data", obj("type", "planet", "action", "doc_deleted")), `{"type":{"enum":{"message":"value not found in enumerated list of values","cause":"planet"`},
		"all objects on 4.3": {apiHook("custom_data", obj("type", "all", "action", "all")), `{"type":{"enum":`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKazoo(t, Options{RefuseLoopback: true})
			c := logIn(t, k)
			status, body := c.do("PUT", "/v2/accounts/"+DefaultAccountID+"/webhooks", tc.hook)
			switch {
			case tc.want == "" && status != 201:
				t.Errorf("%d %s", status, text(body))
			case tc.want != "" && (status != 400 || !strings.HasPrefix(text(body.get("data")), tc.want)):
				t.Errorf("%d %s\nwant %s", status, text(body.get("data")), tc.want)
			}
		})
	}
}

func TestHookLife(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	first := c.ask(201, "PUT", "/webhooks", apiHook()).obj("data")
	twin := c.ask(201, "PUT", "/webhooks", apiHook()).obj("data")
	if first.str("id") == twin.str("id") {
		t.Error("the same PUT twice must be two hooks")
	}
	at := "/webhooks/" + first.str("id")

	want := `{"id":"` + first.str("id") + `","hook":"object","name":"n","uri":"http://hooks.example.org/kazoo","enabled":true}`
	if got := text(rowsOf(c.ask(200, "GET", "/webhooks", nil))[0]); got != want {
		t.Errorf("listed as %s\nwant      %s", got, want)
	}
	detail := c.ask(200, "GET", at, nil).obj("data")
	contains(t, text(detail), `"retries":3`, `"custom_data":{"type":"user","action":"doc_deleted"}`, `"http_verb":"post"`, `"format":"form-data"`)

	// POST replaces, with the schema's defaults; PATCH merges at the top level.
	c.ask(200, "POST", at, apiHook("retries", nil, "group", "g"))
	detail = c.ask(200, "GET", at, nil).obj("data")
	contains(t, text(detail), `"retries":2`, `"group":"g"`)
	c.ask(200, "PATCH", at, obj("custom_data", obj("type", "device", "action", "doc_edited"), "group", nil))
	detail = c.ask(200, "GET", at, nil).obj("data")
	if detail.has("group") || detail.obj("custom_data").str("type") != "device" {
		t.Error(text(detail))
	}
	c.ask(400, "PATCH", at, obj("retries", 9))
	c.ask(400, "POST", at, obj("name", "x"))

	// Enabling clears the reason, whether one hook is enabled or all are.
	if err := k.DisableHook(first.str("id"), ReasonTooManyFailures); err != nil {
		t.Fatal(err)
	}
	contains(t, text(rowsOf(c.ask(200, "GET", "/webhooks", nil))[0]), `"enabled":false,"disable_reason":"too many failed attempts"`)
	c.ask(200, "PATCH", at, obj("enabled", true))
	if s := text(rowsOf(c.ask(200, "GET", "/webhooks", nil))[0]); strings.Contains(s, "disable_reason") {
		t.Error(s)
	}
	_ = k.DisableHook(first.str("id"), ReasonTooManyFailures)
	_ = k.DisableHook(twin.str("id"), "") // by a person
	c.ask(400, "PATCH", "/webhooks", obj("re-enable", false))
	c.ask(400, "PATCH", "/webhooks", obj("x", true))
	c.ask(200, "PATCH", "/webhooks", obj("re-enable", true))
	if !hookState(t, k, first.str("id")).Enabled || hookState(t, k, twin.str("id")).Enabled {
		t.Error("re-enable must enable the hooks that Kazoo disabled, and no others")
	}

	c.ask(200, "DELETE", at, nil)
	for _, method := range []string{"GET", "DELETE"} {
		c.ask(404, method, at, nil)
	}
	c.ask(404, "POST", at, apiHook())
	c.ask(404, "PATCH", at, obj("enabled", true))
	if k.DisableHook(first.str("id"), "") == nil {
		t.Error("a deleted hook was disabled")
	}
	// A hook of another account is not found.
	below, err := k.CreateHook("acme-north", objectHook("http://x/"))
	if err != nil {
		t.Fatal(err)
	}
	c.ask(404, "GET", "/webhooks/"+below, nil)
}

func TestHookListPages(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	for i := range 120 {
		mustHook(t, k, objectHook("http://x/", "name", fmt.Sprint(i)))
	}
	var sizes []int
	var names []string
	next := ""
	for {
		body := c.ask(200, "GET", "/webhooks?start_key="+next, nil)
		for _, r := range rowsOf(body) {
			names = append(names, r.(*jobj).str("name"))
		}
		sizes = append(sizes, len(rowsOf(body)))
		if next = body.str("next_start_key"); next == "" {
			break
		}
	}
	if diff := cmp.Diff([]int{50, 50, 20}, sizes); diff != "" {
		t.Error(diff)
	}
	if len(names) != 120 || names[0] != "0" || names[119] != "119" {
		t.Error(names)
	}
	if n := len(rowsOf(c.ask(200, "GET", "/webhooks?paginate=false", nil))); n != 120 {
		t.Error(n)
	}
}

// 4.3 shows why a hook was disabled only in the listing, and after a PATCH always in
// the hook. 5 shows it in both until the hook is enabled.
func TestDisableReason(t *testing.T) {
	t.Parallel()
	for version, want := range map[string][3]bool{"4.3": {true, false, true}, "5": {true, true, false}} {
		k := newKazoo(t, Options{Version: version})
		c := logIn(t, k)
		id := mustHook(t, k, objectHook("http://x/"))
		if err := k.DisableHook(id, ReasonTooManyFailures); err != nil {
			t.Fatal(err)
		}
		listed := rowsOf(c.ask(200, "GET", "/webhooks", nil))[0].(*jobj).has("disable_reason")
		off := c.ask(200, "GET", "/webhooks/"+id, nil).obj("data").has("disable_reason")
		c.ask(200, "PATCH", "/webhooks/"+id, obj("enabled", true))
		on := c.ask(200, "GET", "/webhooks/"+id, nil).obj("data")
		if got := [3]bool{listed, off, on.has("disable_reason")}; got != want || on.get("enabled") != true {
			t.Errorf("%s: listed, off, on again: %v, want %v; %s", version, got, want, text(on))
		}
	}
}

func TestModifierErrorKeys(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"4.3": `{"type":{`, "5": `{"custom_data.type":{`} {
		c := logIn(t, newKazoo(t, Options{Version: version}))
		_, body := c.do("PUT", "/v2/accounts/"+DefaultAccountID+"/webhooks", apiHook("custom_data", obj("type", "planet", "action", "doc_deleted")))
		if got := text(body.get("data")); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", version, got)
		}
	}
}

// On a fresh cluster, an unknown hook is a datastore fault until Crossbar restarts.
func TestUnknownHookOfAFreshCluster(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{Fresh: true})
	c := logIn(t, k)
	body := c.ask(503, "PUT", "/webhooks", apiHook("hook", "qubicle_queue"))
	if body.str("message") != "datastore_fault" {
		t.Error(text(body))
	}
	c.ask(201, "PUT", "/webhooks", apiHook())
	k.Restart()
	contains(t, text(c.ask(400, "PUT", "/webhooks", apiHook("hook", "qubicle_queue"))), `"enum"`)
}

// Whether a hook keeps the fields of version 2, and which defaults it gets.
func TestHookDefaultsAndVersion2(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		opt            Options
		status         int
		version, legs  bool
		withoutDefault bool
	}{
		"4.3 drops it": {Options{}, 201, false, false, true},
		"5 keeps it":   {Options{Version: "5"}, 201, true, true, false},
		"5 drops it":   {Options{Version: "5", Version2: Version2Dropped}, 201, false, true, false},
		"5 refuses it": {Options{Version: "5", Version2: Version2Refused}, 400, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := logIn(t, newKazoo(t, tc.opt))
			body := c.ask(tc.status, "PUT", "/webhooks", apiHook("version", "v2", "format", nil, "retries", nil,
				"security_settings", obj("sha256_key", "0123456789abcdef")))
			if tc.status != 201 {
				return
			}
			h := body.obj("data")
			if (h.str("version") == "v2") != tc.version || (h.obj("security_settings").str("sha256_key") != "") != tc.version {
				t.Error(text(h))
			}
			if (h.get("include_internal_legs") == true) != tc.legs || h.str("format") != "form-data" || text(h.get("retries")) != "2" {
				t.Error(text(h))
			}
		})
	}
	c := logIn(t, newKazoo(t, Options{Version: "5"}))
	c.ask(400, "PUT", "/webhooks", apiHook("security_settings", obj("sha256_key", 1)))
	c.ask(400, "PUT", "/webhooks", apiHook("security_settings", "x"))
}

// Every save makes a new revision, so a change that was undone can be seen.
func TestRevisions(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	made := c.ask(201, "PUT", "/webhooks", apiHook())
	id := made.obj("data").str("id")
	if err := k.ChangeHookFor(id, map[string]any{"uri": "http://elsewhere/"}, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "undone", func() bool { return hookState(t, k, id).URI == "http://hooks.example.org/kazoo" })
	res, raw, err := c.raw("GET", "/v2/accounts/"+DefaultAccountID+"/webhooks/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	rev := made.str("revision")
	if !strings.HasPrefix(rev, "1-") || !strings.Contains(string(raw), `"revision":"3-`) || !strings.HasPrefix(res.Header.Get("ETag"), `"3-`) {
		t.Errorf("created as %q; %s %s", rev, raw, res.Header.Get("ETag"))
	}
	if c.ask(200, "GET", "/webhooks", nil).str("revision") != "automatic" {
		t.Error("a listing has no revision")
	}
}
