package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dirLock is the claim of one process on a directory. It is a lock on a file of
// its own: locks on the database file itself are dropped by any close of it in
// the process (POSIX), and SQLite's exclusive mode would lock out our readers.
type dirLock struct{ f *os.File }

// lockDir claims dir or says who has it. The kernel frees the claim when the
// process dies, however it dies.
func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := ""
		if b, rerr := io.ReadAll(io.LimitReader(f, 32)); rerr == nil && len(b) > 0 {
			holder = " (process " + strings.TrimSpace(string(b)) + ")"
		}
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: another kazoohook%s is using the data directory %s; stop it or choose another directory", ErrInUse, holder, dir)
		}
		return nil, fmt.Errorf("journal: lock %s: %w", path, err)
	}
	// The pid is for people only; a full disk must not keep us from starting.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(fmt.Sprintf("%d\n", os.Getpid())), 0)
	}
	return &dirLock{f}, nil
}

// release gives the claim up. Closing alone would not do: a child that was just
// forked has a copy of the descriptor until it executes its own program.
func (l *dirLock) release() error {
	return errors.Join(unix.Flock(int(l.f.Fd()), unix.LOCK_UN), l.f.Close())
}
