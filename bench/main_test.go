package main

import (
	"context"
	"os"
	"testing"

	"kazoohook/bench/measure"
)

// TestMain also runs each of the servers that are measured.
func TestMain(m *testing.M) {
	if os.Getenv(measure.ServerVariable) != "" {
		os.Exit(run(context.Background(), nil, os.Stdin, os.Stdout, os.Stderr)) //nolint:forbidigo // this is a main
	}
	os.Exit(m.Run()) //nolint:forbidigo // this is a main
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
