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
		"help":       {[]string{"-h"}, 2, "-restart"},
		"argument":   {[]string{"now"}, 2, ""},
		"no program": {[]string{"-receiver", "/nowhere/kazoohook", "-users", "30", "-for", "1s"}, 1, "not ready"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), test.args, &stdout, &stderr); code != test.code || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%s: code %d, %q", name, code, stderr.String())
		}
	}
}
