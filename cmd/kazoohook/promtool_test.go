//go:build real

package main

import (
	"os/exec"
	"testing"
)

// TestPromtool checks with Prometheus' own tool that the alert rules load, and fire and
// stop as docs/alerts_test.yaml says.
func TestPromtool(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"the rules are valid":      {"check", "rules", alertsFile},
		"they fire as they should": {"test", "rules", alertCasesFile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput() //nolint:gosec // our own files
			if err != nil {
				t.Errorf("promtool (apt-get install prometheus): %v\n%s", err, out)
			}
		})
	}
}
