package fakekazoo

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wire is a network for a test: it gives its answers in turn and then repeats the last
// one, and notes the requests and their times.
type wire struct {
	mu      sync.Mutex
	answers []func(*http.Request) (*http.Response, error)
	at      []time.Duration // since the start
	seen    []string        // method and body
	start   time.Time
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}
	return w.next(r.Method + " " + body)(r)
}

func (w *wire) next(seen string) func(*http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = append(w.at, time.Since(w.start))
	w.seen = append(w.seen, seen)
	return w.answers[min(len(w.at), len(w.answers))-1]
}

func says(status int, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("OK")), Request: r}, nil
	}
}

func breaks(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

// What Kazoo does after each answer, and in which second.
func TestAnswers(t *testing.T) {
	t.Parallel()
	type answers = []func(*http.Request) (*http.Response, error)
	const s = time.Second
	for name, tc := range map[string]struct {
		version  string
		verb     string
		retries  int
		answers  answers
		outcome  Outcome
		at       []time.Duration
		failures int
	}{
		"200":                        {answers: answers{says(200)}, outcome: OutcomeDelivered, at: []time.Duration{0}},
		"201 to a POST":              {answers: answers{says(201)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"201 to a PUT on 4.3":        {verb: "put", answers: answers{says(201)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"201 to a PUT on 5":          {version: "5", verb: "put", answers: answers{says(201)}, outcome: OutcomeDelivered, at: []time.Duration{0}},
		"201 to a POST on 5":         {version: "5", answers: answers{says(201)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"202":                        {answers: answers{says(202)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"204":                        {answers: answers{says(204)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"404":                        {answers: answers{says(404)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"429 with Retry-After":       {answers: answers{says(429, "Retry-After", "1"), says(200)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"500":                        {answers: answers{says(500), says(200)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"503 alone":                  {answers: answers{says(503), says(200)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"503 with Retry-After":       {answers: answers{says(503, "Retry-After", "5"), says(503, "Retry-After", "07"), says(503, "Retry-After", "0"), says(200)}, outcome: OutcomeDelivered, at: []time.Duration{0, 5 * s, 12 * s, 12 * s}},
		"503, Retry-After too long":  {answers: answers{says(503, "Retry-After", "100"), says(200)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"503, Retry-After a date":    {answers: answers{says(503, "Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"), says(200)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"503, Retry-After negative":  {answers: answers{says(503, "Retry-After", "-1"), says(200)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"transport errors":           {retries: 3, answers: answers{breaks}, outcome: OutcomeExhausted, at: []time.Duration{0, 2 * s, 4 * s}, failures: 3},
		"transport error, then 200":  {retries: 3, answers: answers{breaks, says(200)}, outcome: OutcomeDelivered, at: []time.Duration{0, 2 * s}, failures: 1},
		"transport error, then 500":  {retries: 3, answers: answers{breaks, says(500)}, outcome: OutcomeRefused, at: []time.Duration{0, 2 * s}, failures: 2},
		"no retries is one try":      {retries: 0, answers: answers{breaks}, outcome: OutcomeExhausted, at: []time.Duration{0}, failures: 1},
		"four retries are four":      {retries: 4, answers: answers{breaks}, outcome: OutcomeExhausted, at: []time.Duration{0, 2 * s, 4 * s, 6 * s}, failures: 4},
		"301 to a POST":              {answers: answers{says(301, "Location", "/there"), says(200)}, outcome: OutcomeRedirected, at: []time.Duration{0, 0}},
		"303, then 404":              {answers: answers{says(303, "Location", "http://elsewhere/x"), says(404)}, outcome: OutcomeRefused, at: []time.Duration{0, 0}, failures: 1},
		"302 to a PUT":               {verb: "put", answers: answers{says(302, "Location", "/there"), says(200)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"302 to a GET":               {verb: "get", answers: answers{says(302, "Location", "/there"), says(200)}, outcome: OutcomeDelivered, at: []time.Duration{0, 0}},
		"307 to a POST":              {answers: answers{says(307, "Location", "/there"), says(200)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"302 without a place":        {answers: answers{says(302), says(200)}, outcome: OutcomeRefused, at: []time.Duration{0}, failures: 1},
		"redirects for ever":         {retries: 1, answers: answers{says(302, "Location", "/there")}, outcome: OutcomeExhausted, at: make([]time.Duration, 11), failures: 1},
		"no format is form-data":     {version: "5", verb: "post, no format", answers: answers{says(200)}, outcome: OutcomeDelivered, at: []time.Duration{0}},
		"Retry-After, then an error": {retries: 2, answers: answers{says(503, "Retry-After", "3"), breaks, says(200)}, outcome: OutcomeDelivered, at: []time.Duration{0, 3 * s, 5 * s}, failures: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &wire{answers: tc.answers, start: time.Now()}
				k := New(Options{Version: tc.version, Transport: w})
				defer k.Close()
				fields := objectHook("http://receiver/hook", "retries", tc.retries)
				if tc.retries == 0 && !strings.HasPrefix(name, "no retries") {
					fields["retries"] = 2
				}
				switch tc.verb {
				case "":
				case "post, no format":
					delete(fields, "format")
				default:
					fields["http_verb"] = tc.verb
				}
				id := mustHook(t, k, fields)
				deleteUser(t, k, "")
				if err := k.Idle(t.Context()); err != nil {
					t.Fatal(err)
				}
				fired := k.Truth().Firings
				if len(fired) != 1 || fired[0].Outcome != tc.outcome {
					t.Fatalf("firings %+v, want one %s", fired, tc.outcome)
				}
				if diff := cmp.Diff(tc.at, w.at); diff != "" {
					t.Error("times of the requests:", diff)
				}
				if n := k.FailureCount(id); n != tc.failures {
					t.Errorf("%d failures count, want %d", n, tc.failures)
				}
				if n := k.AttemptCount(id); n != tc.failures {
					t.Errorf("%d attempts on record, want %d", n, tc.failures)
				}
			})
		})
	}
}

func TestResendIsIdenticalAndRedirectLosesTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now()}
		w.answers = []func(*http.Request) (*http.Response, error){says(503, "Retry-After", "1"), says(302, "Location", "/x"), says(200)}
		k := New(Options{Transport: w})
		defer k.Close()
		mustHook(t, k, objectHook("http://receiver/hook"))
		u := deleteUser(t, k, "")
		synctest.Wait()
		if err := k.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		body := "POST id=" + u.ID + "&account_id=" + DefaultAccountID + "&action=doc_deleted&type=user&cluster_id=" + DefaultClusterID
		if diff := cmp.Diff([]string{body, body, "GET "}, w.seen); diff != "" {
			t.Error(diff)
		}
	})
}

// A receiver that never answers blocks the sender until Kazoo stops.
func TestNoResponseTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now(), answers: []func(*http.Request) (*http.Response, error){
			func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		}}
		k := New(Options{Transport: w})
		mustHook(t, k, objectHook("http://receiver/hook"))
		deleteUser(t, k, "")
		time.Sleep(time.Hour) // of the bubble's time
		if n := len(k.Truth().Firings); n != 0 {
			t.Errorf("the sender gave up: %+v", k.Truth().Firings)
		}
		k.Close()
		if got := k.Truth().Firings[0].Outcome; got != OutcomeAborted {
			t.Errorf("outcome %s", got)
		}
	})
}

func TestResponseTimeoutAsAnOption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now(), answers: []func(*http.Request) (*http.Response, error){
			func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		}}
		k := New(Options{Transport: w, ResponseTimeout: time.Minute})
		defer k.Close()
		mustHook(t, k, objectHook("http://receiver/hook", "retries", 1))
		deleteUser(t, k, "")
		if err := k.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f := k.Truth().Firings[0]; f.Outcome != OutcomeExhausted || f.ClientError != "timeout" {
			t.Errorf("%+v", f)
		}
	})
}

// Speed shortens Kazoo's pauses and doesn't change its clock.
func TestSpeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now(), answers: []func(*http.Request) (*http.Response, error){breaks, says(503, "Retry-After", "5"), says(200)}}
		k := New(Options{Transport: w, Speed: 100})
		defer k.Close()
		mustHook(t, k, objectHook("http://receiver/hook"))
		deleteUser(t, k, "")
		if err := k.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 20 * time.Millisecond, 70 * time.Millisecond}
		if diff := cmp.Diff(want, w.at); diff != "" {
			t.Error(diff)
		}
		if got := k.Now().Sub(w.start); got != 70*time.Millisecond {
			t.Errorf("Kazoo's clock ran %s", got)
		}
	})
}

func TestCloseInRetryPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, answer := range map[string]func(*http.Request) (*http.Response, error){
			"retry": breaks, "Retry-After": says(503, "Retry-After", "9"),
		} {
			k := New(Options{Transport: &wire{start: time.Now(), answers: []func(*http.Request) (*http.Response, error){answer}}})
			mustHook(t, k, objectHook("http://receiver/hook"))
			deleteUser(t, k, "")
			synctest.Wait()
			k.Close()
			deleteUser(t, k, "") // no hook fires after Close
			if got := k.Truth().Outcomes; got[OutcomeAborted] != 1 {
				t.Errorf("%s: outcomes %v", name, got)
			}
		}
	})
}

// The hooks of one event fire one after the other.
func TestHooksOfOneEventInSequence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now(), answers: []func(*http.Request) (*http.Response, error){breaks, breaks, says(200)}}
		k := New(Options{Transport: w})
		defer k.Close()
		mustHook(t, k, objectHook("http://receiver/first", "retries", 2))
		mustHook(t, k, objectHook("http://receiver/second"))
		deleteUser(t, k, "")
		if err := k.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]time.Duration{0, 2 * time.Second, 2 * time.Second}, w.at); diff != "" {
			t.Error(diff)
		}
	})
}

func TestErlangErrors(t *testing.T) {
	t.Parallel()
	if got := erlangError(errors.New(`malformed HTTP response "x"`)); got != "could_not_parse_as_http" {
		t.Error(got)
	}
	if got := erlangError(io.EOF); got != "socket_closed_remotely" {
		t.Error(got)
	}
}
