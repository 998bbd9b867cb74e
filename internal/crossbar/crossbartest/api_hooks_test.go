package crossbartest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// apiHook is a hook that both versions take.
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
		"missing modifiers":  {apiHook("custom_data", nil), `{"custom_data.type":{"required":{"message":"missing required modifier"}},"custom_data.action":{"required":`},
		"top-level type":     {apiHook("custom_data", nil, "type", "user", "action", "doc_deleted"), `{"custom_data.type":{"required":`},
		"unknown type":       {apiHook("custom_data", obj("type", "planet", "action", "doc_deleted")), `{"custom_data.type":{"enum":{"message":"value not found in enumerated list of values","cause":"planet"`},
		"all objects on 4.3": {apiHook("custom_data", obj("type", "all", "action", "all")), `{"custom_data.type":{"enum":`},
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

	// Enabling clears the reason, one by one or all at once.
	if err := k.DisableHook(first.str("id"), ReasonTooManyFailures); err != nil {
		t.Fatal(err)
	}
	contains(t, text(rowsOf(c.ask(200, "GET", "/webhooks", nil))[0]), `"enabled":false,"disable_reason":"too many failed attempts"`)
	c.ask(200, "PATCH", at, obj("name", "other"))
	contains(t, text(c.ask(200, "GET", at, nil)), `"disable_reason"`)
	c.ask(200, "PATCH", at, obj("enabled", true))
	if s := text(c.ask(200, "GET", at, nil)); strings.Contains(s, "disable_reason") {
		t.Error(s)
	}
	_ = k.DisableHook(first.str("id"), ReasonTooManyFailures)
	_ = k.DisableHook(twin.str("id"), "") // by a person
	c.ask(400, "PATCH", "/webhooks", obj("re-enable", false))
	c.ask(400, "PATCH", "/webhooks", obj("x", true))
	c.ask(200, "PATCH", "/webhooks", obj("re-enable", true))
	if !hookState(t, k, first.str("id")).Enabled || hookState(t, k, twin.str("id")).Enabled {
		t.Error("re-enable must take those that Kazoo disabled, and no others")
	}

	c.ask(200, "DELETE", at, nil)
	for _, method := range []string{"GET", "DELETE"} {
		c.ask(404, method, at, nil)
	}
	c.ask(404, "POST", at, apiHook())
	c.ask(404, "PATCH", at, obj("enabled", true))
	if k.DisableHook(first.str("id"), "") == nil {
		t.Error("disabled what is gone")
	}
	// A hook of another account is not found here.
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
