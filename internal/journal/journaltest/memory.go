package journaltest

import (
	"os"
	"testing"
)

// MemoryDir returns a directory in memory, where a sync costs nothing, or an ordinary
// one if the system has none. It is for tests whose journal need not last.
func MemoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "kazoohook-test-") //nolint:usetesting // t.TempDir is on disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
