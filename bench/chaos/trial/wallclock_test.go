package trial

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMoved proves that BuildWithClock can change the package time of this Go, and
// that another source is refused.
func TestMoved(t *testing.T) {
	t.Parallel()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("there is no Go")
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go"))
	if err != nil {
		t.Skip("the sources of Go are not there")
	}
	got, err := moved(source)
	if err != nil || !strings.Contains(string(got), "sec += wallMoved.Load()") {
		t.Error(err)
	}
	if _, err := moved(got); err == nil {
		t.Error("what was changed already is changed again")
	}
}
