package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestUsage maps mistakes to exit codes and messages.
func TestUsage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"help":       {[]string{"-h"}, 2, "-seed"},
		"no nodes":   {[]string{"-nodes", "3", "-receiver", "/nowhere/kazoohook", "-no-disk", "-no-power", "-for", "1s"}, 1, "no baseline"},
		"argument":   {[]string{"now"}, 2, ""},
		"no program": {[]string{"-receiver", "/nowhere/kazoohook", "-no-disk", "-users", "30", "-for", "1s"}, 1, "no baseline"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), test.args, &stdout, &stderr); code != test.code || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%s: code %d, %q", name, code, stderr.String())
		}
	}
}
