package trial

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"kazoohook/internal/crossbar/crossbartest"
)

// Build makes the receiver from source, into a directory, and returns its path.
func Build(ctx context.Context, dir string, race bool, stderr io.Writer) (string, error) {
	program := filepath.Join(dir, "kazoohook")
	args := []string{"build", "-o", program}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "kazoohook/cmd/kazoohook")...) //nolint:gosec // fixed arguments
	cmd.Stderr = stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the receiver: %w", err)
	}
	return program, nil
}

// Environ is the environment of a receiver of a fake Kazoo with the default
// login, and more settings: those that come last win.
func Environ(api, public, admin, data string, more ...string) []string {
	return append(append(os.Environ(),
		"KAZOO_API_URL="+api, "KAZOO_USERNAME="+crossbartest.DefaultUsername, "KAZOO_PASSWORD="+crossbartest.DefaultPassword,
		"KAZOO_ACCOUNT_NAME=acme", "PUBLIC_URL=http://"+public, "LISTEN_ADDR="+public, "ADMIN_ADDR="+admin, "DATA_DIR="+data,
		"LOG_FORMAT=json", "SHUTDOWN_TIMEOUT=5s", "GORACE=atexit_sleep_ms=0"), more...)
}
