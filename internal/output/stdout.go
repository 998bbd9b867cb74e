//go:build unix

package output

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// errClosedAtStart is the error of writing to a standard output that was closed
// when the program started.
var errClosedAtStart = errors.New("standard output was closed when the program started")

type closedOutput struct{}

// Write fails.
func (closedOutput) Write([]byte) (int, error) { return 0, errClosedAtStart }

// Checked returns f, or a writer that fails where f was closed when the program
// started. Go's runtime opens /dev/null, for reading and writing, in place of a
// closed standard file (runtime/fds_unix.go), and lines written there would count
// as written. A deliberate /dev/null differs: it is open for writing only, or
// shared with another standard file, as daemon(3) and most supervisors do it.
func Checked(f *os.File) io.Writer {
	var given, null unix.Stat_t
	fd := int(f.Fd())
	if unix.Fstat(fd, &given) != nil || unix.Stat(os.DevNull, &null) != nil || given.Mode&unix.S_IFMT != unix.S_IFCHR || given.Rdev != null.Rdev {
		return f
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE != unix.O_RDWR {
		return f
	}
	for other := range 3 {
		if other != fd && sameDescription(fd, other, flags) {
			return f
		}
	}
	return closedOutput{}
}

// sameDescription reports whether two descriptors share one open file: a flag set
// through one then shows through the other. It uses O_APPEND, which has no effect
// on /dev/null.
func sameDescription(a, b, flags int) bool {
	before, err := unix.FcntlInt(uintptr(b), unix.F_GETFL, 0)
	if err != nil {
		return false
	}
	if _, err := unix.FcntlInt(uintptr(a), unix.F_SETFL, flags^unix.O_APPEND); err != nil {
		return false
	}
	after, err := unix.FcntlInt(uintptr(b), unix.F_GETFL, 0)
	_, restore := unix.FcntlInt(uintptr(a), unix.F_SETFL, flags)
	return err == nil && restore == nil && (before^after)&unix.O_APPEND != 0
}
