package database

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"kazoohook/internal/datadir"
)

// ErrInUse says that another process has the directory open.
var ErrInUse = errors.New("journal in use")

// LockName is the name of the file that is locked.
const LockName = "lock"

// Lock is the claim of one process on a directory: a lock on a separate file. A
// POSIX lock on the database file would end when the process closes that file
// anywhere, and SQLite's exclusive mode would lock out our readers.
type Lock struct{ f *os.File }

// Claim claims dir, or returns ErrInUse and says who has it. The kernel frees the
// claim when the process dies, however it dies.
func Claim(dir string) (*Lock, error) {
	path := filepath.Join(dir, LockName)
	f, err := datadir.Open(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	l, err := claim(f, dir)
	if err != nil {
		return nil, err
	}
	// The pid is for people only; a full disk must not keep us from starting.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(fmt.Sprintf("%d\n", os.Getpid())), 0)
	}
	return l, nil
}

// ClaimToRead claims dir like Claim and writes nothing there. It locks the file that
// a service has left there, or without one the directory.
func ClaimToRead(dir string) (*Lock, error) {
	f, err := os.Open(filepath.Join(dir, LockName))
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.Open(dir) // a copy without the file: no service has used it
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return claim(f, dir)
}

// claim locks f, or says who has it.
func claim(f *os.File, dir string) (*Lock, error) {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := ""
		if b, rerr := io.ReadAll(io.LimitReader(f, 32)); rerr == nil && len(b) > 0 {
			holder = " (process " + strings.TrimSpace(string(b)) + ")"
		}
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: another kazoohook%s is using the data directory %s; stop it or choose another directory", ErrInUse, holder, dir)
		}
		return nil, fmt.Errorf("journal: lock %s: %w", f.Name(), err)
	}
	return &Lock{f}, nil
}

// Release gives the claim up. Closing alone is not enough: a child that was just
// forked has a copy of the descriptor until it executes its own program.
func (l *Lock) Release() error {
	return errors.Join(unix.Flock(int(l.f.Fd()), unix.LOCK_UN), l.f.Close())
}
