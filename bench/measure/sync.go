package measure

import (
	"errors"
	"os"
	"slices"
	"syscall"
	"time"
)

// syncTime is the median time that the disk takes to write and sync one frame of
// a write-ahead log, a page and its header, in a file that has its room already,
// as the log has after its first round.
func syncTime(dir string, n int) (_ time.Duration, err error) {
	f, err := os.CreateTemp(dir, "sync")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	frame := make([]byte, 4096+24)
	times := make([]time.Duration, n)
	for i := range times {
		if _, err := f.WriteAt(frame, int64(i*len(frame))); err != nil {
			return 0, err
		}
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	for i := range times {
		start := time.Now()
		if _, err := f.WriteAt(frame, int64(i*len(frame))); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
