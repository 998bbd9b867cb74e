package crossbar

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func timeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

// failing passes the first n requests to f and the others to next.
func failing(n int, f http.HandlerFunc, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n > 0 {
			n--
			f(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fail(w, code, "trouble", nil) }
}

func breaking(how any) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { panic(how) }
}

func raw(code int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

// offering answers GET /webhooks with one hook.
func offering() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { ok(w, []any{map[string]any{"id": "object"}}) })
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]http.HandlerFunc{
		"429":       status(429),
		"500":       status(500),
		"503":       status(503),
		"refused":   breaking(refuse{}),
		"cut":       breaking(cut{}),
		"timeout":   breaking(hang{}),
		"truncated": raw(200, "application/json", `{"status":"success","data":[{"id":`),
		"proxy":     raw(502, "text/html", "<html><title>502 Bad Gateway</title>"),
		"200 error": raw(200, "application/json", `{"status":"error","error":"503","message":"datastore fault","data":{}}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, m := inMemory(t, failing(3, f, offering()), func(o *Options) { o.Timeout = 2 * time.Second })
				if _, err := c.Offered(t.Context()); err != nil {
					t.Fatal(err)
				}
				// The waits grow.
				if gap := m.times[3].Sub(m.times[2]); len(m.times) != 4 || gap < firstBackoff {
					t.Errorf("%d requests, last wait %s", len(m.times), gap)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				c, _ := inMemory(t, failing(1e6, f, offering()), func(o *Options) { o.Timeout = 2 * time.Second })
				start := time.Now()
				_, err := c.Offered(t.Context())
				if e := asError(t, err); e.Attempts < 3 || e.Op != opOffered {
					t.Errorf("error %+v", e)
				}
				if d := time.Since(start); d > maxElapsed+3*time.Second {
					t.Errorf("gave up only after %s", d)
				}
				ctx, cancel := timeout(t, 5*time.Second)
				defer cancel()
				start = time.Now()
				if _, err := c.Offered(ctx); err == nil || time.Since(start) > 5*time.Second {
					t.Errorf("%v after %s", err, time.Since(start))
				}
			})
		})
	}
}

func TestNotRetried(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		f    http.HandlerFunc
		code int
		want string
	}{
		"400":           {status(400), 400, "trouble"},
		"403":           {status(403), 403, "administrator"},
		"404":           {status(404), 404, "trouble"},
		"409":           {status(409), 409, "trouble"},
		"200 error":     {raw(200, "application/json", `{"status":"error","error":"404","message":"bad identifier","data":{}}`), 404, "bad identifier"},
		"html":          {raw(200, "text/html", "<html><title>Welcome to\nnginx</title></html>"), 200, `text/html ("Welcome to nginx"); does KAZOO_API_URL`},
		"text":          {raw(404, "text/plain", "404 page not found"), 404, "404 page not found"},
		"empty":         {raw(200, "", ""), 200, "the answer is empty"},
		"other json":    {raw(404, "application/json", `{"message":"no Route matched"}`), 404, "does KAZOO_API_URL lead to Crossbar"},
		"array":         {raw(200, "application/json", `[1,2]`), 200, "not Crossbar's JSON"},
		"bad json":      {raw(200, "application/json", `{"status":"success",}`), 200, "not Crossbar's JSON"},
		"two answers":   {raw(200, "application/json", `{"status":"success"} {"status":"success"}`), 200, "not Crossbar's JSON"},
		"missing view":  {raw(503, "application/json", `{"status":"error","error":"503","message":"datastore missing view","data":{}}`), 503, "missing view"},
		"not a list":    {raw(200, "application/json", `{"status":"success","data":{"id":"x"}}`), 200, "not a list"},
		"null list":     {raw(200, "application/json", `{"status":"success","data":null}`), 200, "not a list"},
		"no list":       {raw(200, "application/json", `{"status":"success"}`), 200, "not a list"},
		"item is text":  {raw(200, "application/json", `{"status":"success","data":["x"]}`), 200, "not an object"},
		"item lacks id": {raw(200, "application/json", `{"status":"success","data":[{"name":"x"}]}`), 200, "has no id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, m := inMemory(t, tc.f)
			_, err := c.Offered(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			if e := asError(t, err); e.Status != tc.code {
				t.Errorf("status %d", e.Status)
			}
			if got := IsNotFound(err); got != (name == "404" || name == "200 error") {
				t.Errorf("IsNotFound = %t", got)
			}
			// A 400 may be about the page size and is tried once without one.
			if n := m.count("GET"); n != 1 && (n != 2 || tc.code != 400) {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]func() string{
		"seconds": func() string { return "20" },
		"date":    func() string { return time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := inMemory(t, failing(1, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", value())
					fail(w, 503, "busy", nil)
				}, offering()))
				start := time.Now()
				if _, err := c.Offered(t.Context()); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(start); d < 19*time.Second || d > 21*time.Second {
					t.Errorf("waited %s", d)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				// Retry-After ends after the deadline, so the call doesn't wait.
				c, _ := inMemory(t, failing(1, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", value())
					fail(w, 503, "busy", nil)
				}, offering()))
				ctx, cancel := timeout(t, 10*time.Second)
				defer cancel()
				start := time.Now()
				_, err := c.Offered(ctx)
				if err == nil || time.Since(start) > time.Second {
					t.Errorf("%v after %s", err, time.Since(start))
				}
			})
		})
	}
	if d := retryAfter("soon", time.Now()); d != 0 {
		t.Errorf("nonsense: %s", d)
	}
	if d := retryAfter("99999999999", time.Now()); d != 0 && d != maxRetryAfter {
		t.Errorf("huge: %s", d)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, m := inMemory(t, offering(), func(o *Options) { o.Rate = 5 })
		for range 100 {
			if _, err := c.Offered(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for i := range m.times {
			n := 0
			for j := i; j < len(m.times) && m.times[j].Sub(m.times[i]) < 10*time.Second; j++ {
				n++
			}
			if n > 5*10+5 {
				t.Fatalf("%d requests in 10 s", n)
			}
		}
		ctx, cancel := timeout(t, 10*time.Millisecond)
		defer cancel()
		_, err := c.Offered(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "KAZOO_API_RATE") {
			t.Errorf("error %v", err)
		}
		cancelled, stop := context.WithCancel(t.Context())
		stop()
		if _, err := c.Offered(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// TestLoginCost: the client never empties Kazoo's token bucket, which holds 100
// tokens and gets ten a second; a login costs 35.
func TestLoginCost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens, last := 100.0, time.Now()
		spend := func(n float64) {
			tokens = min(100, tokens+10*time.Since(last).Seconds())
			last = time.Now()
			if tokens -= n; tokens < 0 {
				t.Errorf("Kazoo's bucket is empty (%f)", tokens)
			}
		}
		a := newAPI()
		a.authed("GET /v2/accounts/{id}", func(w http.ResponseWriter, _ *http.Request) { ok(w, map[string]any{"id": testAccount}) })
		c, _ := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				spend(loginCost)
			} else {
				spend(requestCost)
			}
			a.ServeHTTP(w, r)
		}), func(o *Options) { o.Rate = 10 })
		for i := range 200 {
			if i%40 == 0 {
				a.revoke()
				time.Sleep(30 * time.Second * time.Duration(i%3))
			}
			_, _ = c.AccountExists(t.Context(), testAccount)
		}
	})
}

func TestObserveAndLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		var log bytes.Buffer
		c, _ := inMemory(t, failing(1, status(503), failing(1, breaking(cut{}), offering())), func(o *Options) {
			o.Observe = func(op string, status int, d time.Duration) {
				seen = append(seen, op+" "+http.StatusText(status))
			}
			o.Log = zerolog.New(&log)
		})
		if _, err := c.Offered(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(seen, ","); got != "offered Service Unavailable,offered ,offered OK" {
			t.Errorf("observed %q", got)
		}
		// The first failure is logged at debug, the second as a warning.
		if strings.Count(log.String(), `"level":"debug"`) != 1 || strings.Count(log.String(), `"level":"warn"`) != 1 {
			t.Errorf("log: %s", log.String())
		}
		c.Close()
	})
	if n := len(Operations()); n != 13 {
		t.Errorf("%d operations", n)
	}
	for _, op := range Operations() {
		if doing(op) == doing("") {
			t.Errorf("%s has no words", op)
		}
	}
}

func TestUserAgentAndPaths(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"http://kazoo.test:8000":           "/v2/webhooks",
		"http://kazoo.test:8000/":          "/v2/webhooks",
		"http://kazoo.test:8000/v2":        "/v2/webhooks",
		"http://kazoo.test:8000/v2//":      "/v2/webhooks",
		"http://kazoo.test/api/kazoo/":     "/api/kazoo/v2/webhooks",
		"https://kazoo.test/a%2Fb/v2":      "/a%2Fb/v2/webhooks",
		" https://u:pass1@kazoo.test/xv2 ": "/xv2/v2/webhooks",
	} {
		var agent string
		c, m := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			agent = r.Header.Get("User-Agent")
			ok(w, []any{})
		}), func(o *Options) { o.BaseURL, o.UserAgent = base, "kazoohook/1.2.3" })
		if _, err := c.Offered(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m.log[0] != "GET "+want || agent != "kazoohook/1.2.3" {
			t.Errorf("%s: %s by %q", base, m.log[0], agent)
		}
	}
}
