package trial

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"kazoohook/internal/fakekazoo"
)

// Build builds the receiver into a directory and returns its path.
func Build(ctx context.Context, dir string, race bool, stderr io.Writer) (string, error) {
	return build(ctx, filepath.Join(dir, "kazoohook"), "kazoohook/cmd/kazoohook", race, stderr)
}

// BuildNATS builds a nats-server in the same way.
func BuildNATS(ctx context.Context, dir string, stderr io.Writer) (string, error) {
	return build(ctx, filepath.Join(dir, "natsserver"), "kazoohook/bench/chaos/natsserver", false, stderr)
}

func build(ctx context.Context, program, pkg string, race bool, stderr io.Writer, more ...string) (string, error) {
	args := append([]string{"build", "-o", program}, more...)
	if race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...) //nolint:gosec // fixed arguments
	cmd.Stderr = stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return program, nil
}

// Environ is the environment of a receiver for a fake Kazoo with the default login,
// with more settings: the last one wins.
func Environ(api, public, admin, data string, more ...string) []string {
	return append(append(os.Environ(),
		"KAZOO_API_URL="+api, "KAZOO_USERNAME="+fakekazoo.DefaultUsername, "KAZOO_PASSWORD="+fakekazoo.DefaultPassword,
		"KAZOO_ACCOUNT_NAME=acme", "PUBLIC_URL=http://"+public, "LISTEN_ADDR="+public, "ADMIN_ADDR="+admin, "DATA_DIR="+data,
		"LOG_FORMAT=json", "SHUTDOWN_TIMEOUT=20s", "GORACE=atexit_sleep_ms=0"), more...)
}
