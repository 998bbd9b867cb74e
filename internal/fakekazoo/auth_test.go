package fakekazoo

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLogins(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := newClient(t, k)
	md5, sha := credentials("md5", DefaultUsername, DefaultPassword), credentials("sha", DefaultUsername, DefaultPassword)
	for name, tc := range map[string]struct {
		path   string
		data   *jobj
		status int
	}{
		"md5 by name":              {"user_auth", obj("credentials", md5, "account_name", "ACME"), 201},
		"name normalised":          {"user_auth", obj("credentials", md5, "account_name", "A-c_m e."), 201},
		"name in capitals":         {"user_auth", obj("credentials", credentials("md5", "Admin", DefaultPassword), "account_name", "acme"), 401},
		"md5, said so":             {"user_auth", obj("credentials", md5, "account_name", "acme", "method", "md5"), 201},
		"sha by realm":             {"user_auth", obj("credentials", sha, "account_realm", "acme.sip.example.org", "method", "sha"), 201},
		"sha1 is no method":        {"user_auth", obj("credentials", sha, "account_name", "acme", "method", "sha1"), 400},
		"upper case":               {"user_auth", obj("credentials", strings.ToUpper(md5), "account_name", "acme"), 401},
		"sha without saying so":    {"user_auth", obj("credentials", sha, "account_name", "acme"), 401},
		"wrong password":           {"user_auth", obj("credentials", credentials("md5", DefaultUsername, "x"), "account_name", "acme"), 401},
		"other account":            {"user_auth", obj("credentials", md5, "account_name", "resale"), 401},
		"no account":               {"user_auth", obj("credentials", md5), 401},
		"no credentials":           {"user_auth", obj("account_name", "acme"), 400},
		"api key":                  {"api_auth", obj("api_key", DefaultAPIKey), 201},
		"unknown api key":          {"api_auth", obj("api_key", strings.Repeat("0", 64)), 404},
		"short api key":            {"api_auth", obj("api_key", "abc"), 400},
		"long api key":             {"api_auth", obj("api_key", strings.Repeat("0", 65)), 400},
		"api key and another word": {"api_auth", obj("api_key", DefaultAPIKey, "account_name", "acme"), 400},
		"no api key":               {"api_auth", obj(), 400},
	} {
		status, body := c.do("PUT", "/v2/"+tc.path, tc.data)
		if status != tc.status {
			t.Errorf("%s: %d instead of %d: %s", name, status, tc.status, text(body))
			continue
		}
		if status != http.StatusCreated {
			if body.str("status") != "error" || body.str("error") != strconv.Itoa(tc.status) {
				t.Errorf("%s: %s", name, text(body))
			}
			continue
		}
		if body.obj("data").str("account_id") != DefaultAccountID || body.obj("data").str("account_name") != "acme" {
			t.Errorf("%s: %s", name, text(body))
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	at := time.Now()
	k := newKazoo(t, Options{TokenTTL: time.Minute, Now: func() time.Time { return at }})
	c := logIn(t, k)
	parts := strings.Split(c.token, ".")
	if len(parts) != 3 {
		t.Fatalf("token %q is not a JWT", c.token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Exp int64 `json:"exp"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	if left := time.Unix(claims.Exp, 0).Sub(at); left < 50*time.Second || left > time.Minute {
		t.Errorf("token ends in %s", left)
	}
	body := c.ask(200, "GET", "/users", nil)
	if body.str("auth_token") != c.token {
		t.Error("the answer does not repeat the token")
	}

	// The token is accepted in Authorization, too.
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, c.srv.URL+"/v2/accounts/"+DefaultAccountID, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+c.token)
	res, err := c.srv.Client().Do(r)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	_ = res.Body.Close()

	k.MoveClock(59 * time.Second)
	c.ask(200, "GET", "/users", nil)
	k.MoveClock(61 * time.Second) // requests don't extend a token's life
	body = c.ask(401, "GET", "/users", nil)
	want := `{"data":{"message":"invalid credentials"},"error":"401","message":"invalid_credentials","status":"error"`
	if !strings.HasPrefix(text(body), want) {
		t.Error(text(body))
	}

	c = logIn(t, k)
	if err := k.SetPassword(DefaultUsername, "changed"); err != nil {
		t.Fatal(err)
	}
	c.ask(401, "GET", "/users", nil)
	if err := k.AddLogin("resale", "boss", "secret"); err != nil {
		t.Fatal(err)
	}
	status, body := c.do("PUT", "/v2/user_auth", obj("credentials", credentials("md5", "boss", "secret"), "account_name", "resale"))
	if status != 201 || k.Sessions() != 1 {
		t.Fatal(status, text(body))
	}
	c.token = body.str("auth_token")
	c.ask(200, "GET", "/users", nil) // a reseller may read it
	k.RevokeTokens()
	c.ask(401, "GET", "/users", nil)
	if k.SetPassword("nobody", "x") == nil || k.AddLogin("nowhere", "a", "b") == nil {
		t.Error("no error for an unknown user or account")
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	k := New(Options{LoginCost: 35, Speed: 1e-6}) // so slow that no token is refilled during the test
	t.Cleanup(k.Close)
	c := newClient(t, k)
	login := obj("credentials", credentials("md5", DefaultUsername, DefaultPassword), "account_name", "acme")
	var got []int
	for range 3 {
		status, body := c.do("PUT", "/v2/user_auth", login)
		got = append(got, status)
		if status == http.StatusTooManyRequests && body.str("message") != "too_many_requests" {
			t.Error(text(body))
		}
	}
	if diff := cmp.Diff([]int{201, 201, 429}, got); diff != "" {
		t.Error("three logins at once:", diff)
	}
	res, _, err := c.raw("PUT", "/v2/user_auth", login)
	if err != nil || res.StatusCode != 429 || res.Header.Get("Retry-After") != "" {
		t.Error("429 without Retry-After expected:", res, err)
	}
	// Other requests cost one token.
	for i := range 25 {
		if status, _ := c.do("GET", "/v2/webhooks", nil); status != http.StatusOK {
			t.Fatalf("request %d: %d", i, status)
		}
	}
}

func TestBucketsRefillWithSpeed(t *testing.T) {
	t.Parallel()
	k := New(Options{Speed: 10_000})
	t.Cleanup(k.Close)
	c := newClient(t, k)
	for range 20 {
		if status, _ := c.do("GET", "/v2/webhooks", nil); status != http.StatusOK {
			t.Fatal(status)
		}
		c.token = logInWith(c)
	}
}

func logInWith(c *client) string {
	_, body := c.do("PUT", "/v2/api_auth", obj("api_key", DefaultAPIKey))
	return body.str("auth_token")
}
