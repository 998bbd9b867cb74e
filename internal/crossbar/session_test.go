package crossbar

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLoginRequests(t *testing.T) {
	t.Parallel()
	sha := Password{User: testUser, Pass: testPass, Hash: "sha1"}
	key := strings.Repeat("k", 64)
	for name, tc := range map[string]struct {
		auth        Auth
		name, realm string
		path        string
		data        map[string]any
	}{
		"name in capitals": {Password{User: "ADMIN", Pass: testPass}, "A C M E", "", "/v2/user_auth",
			map[string]any{"credentials": testMD5, "method": "md5", "account_name": "A C M E"}},
		"password": {Password{User: testUser, Pass: testPass}, "acme", "", "/v2/user_auth",
			map[string]any{"credentials": testMD5, "method": "md5", "account_name": "acme"}},
		"sha1 by realm": {sha, "", "acme.sip", "/v2/user_auth",
			map[string]any{"credentials": sha.hash(), "method": "sha", "account_realm": "acme.sip"}},
		"credentials": {Credentials{Hash: strings.ToUpper(testMD5)}, "acme", "", "/v2/user_auth",
			map[string]any{"credentials": testMD5, "method": "md5", "account_name": "acme"}},
		"sha1 credentials": {Credentials{Hash: sha.hash()}, "acme", "", "/v2/user_auth",
			map[string]any{"credentials": sha.hash(), "method": "sha", "account_name": "acme"}},
		"api key": {APIKey(key), "", "", "/v2/api_auth", map[string]any{"api_key": key}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got map[string]any
			learned := ""
			c, m := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = readData(t, r)
				reply(w, http.StatusCreated, map[string]any{"status": "success", "auth_token": "tok",
					"data": map[string]any{"account_id": testAccount, "account_name": "acme"}})
			}), func(o *Options) {
				o.Auth, o.AccountName, o.AccountRealm = tc.auth, tc.name, tc.realm
				o.OnToken = func(token string) { learned = token }
			})
			a, err := c.Login(t.Context())
			if err != nil || a != (Account{ID: testAccount, Name: "acme"}) {
				t.Fatalf("Login = %+v, %v", a, err)
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.data) {
				t.Errorf("data = %v, want %v", got, tc.data)
			}
			if learned != "tok" {
				t.Errorf("learned the token %q", learned)
			}
			if m.log[0] != "PUT "+tc.path {
				t.Errorf("request %q", m.log[0])
			}
		})
	}
}

func TestOneLoginForMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI()
		a.authed("GET /v2/accounts/{id}", func(w http.ResponseWriter, r *http.Request) {
			ok(w, map[string]any{"id": r.PathValue("id")})
		})
		c, m := inMemory(t, a)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if found, err := c.AccountExists(t.Context(), testAccount); !found || err != nil {
					t.Error(found, err)
				}
			})
		}
		wg.Wait()
		if a.logins != 1 || m.count("GET") != 50 {
			t.Errorf("%d logins for %d requests", a.logins, m.count("GET"))
		}
		// A token is renewed once, shortly before it expires.
		time.Sleep(58 * time.Minute)
		login(t, c)
		if a.logins != 1 {
			t.Errorf("renewed too early: %d logins", a.logins)
		}
		time.Sleep(61 * time.Second)
		for range 20 {
			wg.Go(func() { login(t, c) })
		}
		wg.Wait()
		if a.logins != 2 {
			t.Errorf("%d logins after the renewal, want 2", a.logins)
		}
	})
}

func login(t *testing.T, c *Client) {
	t.Helper()
	if _, err := c.Login(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReloginOnceOn401(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI()
		a.authed("GET /v2/accounts/{id}/users/u1", func(w http.ResponseWriter, _ *http.Request) {
			ok(w, map[string]any{"id": "u1"})
		})
		a.HandleFunc("GET /v2/accounts/{id}/users/never", func(w http.ResponseWriter, _ *http.Request) {
			fail(w, http.StatusUnauthorized, "invalid_credentials", nil)
		})
		c, m := inMemory(t, a)
		if _, err := c.Object(t.Context(), testAccount, "users", "u1"); err != nil {
			t.Fatal(err)
		}
		a.revoke()
		if _, err := c.Object(t.Context(), testAccount, "users", "u1"); err != nil {
			t.Fatalf("no second login: %v", err)
		}
		if a.logins != 2 {
			t.Fatalf("%d logins", a.logins)
		}
		_, err := c.Object(t.Context(), testAccount, "users", "never")
		if !IsUnauthorized(err) || IsNotFound(err) {
			t.Fatalf("error %v", err)
		}
		if got := m.count("GET /v2/accounts/" + testAccount + "/users/never"); got != 2 || a.logins != 3 {
			t.Errorf("%d tries, %d logins", got, a.logins)
		}
		if s := err.Error(); !strings.Contains(s, "KAZOO_ACCOUNT_ID") || !strings.Contains(s, "req-fail") {
			t.Errorf("error %q", s)
		}
		// Many requests cause few logins.
		for range 50 {
			_, _ = c.Object(t.Context(), testAccount, "users", "never")
		}
		if a.logins > 6 {
			t.Errorf("%d logins for 50 requests", a.logins)
		}
	})
}

func TestRefusedLoginIsPaced(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"password": 401, "api key": 404} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				right := false
				a := newAPI()
				c, m := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if right {
						a.ServeHTTP(w, r)
						return
					}
					fail(w, status, "invalid_credentials", nil)
				}))
				for range 20 {
					_, err := c.Hooks(t.Context(), testAccount)
					if !IsUnauthorized(err) || IsNotFound(err) {
						t.Fatalf("error %v", err)
					}
				}
				if n := m.count("PUT"); n != 1 {
					t.Fatalf("%d logins with a wrong password", n)
				}
				_, err := c.Login(t.Context())
				if e := asError(t, err); e.NextTry.IsZero() || !strings.Contains(e.Error(), "not tried again before") {
					t.Errorf("error %v", err)
				}
				for range 60 {
					time.Sleep(time.Minute)
					_, _ = c.Login(t.Context())
				}
				if n := m.count("PUT"); n < 5 || n > 20 {
					t.Errorf("%d logins in an hour", n)
				}
				right = true
				time.Sleep(maxPause)
				login(t, c)
			})
		})
	}
}

func TestWaiterForLoginHonoursContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := inMemory(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(hang{}) }))
		go func() {
			ctx, cancel := timeout(t, 20*time.Second)
			defer cancel()
			_, _ = c.Login(ctx)
		}()
		synctest.Wait()
		ctx, cancel := timeout(t, time.Second)
		defer cancel()
		start := time.Now()
		if _, err := c.Login(ctx); err == nil || time.Since(start) > 2*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		time.Sleep(time.Minute)
	})
}

func TestLoginAnswerWithoutToken(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"token":   `{"status":"success","data":{"account_id":"a"}}`,
		"account": `{"status":"success","auth_token":"t","data":{}}`,
		"data":    `{"status":"success","auth_token":"t"}`,
	} {
		c, _ := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(answer))
		}))
		if _, err := c.Login(t.Context()); err == nil || asError(t, err).Code != CodeMalformed {
			t.Errorf("without %s: %v", name, err)
		}
	}
	c, _ := inMemory(t, http.NotFoundHandler(), func(o *Options) { o.Auth, o.AccountName = nil, "" })
	if _, err := c.Login(t.Context()); err == nil || !strings.Contains(err.Error(), "no credentials") {
		t.Errorf("without auth: %v", err)
	}
}

func TestLoginPrefersKazoosClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Kazoo's clock is a day ahead. Its tokens have no iat and last an hour.
		kazoo := func() time.Time { return time.Now().Add(24 * time.Hour) }
		logins := 0
		c, _ := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			logins++
			reply(w, http.StatusCreated, map[string]any{
				"status": "success", "auth_token": jwt(fmt.Sprintf(`{"exp":%d}`, kazoo().Add(time.Hour).Unix())),
				"timestamp": kazoo().UTC().Format("2006-01-02T15:04:05"),
				"data":      map[string]any{"account_id": testAccount},
			})
		}))
		if _, known := c.ClockOffset(); known {
			t.Error("offset known before the first answer")
		}
		login(t, c)
		if off, known := c.ClockOffset(); !known || (off-24*time.Hour).Abs() > time.Second {
			t.Errorf("offset %s, %t", off, known)
		}
		time.Sleep(time.Hour)
		login(t, c)
		if logins != 2 {
			t.Errorf("%d logins", logins)
		}
	})
}

func TestCancelledLoginLeavesTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI()
		slow := true
		c, _ := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if slow {
				slow = false
				panic(hang{})
			}
			a.ServeHTTP(w, r)
		}))
		ctx, cancel := timeout(t, time.Second)
		defer cancel()
		if _, err := c.Login(ctx); !errors.Is(err, ctx.Err()) {
			t.Errorf("error %v", err)
		}
		login(t, c)
	})
}

// TestSetAuth: a new password is tried at once, even if the old one had to wait or
// there is a token.
func TestSetAuth(t *testing.T) {
	t.Parallel()
	right := Password{User: testUser, Pass: "another"}
	logins := 0
	c, _ := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		logins++
		if got := readData(t, r); fmt.Sprint(got["credentials"]) != right.hash() {
			reply(w, http.StatusUnauthorized, map[string]any{"status": "error", "error": "401", "message": "invalid_credentials", "data": map[string]any{}})
			return
		}
		reply(w, http.StatusCreated, map[string]any{"status": "success", "auth_token": "tok",
			"data": map[string]any{"account_id": testAccount, "account_name": "acme"}})
	}), func(o *Options) { o.Auth, o.AccountName = Password{User: testUser, Pass: testPass}, "acme" })
	for range 2 {
		if _, err := c.Login(t.Context()); err == nil || logins != 1 {
			t.Fatalf("%v after %d logins", err, logins)
		}
	}
	if err := c.SetAuth(t.Context(), Password{User: testUser}, "acme", ""); err == nil {
		t.Error("a login without a password is accepted")
	}
	if err := c.SetAuth(t.Context(), right, "acme", ""); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Login(t.Context()); err != nil || logins != 2 {
			t.Errorf("%v after %d logins", err, logins)
		}
	}
	if err := c.SetAuth(t.Context(), right, "acme", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Login(t.Context()); err != nil || logins != 3 {
		t.Errorf("%v after %d logins: the old login's token is used", err, logins)
	}
}
