package fakekazoo

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	for name, tc := range map[string]struct {
		method, path string
		data         any
		status       int
		message      string
	}{
		"no such path":         {"GET", "/v2/nothing", nil, 404, "not_found"},
		"no version":           {"GET", "/accounts", nil, 404, "not_found"},
		"unknown account":      {"GET", "/v2/accounts/ffffffffffffffffffffffffffffffff/users", nil, 404, "bad_identifier"},
		"account above":        {"GET", "/v2/accounts/0123456789abcdef0123456789abcdef/users", nil, 403, "forbidden"},
		"account below":        {"GET", "/v2/accounts/5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab50/users", nil, 200, ""},
		"unknown user":         {"GET", "/v2/accounts/" + DefaultAccountID + "/users/abc", nil, 404, "bad_identifier"},
		"unknown hook":         {"GET", "/v2/accounts/" + DefaultAccountID + "/webhooks/abc", nil, 404, "bad_identifier"},
		"wrong method":         {"POST", "/v2/accounts/" + DefaultAccountID + "/webhooks", obj(), 405, ""},
		"wrong method on auth": {"GET", "/v2/user_auth", nil, 405, ""},
		"data missing":         {"PUT", "/v2/accounts/" + DefaultAccountID + "/webhooks", (*jobj)(nil), 400, "validation failed"},
		"trailing slash":       {"GET", "/v2/webhooks/", nil, 200, ""},
	} {
		res, raw, err := c.raw(tc.method, tc.path, tc.data)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != tc.status {
			t.Errorf("%s: %d instead of %d: %s", name, res.StatusCode, tc.status, raw)
		}
		switch {
		case tc.status == 405:
			if len(raw) != 0 || res.Header.Get("Allow") == "" {
				t.Errorf("%s: body %q, Allow %q", name, raw, res.Header.Get("Allow"))
			}
		case tc.message != "":
			contains(t, string(raw), `"message":"`+tc.message+`"`, `"status":"error"`, fmt.Sprintf(`"error":"%d"`, tc.status))
		}
	}
	c.token = "x"
	c.ask(401, "GET", "/webhooks", nil)
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	for name, tc := range map[string]struct {
		contentType, body string
		status            int
	}{
		"not JSON":   {"application/json", "{", 400},
		"a form":     {"application/x-www-form-urlencoded", "a=b", 415},
		"no type":    {"", "{}", 415},
		"too large":  {"application/json; charset=utf-8", `{"data":{"x":"` + strings.Repeat("x", maxRequest) + `"}}`, 413},
		"an array":   {"application/json", `{"data":[1]}`, 400},
		"bad syntax": {"application/json", `{"data":{"x":tru}}`, 400},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, c.srv.URL+"/v2/accounts/"+DefaultAccountID+"/webhooks", strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", c.token)
		r.Header.Set("Content-Type", tc.contentType)
		res, err := c.srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != tc.status {
			t.Errorf("%s: %d instead of %d", name, res.StatusCode, tc.status)
		}
	}
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for version, more := range map[string]string{"4.3": `"version":"4.3.142"`, "5": `"tokens":{"consumed":1,"remaining":`} {
		k := newKazoo(t, Options{Version: version})
		c := logIn(t, k)
		body := c.ask(200, "GET", "", nil)
		for _, field := range []string{"request_id", "auth_token", "timestamp", "version", "node"} {
			if body.str(field) == "" {
				t.Errorf("no %s in %s", field, text(body))
			}
		}
		contains(t, text(body), more, `"status":"success"`, `"name":"acme","realm":"acme.sip.example.org"`)
	}
}

func TestOffered(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"4.3": `"action":{"type":"array","description":"A list of object actions to handle","items":["doc_created","doc_edited","doc_deleted"]}`,
		"5":   `"action":{"type":"array","description":"A list of object actions to handle","items":["all","doc_created","doc_edited","doc_deleted"]}`,
	} {
		k := newKazoo(t, Options{Version: version})
		c := newClient(t, k) // no login
		_, body := c.do("GET", "/v2/webhooks", nil)
		contains(t, text(body), want, `"id":"object","name":"Object"`, `"voicemail_new":{`, `"id":"channel_create"`)
		if strings.Contains(text(body), `"cdr"`) != (version == "5") {
			t.Error(version, "and cdr:", text(body))
		}
		_, body = c.do("GET", "/v2/webhooks/samples", nil)
		for _, id := range rowsOf(body) {
			status, body := c.do("GET", "/v2/webhooks/samples/"+id.(string), nil)
			if status != 200 || len(rowsOf(body)) == 0 {
				t.Errorf("sample %s: %d %s", id, status, text(body))
			}
		}
		if status, _ := c.do("GET", "/v2/webhooks/samples/webhooks_nothing", nil); status != 404 {
			t.Error(status)
		}
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	body := c.ask(200, "GET", "/descendants", nil)
	contains(t, text(body), `"data":[{"id":"5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab50","name":"acme-north","realm":"acme-north.sip.example.org","tree":["00000000000000000000000000000001","0123456789abcdef0123456789abcdef","`+DefaultAccountID+`"]}`)
	made := c.ask(201, "PUT", "", obj("name", "acme-west"))
	id := made.obj("data").str("id")
	if n := len(rowsOf(c.ask(200, "GET", "/descendants", nil))); n != 3 {
		t.Errorf("%d descendants", n)
	}
	c.ask(400, "PUT", "", obj("name", "acme-west"))
	c.ask(400, "PUT", "", obj("realm", "x"))
	body = c.ask(500, "DELETE", "", nil)
	contains(t, text(body), "account_has_descendants")
	if status, _ := c.do("DELETE", "/v2/accounts/"+id, nil); status != 200 {
		t.Error(status)
	}
	if status, _ := c.do("GET", "/v2/accounts/"+id, nil); status != 404 {
		t.Error("deleted account:", status)
	}
	if len(k.Accounts()) != len(DefaultAccounts()) {
		t.Error(k.Accounts())
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]Options{
		"version": {Version: "6"},
		"parent":  {Accounts: []Account{{Name: "a"}, {Name: "b", Parent: "c"}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			New(opt).Close()
		}()
	}
	k := New(Options{Accounts: []Account{{Name: "only"}}})
	defer k.Close()
	if k.AccountID() != k.Accounts()[0].ID || len(k.AccountID()) != 32 {
		t.Error(k.Accounts())
	}
	again := New(Options{Accounts: []Account{{Name: "only"}}})
	defer again.Close()
	if diff := cmp.Diff(k.Accounts(), again.Accounts()); diff != "" {
		t.Error("one seed makes two trees:", diff)
	}
}
