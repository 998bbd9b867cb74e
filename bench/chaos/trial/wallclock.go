package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// reader is compiled into the receiver: it sets the error of the wall clock from a
// file.
const reader = `package main

import (
	"os"
	"strconv"
	"time"
)

func init() {
	name := os.Getenv("` + ClockVariable + `")
	if name == "" {
		return
	}
	go func() {
		for ; ; time.Sleep(50 * time.Millisecond) {
			raw, _ := os.ReadFile(name)
			nanos, _ := strconv.ParseInt(string(raw), 10, 64)
			time.MoveWall(nanos / 1e9)
		}
	}()
}
`

// BuildWithClock builds the receiver like Build, with a standard library whose
// time.Now adds the offset in the file that ClockVariable names. The monotonic clock
// is unchanged, as when a person or a daemon sets a machine's clock. A Go program
// reads the clock without a system call (vDSO), so nothing outside of it could change
// what it reads.
func BuildWithClock(ctx context.Context, dir string, race bool, stderr io.Writer) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "time", "kazoohook/cmd/kazoohook").Output()
	if err != nil {
		return "", fmt.Errorf("find the sources: %w", err)
	}
	std, command, ok := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if !ok {
		return "", fmt.Errorf("find the sources: %q", out)
	}
	now := filepath.Join(std, "time.go")
	source, err := os.ReadFile(filepath.Clean(now))
	if err != nil {
		return "", err
	}
	patched, err := moved(source)
	if err != nil {
		return "", err
	}
	clock := filepath.Join(command, "chaos_clock.go")
	files := map[string]string{now: filepath.Join(dir, "time.go.txt"), clock: filepath.Join(dir, "clock.go.txt")}
	overlay, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	for name, text := range map[string][]byte{files[now]: patched, files[clock]: []byte(reader), list: overlay} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return "", err
		}
	}
	return build(ctx, filepath.Join(dir, "kazoohook"), "kazoohook/cmd/kazoohook", race, stderr, "-overlay", list)
}

// moved is the source of package time with a wall clock that can be moved.
func moved(source []byte) ([]byte, error) {
	for _, change := range [][2]string{
		{"\nfunc Now() Time {\n\tsec, nsec, mono := runtimeNow()\n\tif ", "\nfunc Now() Time {\n\tsec, nsec, mono := runtimeNow()\n\tsec += wallMoved.Load()\n\tif "},
		{"\nimport (\n", "\nimport (\n\t\"sync/atomic\"\n"},
	} {
		if bytes.Count(source, []byte(change[0])) != 1 {
			return nil, fmt.Errorf("package time of this Go is another one: %q is not in it once", change[0])
		}
		source = bytes.Replace(source, []byte(change[0]), []byte(change[1]), 1)
	}
	return append(source, "\nvar wallMoved atomic.Int64\n\n// MoveWall sets by how many seconds the wall clock is wrong.\nfunc MoveWall(seconds int64) { wallMoved.Store(seconds) }\n"...), nil
}
