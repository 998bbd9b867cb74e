package database

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Release works although a child that is being started has a copy of the descriptor.
func TestLockEndsWithRelease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := unix.Dup(int(l.f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(inherited) })
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if l, err = Claim(dir); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

// A claim that fails says why.
func TestClaimFails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]func(string) (*Lock, error){"write": Claim, "read": ClaimToRead} {
		if _, err := c(file); err == nil || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("%s: claimed a file: %v", name, err)
		}
		if _, err := c(filepath.Join(file, "none")); err == nil {
			t.Errorf("%s: claimed what isn't there", name)
		}
	}
	// A directory that was never claimed can be claimed for reading, but only once.
	dir := t.TempDir()
	l, err := ClaimToRead(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ClaimToRead(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("claimed twice: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}
