package crossbar

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObject(t *testing.T) {
	t.Parallel()
	a := newAPI()
	a.authed("GET /v2/accounts/{id}/{kind}/{object}", func(w http.ResponseWriter, r *http.Request) {
		switch r.PathValue("object") {
		case "gone":
			fail(w, 404, "bad identifier", map[string]any{"cause": "gone"})
		case "other":
			ok(w, map[string]any{"id": "another"})
		case "text":
			ok(w, "text")
		case "a b/c":
			ok(w, map[string]any{"name": "no id"})
		default:
			ok(w, map[string]any{
				"id": r.PathValue("object"), "first_name": "Ann", "last_name": "Lee", "mailbox": 101,
				"numbers": []any{"+1555", 200, map[string]any{}}, "caller_id": map[string]any{"x": 1},
				"password": "hunter2", "priv_level": nil,
			})
		}
	})
	a.authed("GET /v2/accounts/{id}", func(w http.ResponseWriter, r *http.Request) {
		switch r.PathValue("id") {
		case "gone":
			fail(w, 404, "not found", nil)
		case "secret":
			fail(w, 403, "forbidden", nil)
		default:
			ok(w, map[string]any{"id": r.PathValue("id"), "name": "Sub"})
		}
	})
	c, _ := inMemory(t, a)
	o, err := c.Object(t.Context(), testAccount, "users", "u1")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"id": "u1", "first_name": "Ann", "last_name": "Lee", "mailbox": "101", "numbers": "+1555, 200"}
	if d := cmp.Diff(want, o.Fields); d != "" || o.ID != "u1" || !strings.Contains(string(o.Raw), "hunter2") {
		t.Error(d)
	}
	if _, err := c.Object(t.Context(), testAccount, "users", "gone"); !IsNotFound(err) || IsUnauthorized(err) || !strings.Contains(err.Error(), `cause: "gone"`) {
		t.Errorf("deleted object: %v", err)
	}
	for _, id := range []string{"other", "text"} {
		if _, err := c.Object(t.Context(), testAccount, "users", id); err == nil || asError(t, err).Code != CodeMalformed || IsNotFound(err) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if o, err := c.Object(t.Context(), testAccount, "media", "a b/c"); err != nil || o.ID != "a b/c" {
		t.Errorf("escaped id: %+v, %v", o, err)
	}
	for _, id := range []string{"", ".", ".."} {
		if _, err := c.Object(t.Context(), testAccount, "users", id); err == nil || IsNotFound(err) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	if _, err := c.Object(t.Context(), testAccount, "passwords", "x"); err == nil || !strings.Contains(err.Error(), "users, devices") {
		t.Errorf("kind: %v", err)
	}
	for _, err := range c.Objects(t.Context(), testAccount, "passwords") {
		if err == nil {
			t.Error("unknown kind listed")
		}
	}
	for _, err := range c.Objects(t.Context(), "", "users") {
		if err == nil {
			t.Error("empty account listed")
		}
	}
	for id, want := range map[string]bool{testAccount: true, "gone": false, "secret": false} {
		found, err := c.AccountExists(t.Context(), id)
		if found != want || (err != nil) != (id == "secret") {
			t.Errorf("%s: %t, %v", id, found, err)
		}
	}
}

func TestDescendants(t *testing.T) {
	t.Parallel()
	a := newAPI()
	a.authed("GET /v2/accounts/{id}/descendants", func(w http.ResponseWriter, _ *http.Request) {
		ok(w, []any{
			map[string]any{"id": "a1", "name": "One", "realm": "one.sip", "tree": []any{testAccount}},
			map[string]any{"id": "a2", "name": "Two"},
		})
	})
	c, _ := inMemory(t, a)
	var got []Account
	for acc, err := range c.Descendants(t.Context(), testAccount) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, acc)
	}
	if d := cmp.Diff([]Account{{"a1", "One", "one.sip"}, {ID: "a2", Name: "Two"}}, got); d != "" {
		t.Error(d)
	}
	n := 0
	for o, err := range c.Objects(t.Context(), testAccount, "accounts") {
		if n++; err != nil || o.Fields["name"] == "" {
			t.Error(o, err)
		}
	}
	if n != 2 {
		t.Errorf("%d accounts", n)
	}
	for _, err := range c.Descendants(t.Context(), testAccount) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	for _, err := range c.Descendants(t.Context(), "") {
		if err == nil {
			t.Error("empty account listed")
		}
	}
}
