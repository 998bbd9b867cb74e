package main

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDataDirNotWritable: the directory's mode forbids writing, even if the tests run
// as root.
func TestDataDirNotWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // what is tested
		t.Fatal(err)
	}
	d := doctorWith(t, "DATA_DIR="+dir)
	below := doctorWith(t, "DATA_DIR="+dir+"/data")
	results := make(chan []finding, 2)
	go func() {
		defer close(results)
		// Root may write anywhere because of capabilities, which belong to a thread.
		// The thread ends with this goroutine, because it stays locked.
		runtime.LockOSThread()
		header, none := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
		if err := unix.Capset(&header, &none[0]); err != nil {
			t.Errorf("drop capabilities: %v", err)
			return
		}
		for _, d := range []*doctor{d, below} {
			found, usable := d.checkDataDir(t.Context())
			if usable {
				t.Error("usable")
			}
			results <- found
		}
	}()
	for found := range results {
		if len(found) != 1 || found[0].Status != statusFail || !strings.Contains(found[0].Found, "can't be written to by user id") {
			t.Errorf("%+v", found)
		}
	}
}
