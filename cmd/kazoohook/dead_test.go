package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kazoohook/handlers"
	"kazoohook/internal/journal"
)

// TestDiscardWants: without a name, the command asks which destination is meant.
func TestDiscardWants(t *testing.T) {
	t.Parallel()
	const both = "several destinations have dead letters (billing has 3, crm has 1): say which with --destination, or add --all to end them all"
	for name, test := range map[string]struct {
		cmd  deadCmd
		dead []int64 // of billing, crm, idle
		want string
	}{
		"none has any":          {deadCmd{}, []int64{0, 0, 0}, ""},
		"one has some":          {deadCmd{}, []int64{0, 1, 0}, ""},
		"two have":              {deadCmd{}, []int64{3, 1, 0}, both},
		"two, and one is named": {deadCmd{Destination: "crm"}, []int64{3, 1, 0}, ""},
		"two, of one event":     {deadCmd{EventID: "x"}, []int64{3, 1, 0}, ""},
		"two, and all":          {deadCmd{All: true}, []int64{3, 1, 0}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				list := []handlers.Destination{{Name: "billing", Dead: test.dead[0]}, {Name: "crm", Dead: test.dead[1]}, {Name: "idle", Dead: test.dead[2]}}
				_ = json.NewEncoder(w).Encode(list) // the test notices if it is cut
			}))
			defer server.Close()
			err := test.cmd.confirm(t.Context(), &admin{base: server.URL, http: server.Client()})
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || exitCode(err) != codeUsage):
				t.Errorf("%v", err)
			}
		})
	}
}

// TestRedeliverReport: the report of a redelivery says what one command had no room for.
func TestRedeliverReport(t *testing.T) {
	t.Parallel()
	res := handlers.RedeliverResult{
		Destination: "billing", Count: 100_000, Left: 20, More: 99_999,
		Events: []handlers.EventIdentity{{Seq: 7, EventID: "01A", Event: "user.deleted"}, {Seq: 8, EventID: "01B", Event: "user.edited", Skipped: "its body is gone"}},
	}
	const want = "7  01A  user.deleted\n8  01B  user.edited  skipped: its body is gone\nand 99999 more\n" +
		"100000 events are delivered again to billing\n20 dead letters left: one command takes no more, repeat it for them\n"
	if got := (&redeliverCmd{}).report(&res); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestRemovedDestinations: a removed destination is in the table as long as its state
// is kept.
func TestRemovedDestinations(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(t.Context(), journal.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() }) // nothing more is written
	if err := j.Configure(t.Context(), []journal.NewDestination{{Name: "old"}, {Name: "used"}}, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.Configure(t.Context(), nil, []string{"old"}, nil); err != nil {
		t.Fatal(err)
	}
	list, err := removedDestinations(t.Context(), j)
	if err != nil || len(list) != 1 || list[0].Name != "old" || list[0].State != "removed" || time.Since(list[0].RemovedAt) > time.Hour {
		t.Fatalf("%+v, %v", list, err)
	}
	list[0].RemovedAt, list[0].Waiting = time.Now().Add(-75*time.Hour), 2
	var out bytes.Buffer
	if err := destinationsTable(&env{stdout: &out}, list); err != nil {
		t.Fatal(err)
	}
	if want := "old   -     removed 3d ago  2        -       0"; !strings.Contains(out.String(), want) {
		t.Errorf("%s\nlacks %q", out.String(), want)
	}
}
