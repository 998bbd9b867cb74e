package crossbar

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

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
			t.Errorf("the old token is still valid: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := c.Login(ctx); err == nil {
			t.Error("an expired token was used")
		}
	})
}

// TestRefusedRenewalKeepsAliveToken: if Kazoo refuses a renewal, the old token is used
// until it expires, while the next try of the login waits.
func TestRefusedRenewalKeepsAliveToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI()
		var refuses atomic.Bool
		c, _ := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if refuses.Load() {
				fail(w, http.StatusUnauthorized, "invalid_credentials", nil)
				return
			}
			a.ServeHTTP(w, r)
		}))
		login(t, c)
		refuses.Store(true)
		time.Sleep(59*time.Minute + 1*time.Second)
		for range 3 {
			if _, err := c.Login(t.Context()); err != nil {
				t.Errorf("the old token is still valid: %v", err)
			}
		}
		time.Sleep(2 * time.Minute)
		if _, err := c.Login(t.Context()); err == nil {
			t.Error("an expired token was used")
		}
	})
}

// TestPageOfAProxyRefusesNothing: an answer to a login that isn't Kazoo's says nothing of
// the credentials, so the next login doesn't wait.
func TestPageOfAProxyRefusesNothing(t *testing.T) {
	t.Parallel()
	a := newAPI()
	down := true
	c, _ := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte("<html>404 page not found</html>"))
			return
		}
		a.ServeHTTP(w, r)
	}))
	if _, err := c.Login(t.Context()); err == nil || IsUnauthorized(err) {
		t.Errorf("%v", err)
	}
	down = false
	login(t, c)
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
