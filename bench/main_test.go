package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kazoohook/bench/measure"
)

// TestMain is also each of the servers that are measured.
func TestMain(m *testing.M) {
	if os.Getenv(measure.ServerVariable) != "" {
		os.Exit(run(context.Background(), nil, os.Stdin, os.Stdout, os.Stderr)) //nolint:forbidigo // this is a main
	}
	os.Exit(m.Run()) //nolint:forbidigo // this is a main
}

// Everything can still be measured; the figures of so short a time mean nothing.
func TestEverythingIsMeasured(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and starts the receiver several times")
	}
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
	for _, title := range []string{"Receive path", "fixed rate", "log line", "Taking a body apart", "start of the process", "Resident memory", "Queries"} {
		if !strings.Contains(printed.String(), title) {
			t.Errorf("no table %q", title)
		}
	}
	figures, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"machine"`, `"ack"`, `"ack_floor"`, `"arrivals"`, `"log_lines"`, `"decoding"`, `"starts"`, `"memory"`, `"queries"`} {
		if !strings.Contains(string(figures), key) {
			t.Errorf("no %s in the JSON", key)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args    []string
		ok      bool
		largest int64
		sizes   int
	}{
		"default":      {nil, true, 1_000_000, 2},
		"quick":        {[]string{"-quick"}, true, 20_000, 2},
		"large":        {[]string{"-events", "10000000"}, true, 10_000_000, 3},
		"small":        {[]string{"-events", "500"}, true, 500, 1},
		"unknown flag": {[]string{"-fast"}, false, 0, 0},
		"arguments":    {[]string{"now"}, false, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, _, ok := options(c.args, t.Output())
			if ok != c.ok || len(o.Events) != c.sizes || (ok && o.Events[len(o.Events)-1] != c.largest) {
				t.Errorf("%t, %v", ok, o.Events)
			}
		})
	}
}
