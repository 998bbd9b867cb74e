package registration

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	b := NewBudget(zerolog.New(&logged))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(hook string, ago time.Duration) crossbar.Attempt {
		return crossbar.Attempt{HookID: hook, Time: now.Add(-ago), ClientError: "econnrefused"}
	}
	expect := func(want map[string]int) {
		t.Helper()
		if got := b.Failures(now); !maps.Equal(got, want) {
			t.Errorf("failures: %v, want %v", got, want)
		}
	}
	warned := func(want int) {
		t.Helper()
		if n := strings.Count(logged.String(), "about to switch this hook off"); n != want {
			t.Errorf("%d warnings, want %d:\n%s", n, want, &logged)
		}
	}
	expect(map[string]int{})
	success := at("h1", time.Second)
	success.Result = "success"
	b.Observe([]crossbar.Attempt{at("h1", 2*time.Minute), at("h1", 59*time.Second), at("h1", time.Second), at("h2", time.Second), success}, now)
	expect(map[string]int{"h1": 2, "h2": 1})
	warned(0)
	b.Refused("h1", now) // half of six
	expect(map[string]int{"h1": 3, "h2": 1})
	warned(1)
	b.Refused("h1", now)
	warned(1)

	// Kazoo's record now holds what we refused.
	now = now.Add(10 * time.Second)
	b.Refused("h3", now)
	b.Observe([]crossbar.Attempt{at("h1", 10*time.Second), at("h1", 10*time.Second)}, now)
	expect(map[string]int{"h1": 2, "h3": 1})
	now = now.Add(time.Minute)
	expect(map[string]int{})
	b.Observe([]crossbar.Attempt{at("h1", 3*time.Second), at("h1", 2*time.Second), at("h1", time.Second)}, now)
	warned(2)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		a           crossbar.Attempt
		want        string
		unreachable bool
	}{
		"refused":   {crossbar.Attempt{ClientError: "failed_connect: econnrefused"}, "nothing listens", true},
		"dns":       {crossbar.Attempt{ClientError: "failed_connect: nxdomain"}, "could not resolve", true},
		"tls":       {crossbar.Attempt{ClientError: "failed_connect: tls_alert"}, "certificate chain", true},
		"route":     {crossbar.Attempt{ClientError: "failed_connect: ehostunreach"}, "IPv4 only", true},
		"timeout":   {crossbar.Attempt{ClientError: "failed_connect: timeout"}, "timed out", true},
		"closed":    {crossbar.Attempt{ClientError: "socket_closed_remotely"}, "closed before an answer", true},
		"garbage":   {crossbar.Attempt{ClientError: "could_not_parse_as_http"}, "did not speak HTTP", true},
		"reason":    {crossbar.Attempt{Reason: "a strange one at http://x/kazoo/secret-secret/object"}, `(Kazoo says "a strange one at http://x/kazoo/***/object")`, true},
		"404":       {crossbar.Attempt{Status: "404"}, "secret in the hook's URI is not ours", false},
		"403":       {crossbar.Attempt{Status: "403"}, "blocks Kazoo's address", false},
		"413":       {crossbar.Attempt{Status: "413"}, "too large", false},
		"502":       {crossbar.Attempt{Status: "502"}, "the receiver behind it was not", false},
		"redirect":  {crossbar.Attempt{Status: "301"}, "final address", false},
		"other 2xx": {crossbar.Attempt{Status: "204"}, "only 200", false},
		"500":       {crossbar.Attempt{Status: "500"}, "answered 500", false},
	} {
		got := Explain(tc.a)
		if !strings.Contains(got, tc.want) || strings.Contains(got, "secret-secret") {
			t.Errorf("%s: %s", name, got)
		}
		if Unreachable(tc.a) != tc.unreachable {
			t.Errorf("%s: unreachable %v", name, Unreachable(tc.a))
		}
	}
}
