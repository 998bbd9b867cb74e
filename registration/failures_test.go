package registration

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/crossbar"
)

// TestFailuresAreGrouped: attempts that are read repeatedly count once, and are
// forgotten after a day.
func TestFailuresAreGrouped(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(ago time.Duration) time.Time { return now.Add(-ago) }
	attempts := []crossbar.Attempt{
		{HookID: "h1", HookEvent: "object", EventID: "e1", Time: at(3 * time.Minute), ClientError: "econnrefused", RetriesLeft: 2},
		{HookID: "h1", HookEvent: "object", EventID: "e1", Time: at(2 * time.Minute), ClientError: "econnrefused", RetriesLeft: 1},
		{HookID: "h2", HookEvent: "sms", EventID: "e2", Time: at(time.Minute), Status: "404", Try: 1, RetriesLeft: -1},
		{HookID: "h2", HookEvent: "sms", EventID: "e3", Time: at(time.Minute), Result: "success", Status: "200"},
		{HookID: "h2", HookEvent: "sms", EventID: "e4", Time: at(25 * time.Hour), Status: "404"},
	}
	f := NewFailures()
	f.Observe(attempts, now)
	f.Observe(attempts, now)
	want := []FailureGroup{
		{HookID: "h2", Hook: "sms", Why: Explain(attempts[2]), Attempts: 1, First: at(time.Minute), Last: at(time.Minute)},
		{HookID: "h1", Hook: "object", Why: Explain(attempts[0]), Attempts: 2, First: at(3 * time.Minute), Last: at(2 * time.Minute)},
	}
	if diff := cmp.Diff(want, f.Recent(now)); diff != "" {
		t.Error(diff)
	}
	if got := f.Recent(now.Add(24 * time.Hour)); len(got) != 0 {
		t.Errorf("after a day there are still %v", got)
	}
}
