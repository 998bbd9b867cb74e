package crossbar

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
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
			c, m := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = readData(t, r)
				reply(w, http.StatusCreated, map[string]any{"status": "success", "auth_token": "tok",
					"data": map[string]any{"account_id": testAccount, "account_name": "acme"}})
			}), func(o *Options) { o.Auth, o.AccountName, o.AccountRealm = tc.auth, tc.name, tc.realm })
			a, err := c.Login(t.Context())
			if err != nil || a != (Account{ID: testAccount, Name: "acme"}) {
				t.Fatalf("Login = %+v, %v", a, err)
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.data) {
				t.Errorf("data = %v, want %v", got, tc.data)
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
		// Renewed once shortly before the end of its life, not earlier.
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

func TestRenewalFailureKeepsAliveToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI()
		var down atomic.Bool
		c, _ := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if down.Load() {
				panic(refuse{})
			}
			a.ServeHTTP(w, r)
		}))
		login(t, c)
		down.Store(true)
		time.Sleep(59*time.Minute + 1*time.Second)
		ctx, cancel := timeout(t, 5*time.Second)
		defer cancel()
		if _, err := c.Login(ctx); err != nil {
			t.Errorf("the old token still lives: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := c.Login(ctx); err == nil {
			t.Error("a dead token was used")
		}
	})
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
		// However often it is asked, the logins are few.
		for range 50 {
			_, _ = c.Object(t.Context(), testAccount, "users", "never")
		}
		if a.logins > 6 {
			t.Errorf("%d logins: hammering", a.logins)
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

func TestTokenLife(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for name, tc := range map[string]struct {
		token string
		want  time.Duration
	}{
		"exp":           {jwt(`{"exp":1700000100}`), 100 * time.Second},
		"exp and iat":   {jwt(`{"exp":1600000100,"iat":1600000000}`), 100 * time.Second},
		"gregorian":     {jwt(fmt.Sprintf(`{"exp":%d}`, 1_700_000_100+int64(GregorianEpoch))), 100 * time.Second},
		"text":          {jwt(`{"exp":"1700000100"}`), 100 * time.Second},
		"float":         {jwt(`{"exp":1700000100.75}`), 100 * time.Second},
		"long":          {jwt(`{"exp":1800000000}`), 24 * time.Hour},
		"in the past":   {jwt(`{"exp":1600000000}`), assumedLife},
		"no exp":        {jwt(`{"iss":"kazoo"}`), assumedLife},
		"odd exp":       {jwt(`{"exp":{}}`), assumedLife},
		"not a jwt":     {"0123456789abcdef", assumedLife},
		"not base64":    {"a.!.c", assumedLife},
		"not json":      {"a.YWJj.c", assumedLife},
		"huge":          {jwt(`{"exp":1e300}`), assumedLife},
		"padded base64": {"a.eyJleHAiOjE3MDAwMDAxMDB9Cg==.c", 100 * time.Second},
	} {
		if got := tokenLife(tc.token, now); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestLoginPrefersKazoosClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Kazoo is a day ahead and its tokens, without iat, live an hour.
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
