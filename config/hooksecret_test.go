package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestEnsureSecretAtOnce: many starts at the same time must get the same secret.
func TestEnsureSecretAtOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	const starts = 16
	got := make([]Secret, starts)
	var wg sync.WaitGroup
	for i := range starts {
		wg.Go(func() {
			var err error
			if got[i], err = EnsureSecret(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range got {
		if !s.Equal(got[0]) || len(s.Reveal()) != 32 || !urlSafe.MatchString(s.Reveal()) {
			t.Fatalf("%q and %q", s.Reveal(), got[0].Reveal())
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "hook_secret" {
		t.Errorf("left behind: %v", entries)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "hook_secret"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: %o", path, info.Mode().Perm())
		}
	}
	other, err := EnsureSecret(t.TempDir())
	if err != nil || other.Equal(got[0]) {
		t.Errorf("another directory, the same secret (%v)", err)
	}
}

func TestEnsureSecretRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ content, want string }{
		"empty":   {"", "is empty; put the secret into the file"},
		"short":   {"short\n", "holds no valid secret; remove the file to have a new one generated"},
		"unsafe":  {"0123456789abcdef/\n", "holds no valid secret; remove the file to have a new one generated"},
		"garbage": {"0123456789\nabcdef\n", "holds more than one line; put the secret alone into the file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "hook_secret")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := EnsureSecret(dir)
			if err == nil || err.Error() != `generated HOOK_SECRET: "`+path+`" `+c.want {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("broken disk", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.Symlink("/proc/self/mem", filepath.Join(dir, "hook_secret")); err != nil { // reading it fails like a broken disk
			t.Fatal(err)
		}
		if _, err := EnsureSecret(dir); !errors.Is(err, syscall.EIO) {
			t.Errorf("%v", err)
		}
	})
	t.Run("data directory is a file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := EnsureSecret(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%v", err)
		}
		if _, err := EnsureSecret(filepath.Join(path, "below")); err == nil {
			t.Error("no error")
		}
	})
	t.Run("nowhere to write", func(t *testing.T) {
		t.Parallel()
		if _, err := EnsureSecret("/proc"); err == nil || !strings.Contains(err.Error(), "keep a generated HOOK_SECRET in /proc") {
			t.Errorf("%v", err)
		}
	})
}

func TestEnsureHookSecret(t *testing.T) {
	t.Parallel()
	given := Default()
	given.HookSecret, given.DataDir = NewSecret("0123456789abcdef"), filepath.Join(t.TempDir(), "unused")
	if err := given.EnsureHookSecret(); err != nil || given.HookSecret.Reveal() != "0123456789abcdef" {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(given.DataDir); err == nil {
		t.Error("a given secret needs no directory")
	}
	a, b := Default(), Default()
	a.DataDir = t.TempDir()
	b.DataDir = a.DataDir
	for _, c := range []*Config{a, b} {
		if err := c.EnsureHookSecret(); err != nil {
			t.Fatal(err)
		}
	}
	if a.HookSecret.Empty() || !a.HookSecret.Equal(b.HookSecret) {
		t.Error("the second start has another secret")
	}
	b.DataDir, b.HookSecret = "/proc/none", Secret{}
	if err := b.EnsureHookSecret(); err == nil {
		t.Error("no error")
	}
}
