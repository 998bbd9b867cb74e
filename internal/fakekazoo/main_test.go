package fakekazoo

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// newKazoo starts a fake without token buckets.
func newKazoo(t *testing.T, opt Options) *Kazoo {
	t.Helper()
	opt.BucketsOff = true
	k := New(opt)
	t.Cleanup(k.Close)
	return k
}

// idle waits for all firings.
func idle(t *testing.T, k *Kazoo) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := k.Idle(ctx); err != nil {
		t.Fatal("firings do not end:", err)
	}
}

// eventually polls until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("not within a minute:", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// client is an API client with a token.
type client struct {
	t     *testing.T
	srv   *httptest.Server
	token string
}

func newClient(t *testing.T, k *Kazoo) *client {
	t.Helper()
	c := &client{t: t, srv: httptest.NewServer(k.API())}
	t.Cleanup(c.srv.Close)
	return c
}

// logIn logs the default user in.
func logIn(t *testing.T, k *Kazoo) *client {
	t.Helper()
	c := newClient(t, k)
	status, body := c.do("PUT", "/v2/user_auth", obj(
		"credentials", credentials("md5", DefaultUsername, DefaultPassword), "account_name", "acme"))
	if status != http.StatusCreated {
		t.Fatalf("login: %d %s", status, text(body))
	}
	c.token = body.str("auth_token")
	return c
}

// raw sends a request; data, if not nil, is sent in Crossbar's envelope.
func (c *client) raw(method, path string, data any) (*http.Response, []byte, error) {
	c.t.Helper()
	var body io.Reader = http.NoBody
	if data != nil {
		body = bytes.NewReader(appendJSON(nil, obj("data", data), jsonCompact))
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.srv.URL+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		r.Header.Set("X-Auth-Token", c.token)
	}
	res, err := c.srv.Client().Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	return res, got, err
}

func (c *client) do(method, path string, data any) (int, *jobj) {
	c.t.Helper()
	res, raw, err := c.raw(method, path, data)
	if err != nil {
		c.t.Fatal(err)
	}
	body := &jobj{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, body); err != nil {
			c.t.Fatalf("%s %s: %v in %q", method, path, err, raw)
		}
	}
	return res.StatusCode, body
}

// ask is do on the default account's path, and expects a status.
func (c *client) ask(want int, method, path string, data any) *jobj {
	c.t.Helper()
	status, body := c.do(method, "/v2/accounts/"+DefaultAccountID+path, data)
	if status != want {
		c.t.Fatalf("%s %s: %d instead of %d: %s", method, path, status, want, text(body))
	}
	return body
}

func text(v any) string { return string(appendJSON(nil, v, jsonCompact)) }

func rowsOf(body *jobj) []any {
	rows, _ := body.get("data").([]any)
	return rows
}

// delivery is a request that a receiver got.
type delivery struct {
	method, target, body string
	header               http.Header
}

// receiver is a server that hooks call. It gives its answers in turn and then repeats
// the last one.
type receiver struct {
	*httptest.Server
	got chan delivery
}

func newReceiver(t *testing.T, answers ...http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{got: make(chan delivery, 10_000)}
	turn := make(chan http.HandlerFunc, len(answers)+1)
	for _, a := range answers {
		turn <- a
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.got <- delivery{req.Method, req.RequestURI, string(body), req.Header}
		answer := <-turn
		if len(turn) == 0 {
			turn <- answer
		}
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// objectHook are the fields of a hook for deleted users.
func objectHook(uri string, more ...any) map[string]any {
	fields := map[string]any{
		"hook": "object", "name": "test", "uri": uri, "http_verb": "post", "format": "form-data", "retries": 3,
		"custom_data": map[string]any{"type": "user", "action": "doc_deleted"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		key, _ := more[i].(string)
		fields[key] = more[i+1]
	}
	return fields
}

func mustHook(t *testing.T, k *Kazoo, fields map[string]any) string {
	t.Helper()
	id, err := k.CreateHook("", fields)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// deleteUser creates a user without events and deletes it with one.
func deleteUser(t *testing.T, k *Kazoo, account string) User {
	t.Helper()
	users, err := k.SeedUsers(account, 1)
	if err == nil {
		err = k.DeleteUser(users[0].ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return users[0]
}

func contains(t *testing.T, s string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			t.Errorf("no %q in %s", p, s)
		}
	}
}
