package delivery

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// wait is how long a test waits for what must happen.
const wait = 90 * time.Second

// sender makes the sender of an http destination.
func sender(t testing.TB, s HTTPSettings, change ...func(*Settings)) *httpSender {
	t.Helper()
	settings := Settings{Type: TypeHTTP, HTTP: &s, Timeout: wait}
	for _, c := range change {
		c(&settings)
	}
	got, err := NewSender(compiled(t, settings), SenderOptions{Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	})
	h, _ := got.(*httpSender)
	return h
}

func timeout(d time.Duration) func(*Settings) { return func(s *Settings) { s.Timeout = d } }

// serve starts a server whose handler is do.
func serve(t testing.TB, do http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(do)
	t.Cleanup(s.Close)
	return s
}

func message() *Message {
	return &Message{EventID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Seq: 42, Event: "user.deleted", Account: "a1", Object: "u1", Key: "object/user/u1",
		Body: []byte(`{"event":"user.deleted"}`), ContentType: "application/json", Attempt: 1, At: time.Now()}
}

// TestHTTPRequest checks what the server receives.
func TestHTTPRequest(t *testing.T) {
	t.Parallel()
	secrets := []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + base64.StdEncoding.EncodeToString([]byte("an older key of some length"))}
	keys := keysOf(t, secrets...)
	for name, test := range map[string]struct {
		settings HTTPSettings
		change   func(*Message)
		want     map[string]string // headers; "": absent
	}{
		"plain": {HTTPSettings{}, func(*Message) {}, map[string]string{
			"Webhook-Id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "Content-Type": "application/json", "User-Agent": "kazoohook/1.2.3",
			"Webhook-Signature": "", "Webhook-Redelivered": "", "Traceparent": "", "Authorization": "", "Accept-Encoding": "",
		}},
		"signed": {HTTPSettings{Keys: keys}, func(*Message) {}, nil},
		"redelivered, traced": {HTTPSettings{}, func(m *Message) {
			m.Redelivered, m.Traceparent = true, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		}, map[string]string{"Webhook-Redelivered": "true", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},
		"own headers": {HTTPSettings{Headers: map[string]string{"authorization": "Bearer x", "user-agent": "ours", "Content-Type": "text/x"}}, func(*Message) {},
			map[string]string{"Authorization": "Bearer x", "User-Agent": "ours", "Content-Type": "text/x"}},
		"large": {HTTPSettings{Keys: keys}, func(m *Message) { m.Body = bytes.Repeat([]byte("x"), 1<<20) }, nil},
		"empty": {HTTPSettings{Keys: keys}, func(m *Message) { m.Body = nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message()
			test.change(m)
			var got *http.Request
			var body []byte
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = r
				body, _ = io.ReadAll(r.Body)
				w.WriteHeader(http.StatusNoContent)
			})
			test.settings.URL = server.URL + "/kazoo?x=1"
			r := sender(t, test.settings).Send(t.Context(), m)
			if r.Err != nil || r.Status != "204 No Content" || r.Answered || r.Pause {
				t.Fatalf("result %+v", r)
			}
			if got.Method != http.MethodPost || got.URL.String() != "/kazoo?x=1" || !bytes.Equal(body, m.Body) || got.ContentLength != int64(len(m.Body)) {
				t.Errorf("%s %s with %d bytes, length %d", got.Method, got.URL, len(body), got.ContentLength)
			}
			for header, want := range test.want {
				if values := got.Header.Values(header); strings.Join(values, "|") != want {
					t.Errorf("%s: %q, want %q", header, values, want)
				}
			}
			if len(test.settings.Keys) == 0 {
				return
			}
			for _, secret := range secrets {
				oracle, err := standardwebhooks.NewWebhook(secret)
				if err != nil {
					t.Fatal(err)
				}
				if err := oracle.VerifyIgnoringTimestamp(body, got.Header); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status   int
		headers  map[string]string
		err      string // after the server's name
		answered bool
		pause    bool
		after    time.Duration
	}{
		"200": {status: 200}, "202": {status: 202}, "299": {status: 299},
		"300":                 {300, nil, " answered 300 Multiple Choices: redirects are not followed, set the URL to where it leads", true, false, 0},
		"304":                 {304, nil, " answered 304 Not Modified: redirects are not followed, set the URL to where it leads", true, false, 0},
		"400":                 {400, nil, " answered 400 Bad Request", true, false, 0},
		"401":                 {401, nil, " answered 401 Unauthorized", true, false, 0},
		"410":                 {410, nil, " answered 410 Gone: it wants no more events", true, true, 0},
		"413":                 {413, nil, " answered 413 Request Entity Too Large", true, false, 0},
		"429":                 {429, map[string]string{"Retry-After": "120"}, " answered 429 Too Many Requests", true, false, 2 * time.Minute},
		"500":                 {500, nil, " answered 500 Internal Server Error", true, false, 0},
		"502":                 {502, nil, " answered 502 Bad Gateway", false, false, 0},
		"503":                 {503, map[string]string{"Retry-After": "7"}, " answered 503 Service Unavailable", false, false, 7 * time.Second},
		"504":                 {504, nil, " answered 504 Gateway Timeout", false, false, 0},
		"without words":       {599, nil, " answered 599", true, false, 0},
		"waits are bounded":   {503, map[string]string{"Retry-After": "99999999"}, " answered 503 Service Unavailable", false, false, 24 * time.Hour},
		"success, and a wait": {200, map[string]string{"Retry-After": "7"}, "", false, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for header, value := range test.headers {
					w.Header().Set(header, value)
				}
				w.WriteHeader(test.status)
			})
			r := sender(t, HTTPSettings{URL: server.URL}).Send(t.Context(), message())
			got := ""
			if r.Err != nil {
				got = strings.TrimPrefix(r.Err.Error(), server.URL)
			}
			if got != test.err || r.Answered != test.answered || r.Pause != test.pause || r.RetryAfter != test.after || !strings.HasPrefix(r.Status, fmt.Sprint(test.status)) {
				t.Errorf("got %q, %+v", got, r)
			}
		})
	}
}

// TestRedirectsAreNotFollowed redirects to another host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	target := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, status) })
		r := sender(t, HTTPSettings{URL: server.URL}).Send(t.Context(), message())
		if r.Err == nil || !strings.Contains(r.Err.Error(), "redirects are not followed") || !r.Answered {
			t.Errorf("%d: %+v", status, r)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d redirects were followed", hits.Load())
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "1": time.Second, " 30 ": 30 * time.Second, "86400": 24 * time.Hour, "86401": 24 * time.Hour,
		"99999999999999999999999": 24 * time.Hour, "-5": 0, "+5": 0, "5.5": 0, "soon": 0, "5s": 0, "\u0665": 0,
		"Wed, 06 May 2026 07:09:09 GMT":     time.Minute,
		"Wednesday, 06-May-26 07:09:09 GMT": time.Minute,
		"Wed May  6 07:09:09 2026":          time.Minute,
		"Wed, 06 May 2026 07:08:00 GMT":     0,
		"Wed, 06 May 2099 07:08:00 GMT":     24 * time.Hour,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// TestExcerpts checks what is kept of answers.
func TestExcerpts(t *testing.T) {
	t.Parallel()
	const token = "T0KEN-in-a-header"
	for name, test := range map[string]struct{ answer, want string }{
		"none":            {"", ""},
		"text":            {"no such\r\n\tuser\n", "no such   user"},
		"control":         {"a\x00b\x1b[31mc\x7fd\u0085\u200be\u202ef", "ab[31mcd ef"},
		"invalid":         {"a\xff\xfeb", "a\ufffdb"},
		"long":            {strings.Repeat("x", 5000), strings.Repeat("x", 1024)},
		"cut in a rune":   {"x" + strings.Repeat("\u00e9", 5000), "x" + strings.Repeat("\u00e9", 511)},
		"header's value":  {"bad Bearer " + token + "!", "bad ***!"},
		"its token":       {"bad token " + token, "bad token ***"},
		"password":        {"user:s3cr3t-p4ss or s3cr3t-p4ss or dXNlcjpzM2NyM3QtcDRzcw==", "*** or *** or ***"},
		"query":           {"key=qu3ry-v4lue, qu3ry-v4lue", "***, ***"},
		"path":            {"/services/XXXXXXXXXXXXXXXXXXXXXXXX not found", "/services/*** not found"},
		"key":             {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "***"},
		"cut in a secret": {strings.Repeat(token, 130), strings.Repeat("***", 120)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, test.answer)
			})
			keys := keysOf(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
			url := strings.Replace(server.URL, "http://", "http://user:s3cr3t-p4ss@", 1) + "/services/XXXXXXXXXXXXXXXXXXXXXXXX?key=qu3ry-v4lue"
			r := sender(t, HTTPSettings{URL: url, Keys: keys, Headers: map[string]string{"Authorization": "Bearer " + token}}).Send(t.Context(), message())
			if r.Excerpt != test.want || !utf8.ValidString(r.Excerpt) || r.Err == nil || r.Err.Error() != server.URL+" answered 400 Bad Request" {
				t.Errorf("got %q, %v", r.Excerpt, r.Err)
			}
		})
	}
}

// TestExcerptsOfBrokenAnswers: the beginning of a secret is not shown either, where an
// answer breaks off.
func TestExcerptsOfBrokenAnswers(t *testing.T) {
	t.Parallel()
	const said = "bad token T0KEN-in-a-h"
	for name, do := range map[string]http.HandlerFunc{
		"shorter than announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, said)
		},
		"much shorter than announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500000")
			_, _ = io.WriteString(w, said)
		},
		"without an end": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that the end of the connection is noticed
			_, _ = io.WriteString(w, said)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"lost": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, said)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sender(t, HTTPSettings{URL: serve(t, do).URL, Headers: map[string]string{"Authorization": "Bearer T0KEN-in-a-header"}})
			if r := s.Send(t.Context(), message()); r.Err != nil || r.Excerpt != "bad token" {
				t.Errorf("got %q, %v", r.Excerpt, r.Err)
			}
		})
	}
}

// pipes is a listener in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, open := <-p; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) Close() error {
	close(p)
	return nil
}

// TestConnectionsAreReused: a connection is used again, even if an answer has a body. In
// real time, a busy machine would pass the transport's limit of 50 ms for that.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"none": 0, "short": 10, "longer than the excerpt": 32 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conns, requests := 0, 0
				server := &http.Server{ReadHeaderTimeout: wait, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					requests++
					w.WriteHeader([]int{200, 500, 302, 410}[requests%4])
					_, _ = w.Write(bytes.Repeat([]byte("x"), size))
				})}
				l := make(pipes)
				go func() { _ = server.Serve(l) }()
				s := sender(t, HTTPSettings{URL: "http://192.0.2.1"})
				s.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
					conns++
					ours, theirs := net.Pipe()
					l <- theirs
					return ours, nil
				}
				for range 50 {
					if r := s.Send(t.Context(), message()); r.Status == "" {
						t.Fatal(r.Err)
					}
				}
				if conns != 1 || requests != 50 {
					t.Errorf("%d connections for %d requests", conns, requests)
				}
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestConcurrentSends sends at the same time, for the race detector.
func TestConcurrentSends(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	s := sender(t, HTTPSettings{URL: server.URL, Keys: []Key{Key("0123456789abcdef01234567")}})
	results := make(chan Result)
	for range 16 {
		go func() { results <- s.Send(t.Context(), message()) }()
	}
	var failed []error
	for range 16 {
		if r := <-results; r.Err != nil || r.Excerpt != `{"event":"user.deleted"}` {
			failed = append(failed, fmt.Errorf("%+v", r))
		}
	}
	if slices.ContainsFunc(failed, func(err error) bool { return err != nil }) {
		t.Error(failed)
	}
}

// silent is a log that nobody reads.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }
