//go:build unix

package output_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"kazoohook/internal/output"
)

const childVariable = "KAZOOHOOK_TEST_CHECKED_CHILD"

// TestMain lets the test run itself as a program that writes to its standard
// output and reports the error on standard error.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		_, err := io.WriteString(output.Checked(os.Stdout), "line\n")
		_, _ = fmt.Fprintf(os.Stderr, "err=%v\n", err)
		os.Exit(0) //nolint:forbidigo // the test's own program
	}
	os.Exit(m.Run()) //nolint:forbidigo // as always in TestMain
}

// TestAClosedStandardOutput: a standard output that was closed at the start is an
// error, one that was redirected to /dev/null is not.
func TestAClosedStandardOutput(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		redirect string
		closed   bool
	}{
		"closed":                 {">&-", true},
		"closed, no input":       {">&- <&-", true},
		"/dev/null":              {">/dev/null", false},
		"/dev/null as daemons":   {"3<>/dev/null >&3 <&3", false},
		"a pipe":                 {"| cat >/dev/null", false},
		"a file":                 {">\"$FILE\"", false},
		"appended to /dev/null":  {">>/dev/null", false},
		"another device is full": {">/dev/full", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "sh", "-c", `"$SELF" `+c.redirect) //nolint:gosec // the test's own
			cmd.Env = append(os.Environ(), childVariable+"=1", "SELF="+self, "FILE="+t.TempDir()+"/out")
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(stderr.String(), "was closed when the program started"); got != c.closed {
				t.Errorf("closed: %t, want %t: %s", got, c.closed, stderr.String())
			}
		})
	}
}
