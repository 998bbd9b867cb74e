//go:build real

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kazoohook/bench/measure"
)

// Every part can be measured; the figures of so short a run mean nothing.
func TestEverythingIsMeasured(t *testing.T) {
	t.Parallel()
	o := measure.Options{
		Rounds: 1, Span: 100 * time.Millisecond, Conns: []int{1, 4}, Events: []int64{100, 1000}, Streams: 3, Queries: 5,
		Bench: time.Millisecond, Dir: t.TempDir(), Progress: t.Output(),
	}
	out := filepath.Join(t.TempDir(), "figures.json")
	var printed strings.Builder
	if err := report(t.Context(), o, out, &printed); err != nil {
		t.Fatal(err)
	}
	t.Log(printed.String())
	for _, title := range []string{"Receive path", "of ideal", "fixed rate", "log line", "Taking a body apart", "start of the process", "Resident memory", "Queries", "after SIGKILL", "Delivering onward", "first attempt", "catches up"} {
		if !strings.Contains(printed.String(), title) {
			t.Errorf("no table %q", title)
		}
	}
	figures, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"machine"`, `"ack"`, `"ack_floor"`, `"arrivals"`, `"log_lines"`, `"decoding"`, `"starts"`, `"memory"`, `"queries"`, `"growth"`, `"onward"`, `"onward_delay"`} {
		if !strings.Contains(string(figures), key) {
			t.Errorf("no %s in the JSON", key)
		}
	}
}
