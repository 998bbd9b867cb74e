//go:build linux && (amd64 || arm64)

package power

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Recorder keeps what a program synced below a directory, over all its restarts.
type Recorder struct {
	dir, copies string

	mu      sync.Mutex
	synced  map[file]string // name of the copy
	through map[file]bool   // files written with O_SYNC and then renamed
	opened  map[string]bool // paths that were opened with O_SYNC
	copied  int
	err     error
}

// file identifies a file on disk, independent of its name. Inode numbers are used
// again, so the time of birth is a part of it.
type file struct {
	device, number uint64
	born           unix.StatxTimestamp
}

// NewRecorder observes files that are synced below dir and keeps copies below copies.
func NewRecorder(dir, copies string) (*Recorder, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	return &Recorder{dir: dir, copies: copies, synced: map[file]string{}, through: map[file]bool{}, opened: map[string]bool{}}, os.MkdirAll(copies, 0o700)
}

// Err is the first error of the Recorder itself. After one its copies are worthless.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *Recorder) note(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

// inside reports whether a path is below the directory.
func (r *Recorder) inside(path string) bool { return strings.HasPrefix(path, r.dir+"/") }

// fsync copies the file that a process syncs now.
func (r *Recorder) fsync(process, descriptor int) error {
	link := fmt.Sprintf("/proc/%d/fd/%d", process, descriptor)
	if path, err := os.Readlink(link); err != nil || !r.inside(path) {
		return nil // the process has ended, or the file is elsewhere
	}
	src, err := os.Open(link)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read from
	if s, err := src.Stat(); err != nil || !s.Mode().IsRegular() {
		return err // a sync of a directory syncs only names
	}
	f, err := fileOf(int(src.Fd()), "")
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.copied++
	name, ok := r.synced[f]
	if !ok {
		name = filepath.Join(r.copies, strconv.Itoa(len(r.synced)))
	}
	if err := copyTo(name+".new", src); err != nil {
		return err
	}
	r.synced[f] = name
	return os.Rename(name+".new", name)
}

// open notes a path that is being opened with O_SYNC.
func (r *Recorder) open(path string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inside(path) {
		r.opened[path] = true
	}
	return nil
}

// rename notes which file has the old path, if that was opened with O_SYNC.
func (r *Recorder) rename(from string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.opened[from] {
		return nil
	}
	delete(r.opened, from)
	f, err := fileOf(unix.AT_FDCWD, from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r.through[f] = err == nil
	return err
}

// Image makes the directory to, as the disk would be after a power cut now: with
// exactly what was synced. If random is not nil, some files have more of what was
// written, or a part of it. The program must have been killed.
func (r *Recorder) Image(to string, random *rand.Rand) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	return filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(path, r.dir))
		if d.IsDir() {
			return os.MkdirAll(at, 0o700)
		}
		f, err := fileOf(unix.AT_FDCWD, path)
		if err != nil {
			return err
		}
		if r.through[f] || r.opened[path] {
			return copyPart(at, path, -1)
		}
		source, most := chance(random, path, r.synced[f])
		if source == "" {
			return nil // it was never synced
		}
		return copyPart(at, source, most)
	})
}

// chance decides how much of a file that has unsynced bytes reached the disk.
func chance(random *rand.Rand, path, synced string) (source string, most int64) {
	if random == nil || random.IntN(2) == 0 {
		return synced, -1
	}
	now, err := os.Stat(path)
	if err != nil || random.IntN(2) == 0 {
		return path, -1
	}
	least := int64(0)
	if before, err := os.Stat(synced); err == nil {
		least = min(before.Size(), now.Size())
	}
	return path, least + random.Int64N(now.Size()-least+1)
}

// fileOf identifies a file, by its descriptor or its path.
func fileOf(descriptor int, path string) (file, error) {
	var s unix.Statx_t
	flags := unix.AT_SYMLINK_NOFOLLOW
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	if err := unix.Statx(descriptor, path, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &s); err != nil {
		return file{}, err
	}
	born := s.Btime
	return file{uint64(s.Dev_major)<<32 | uint64(s.Dev_minor), s.Ino, born}, nil
}

func copyTo(name string, src io.Reader) error {
	dst, err := os.OpenFile(filepath.Clean(name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// copyPart copies the first most bytes of a file; -1: all.
func copyPart(to, from string, most int64) error {
	src, err := os.Open(filepath.Clean(from))
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read from
	if most < 0 {
		return copyTo(to, src)
	}
	return copyTo(to, io.LimitReader(src, most))
}

// pathOf reads the path of a system call from the memory of a process.
func pathOf(process int, directory int32, address uint64) (string, error) {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", process))
	if err != nil {
		return "", err
	}
	defer func() { _ = memory.Close() }() // only read from
	buffer := make([]byte, unix.PathMax)
	n, err := memory.ReadAt(buffer, int64(address))
	if n == 0 && err != nil {
		return "", err
	}
	path, _, whole := strings.Cut(string(buffer[:n]), "\x00")
	if !whole {
		return "", errors.New("a path without an end")
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	base := fmt.Sprintf("/proc/%d/cwd", process)
	if directory != unix.AT_FDCWD {
		base = fmt.Sprintf("/proc/%d/fd/%d", process, directory)
	}
	if base, err = os.Readlink(base); err != nil {
		return "", err
	}
	return filepath.Join(base, path), nil
}

// Adopt counts everything in the directory as synced, as after a power cut with
// Image. The program must not be running.
func (r *Recorder) Adopt() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.synced)
	clear(r.through)
	clear(r.opened)
	if err := os.RemoveAll(r.copies); err != nil {
		return err
	}
	return filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, os.MkdirAll(r.copies, 0o700))
		}
		f, err := fileOf(unix.AT_FDCWD, path)
		if err != nil {
			return err
		}
		name := filepath.Join(r.copies, strconv.Itoa(len(r.synced)))
		r.synced[f] = name
		return copyPart(name, path, -1)
	})
}
