//go:build real

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"kazoohook/bench/chaos/power"
	"kazoohook/bench/chaos/trial"
)

// TestMain also runs each node whose syncs are observed.
func TestMain(m *testing.M) {
	if err := power.Become(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // as the receiver that it was to be
	}
	flag.Parse()
	os.Exit(m.Run()) //nolint:forbidigo // this is a main
}

// TestClusterLosesNothing is the proof at small scale: three nodes behind a balancer
// are killed, frozen, cut off, replaced, and lose their power, the leader first. The
// long form: go run ./bench/chaos -nodes 3 -seeds 30.
func TestClusterLosesNothing(t *testing.T) {
	t.Parallel()
	receiver, err := trial.Build(t.Context(), t.TempDir(), false, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	for name, seed := range map[string]string{"nothing but nodes breaks": "3", "everything breaks": "4"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			code := run(t.Context(), []string{
				"-nodes", "3", "-receiver", receiver, "-seed", seed, "-users", "150", "-for", "8s", "-rate", "400", "-pause", "4s", "-resync", "1s", "-v",
			}, &out, t.Output())
			t.Log(out.String())
			if code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}
