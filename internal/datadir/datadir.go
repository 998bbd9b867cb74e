// Package datadir makes the files and directories of DATA_DIR. Only their owner can
// read them, and that is the owner of the directory they are in, also if root makes
// them: the service could not read root's files. A file or directory has its owner
// before it has its name.
//
// It owns no state and starts no goroutines. What Write and WriteNew have written
// survives a crash, and a crash leaves the old file or the new one, whole.
package datadir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Open opens a file to read and write it, and makes an empty one if there is none.
func Open(path string) (*os.File, error) { return open(filepath.Dir(path), path) }

// Make makes an empty file unless there is a file. It gets the owner of dir: somebody
// may move it there.
func Make(dir, path string) error {
	f, err := open(dir, path)
	if err != nil {
		return err
	}
	return f.Close()
}

func open(dir, path string) (*os.File, error) {
	if os.Geteuid() == 0 {
		if err := makeGiven(dir, path); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

// makeGiven makes an empty file with the owner of dir, unless there is a file.
func makeGiven(dir, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := temp(dir, path)
	if err != nil {
		return err
	}
	err = f.Close()
	if err == nil {
		err = Name(f.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) { // another process was faster
		err = nil
	}
	return errors.Join(err, unlessMissing(os.Remove(f.Name())))
}

// Temp makes a file in the directory of path that is to be renamed to path. Its name
// ends with .partial, so that no backup takes it.
func Temp(path string) (*os.File, error) { return temp(filepath.Dir(path), path) }

// temp is Temp with the owner of dir.
func temp(dir, path string) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.partial") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := give(dir, f); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

// Write writes a file, or replaces it.
func Write(path string, content []byte) error { return write(path, content, os.Rename) }

// WriteNew writes a new file. The error wraps fs.ErrExist if there is one.
func WriteNew(path string, content []byte) error { return write(path, content, Name) }

// write writes a file with another name, and then calls name to give it the right one.
func write(path string, content []byte, name func(from, to string) error) (err error) {
	f, err := Temp(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlessMissing(os.Remove(f.Name()))) }()
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := name(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Name gives a file the name to, unless another file has it: then the error wraps
// fs.ErrExist. The name from may stay, too. Unlike a rename, a link never replaces a
// file; but some file systems have no links.
func Name(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	return os.Rename(from, to)
}

// MakeDir makes a directory and its parents, unless it is there. Each gets the owner
// of the directory it is in.
func MakeDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := MakeDir(parent); err != nil {
			return err
		}
	}
	if err := NewDir(dir); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // another process was faster
}

// NewDir makes a directory. The error wraps fs.ErrExist if the name is taken.
func NewDir(dir string) error {
	parent := filepath.Dir(dir)
	if os.Geteuid() != 0 {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		return SyncDir(parent)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist})
	}
	made, err := os.MkdirTemp(parent, filepath.Base(dir)+".*.partial") // mode 0700
	if err != nil {
		return err
	}
	f, err := os.Open(made)
	if err == nil {
		err = errors.Join(give(parent, f), f.Close())
	}
	if err == nil {
		err = os.Rename(made, dir)
	}
	if err != nil {
		return errors.Join(err, os.Remove(made))
	}
	return SyncDir(parent)
}

// give gives a new file the owner of dir if this process is root. It changes the file
// itself, and follows no link that somebody puts in its place.
func give(dir string, f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	like, err := os.Stat(dir)
	if err != nil {
		return err
	}
	is, err := f.Stat()
	if err != nil {
		return err
	}
	owner, ok := like.Sys().(*syscall.Stat_t)
	have, too := is.Sys().(*syscall.Stat_t)
	if !ok || !too || owner.Uid == have.Uid && owner.Gid == have.Gid {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// SyncDir makes the names in a directory survive a power failure.
func SyncDir(dir string) error { return SyncFile(dir) }

// SyncFile makes the content of a file survive a power failure.
func SyncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Unreadable says of a file that this user may not read what to do.
func Unreadable(path string) string {
	return "can't be read by this user; make the service's user its owner, e.g. chown --reference=" + filepath.Dir(path) + " " + path
}

func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
