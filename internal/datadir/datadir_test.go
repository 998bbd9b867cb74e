package datadir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// owned returns a directory of another user if this one is root, so that all that is
// made there must get that owner.
func owned(t *testing.T) (dir string, check func(path string, mode fs.FileMode)) {
	t.Helper()
	dir = t.TempDir()
	owner := os.Geteuid()
	if owner == 0 {
		owner = 65532
		if err := os.Chown(dir, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	return dir, func(path string, mode fs.FileMode) {
		t.Helper()
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if is, ok := info.Sys().(*syscall.Stat_t); !ok || int(is.Uid) != owner || info.Mode() != mode {
			t.Errorf("%s: %s of %d, want %s of %d", path, info.Mode(), is.Uid, mode, owner)
		}
	}
}

func slurp(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestOwner: all that is made has the owner of its directory, and nobody else can read
// it. No temporary file is left.
func TestOwner(t *testing.T) {
	t.Parallel()
	dir, check := owned(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	elsewhere := filepath.Join(t.TempDir(), "salvaged")
	f, err := Open(in("opened"))
	if err == nil {
		_, err = f.WriteString("x")
	}
	err = errors.Join(err, f.Close(), Make(dir, elsewhere), Write(in("written"), []byte("1")), WriteNew(in("new"), []byte("1")),
		MakeDir(in("a/b")), MakeDir(in("a/b")), NewDir(in("c")))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{in("opened"), in("written"), in("new"), elsewhere} {
		check(path, 0o600)
	}
	for _, name := range []string{"a", "a/b", "c"} {
		check(in(name), fs.ModeDir|0o700)
	}
	f, err = Temp(in("temporary"))
	if err != nil {
		t.Fatal(err)
	}
	check(f.Name(), 0o600)
	if err := errors.Join(f.Close(), os.Rename(f.Name(), in("written"))); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 5 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestThere: what is there is opened, replaced or kept, as asked.
func TestThere(t *testing.T) {
	t.Parallel()
	dir, _ := owned(t)
	path := filepath.Join(dir, "file")
	if err := errors.Join(Write(path, []byte("old")), Make(dir, path)); err != nil || slurp(t, path) != "old" {
		t.Errorf("made anew: %v", err)
	}
	if err := WriteNew(path, []byte("new")); !errors.Is(err, fs.ErrExist) || slurp(t, path) != "old" {
		t.Errorf("replaced: %v", err)
	}
	if err := Write(path, []byte("new")); err != nil || slurp(t, path) != "new" {
		t.Errorf("not replaced: %v", err)
	}
	// A link to a file that is not there yet, for example on another disk.
	far := filepath.Join(t.TempDir(), "far")
	if err := errors.Join(os.Symlink(far, filepath.Join(dir, "link")), Make(dir, filepath.Join(dir, "link"))); err != nil || slurp(t, far) != "" {
		t.Error(err)
	}
	if err := NewDir(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a directory in place of a file: %v", err)
	}
	if err := MakeDir(filepath.Join(path, "below")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a directory below a file: %v", err)
	}
	for _, err := range []error{Write(filepath.Join(dir, "none", "x"), nil), NewDir(filepath.Join(dir, "none", "x")), SyncFile(filepath.Join(dir, "none"))} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("in a directory that is missing: %v", err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "taken"), nil); err == nil {
		t.Error("a directory was replaced by a file")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("left over: %v, %v", entries, err)
	}
}

// TestAtOnce: of those who make the same at once, one does, and all have it.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	dir, check := owned(t)
	sub, file := filepath.Join(dir, "a", "b", "c"), filepath.Join(dir, "a", "b", "c", "file")
	var written atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := errors.Join(MakeDir(sub), Make(sub, filepath.Join(sub, "empty"))); err != nil {
				t.Error(err)
			}
			if err := WriteNew(file, []byte("x")); err == nil {
				written.Add(1)
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	check(sub, fs.ModeDir|0o700)
	check(file, 0o600)
	if entries, err := os.ReadDir(sub); err != nil || len(entries) != 2 || written.Load() != 1 {
		t.Errorf("%v, written %d times, %v", entries, written.Load(), err)
	}
}

// TestName: a file that got the name meanwhile is not replaced.
func TestName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	// A directory can be renamed but not linked, like files where there are no links.
	if err := errors.Join(Write(in("temp"), []byte("new")), Write(in("there"), []byte("old")), os.Mkdir(in("no link"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := Name(in("temp"), in("there")); !errors.Is(err, fs.ErrExist) || slurp(t, in("there")) != "old" {
		t.Errorf("%v", err)
	}
	if err := Name(in("no link"), in("there")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	if err := Name(in("no link"), in("named")); err != nil {
		t.Errorf("%v", err)
	}
}
