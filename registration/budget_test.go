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
	b := NewBudget(func(id string) bool { return id != "h4" }, zerolog.New(&logged))
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
	b.Refused("h1", now) // it will be in Kazoo's record, too
	expect(map[string]int{"h1": 2, "h2": 1})
	b.Observe([]crossbar.Attempt{at("h1", 0)}, now) // the record has it: half of six
	expect(map[string]int{"h1": 3, "h2": 1})
	warned(1)
	b.Refused("h1", now)
	warned(1)

	// Kazoo counts by the millisecond.
	for range 5 {
		b.Refused("h3", now)
	}
	b.Refused("h3", now.Add(time.Millisecond))
	b.Observe([]crossbar.Attempt{at("h3", 0), at("h3", 0), at("h3", 0)}, now)
	expect(map[string]int{"h1": 2, "h2": 1, "h3": 2})
	warned(1)

	// A hook that was deleted or is off needs no warning.
	b.Observe([]crossbar.Attempt{at("h4", 0), at("h4", 0), at("h4", 0), at("h4", 0)}, now)
	warned(1)
	now = now.Add(time.Minute + 2*time.Millisecond)
	expect(map[string]int{})
	b.Observe([]crossbar.Attempt{at("h1", 3*time.Second), at("h1", 2*time.Second), at("h1", time.Second)}, now)
	warned(2)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		a    crossbar.Attempt
		want string
	}{
		"refused":   {crossbar.Attempt{ClientError: "failed_connect: econnrefused"}, "nothing listens"},
		"dns":       {crossbar.Attempt{ClientError: "failed_connect: nxdomain"}, "could not resolve"},
		"tls":       {crossbar.Attempt{ClientError: "failed_connect: tls_alert"}, "certificate chain"},
		"route":     {crossbar.Attempt{ClientError: "failed_connect: ehostunreach"}, "IPv4 only"},
		"timeout":   {crossbar.Attempt{ClientError: "failed_connect: timeout"}, "timed out"},
		"closed":    {crossbar.Attempt{ClientError: "socket_closed_remotely"}, "closed before an answer"},
		"garbage":   {crossbar.Attempt{ClientError: "could_not_parse_as_http"}, "did not speak HTTP"},
		"reason":    {crossbar.Attempt{Reason: "a strange one at http://x/kazoo/secret-secret/object"}, `(Kazoo says "a strange one at http://x/kazoo/***/object")`},
		"404":       {crossbar.Attempt{Status: "404"}, "secret in the hook's URI is not ours"},
		"403":       {crossbar.Attempt{Status: "403"}, "blocks Kazoo's address"},
		"413":       {crossbar.Attempt{Status: "413"}, "too large"},
		"502":       {crossbar.Attempt{Status: "502"}, "the receiver behind it was not"},
		"redirect":  {crossbar.Attempt{Status: "301"}, "final address"},
		"other 2xx": {crossbar.Attempt{Status: "204"}, "only 200"},
		"500":       {crossbar.Attempt{Status: "500"}, "answered 500"},
	} {
		got := Explain(tc.a)
		if !strings.Contains(got, tc.want) || strings.Contains(got, "secret-secret") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
