package registration

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	kernel "golang.org/x/sys/unix" // the package has a function unix
)

// TestKeysOfRoot: a command that root runs leaves keys that the service can read. Keys
// that it can't read are named with what to do, and the last known ones stay in use.
func TestKeysOfRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const service = 65532
	home, err := os.MkdirTemp("", "keys") //nolint:usetesting // TempDir may be below a directory that only root can enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) }) // a leftover is harmless
	if err := os.Chown(home, service, service); err != nil {
		t.Fatal(err)
	}
	asService := func(f func()) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		root, err := kernel.SetfsuidRetUid(service) // of this thread only
		if err != nil || root != 0 {
			t.Fatal(root, err)
		}
		f()
		if _, err := kernel.SetfsuidRetUid(root); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(home, "data")
	byRoot := testKeys(t, dir)
	var k *Keyring
	asService(func() { k, err = OpenKeyring(dir, true, func(...string) {}) })
	if err != nil {
		t.Fatal(err)
	}
	if err := byRoot.Rotate(); err != nil {
		t.Fatal(err)
	}
	var keys [][]byte
	asService(func() { keys = k.Bytes() })
	if len(keys) != 2 || string(keys[0]) != string(byRoot.Newest()) {
		t.Errorf("%d keys after the exchange", len(keys))
	}
	path := filepath.Join(dir, KeyFile)
	if err := os.WriteFile(path, []byte(newKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 0, 0); err != nil {
		t.Fatal(err)
	}
	var again [][]byte
	asService(func() { again, err = k.Bytes(), k.reload() })
	if !slices.EqualFunc(again, keys, slices.Equal) {
		t.Error("the known keys are lost")
	}
	if want := path + " can't be read by this user; make the service's user its owner, e.g. chown --reference=" + dir + " " + path; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v", err)
	}
}
