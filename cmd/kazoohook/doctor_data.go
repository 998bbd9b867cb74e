package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/archive"
	sqlite "kazoohook/internal/journal/database"
)

// checkDataDir checks, without writing, whether the data directory is writable, and
// whether others can read it.
func (d *doctor) checkDataDir(context.Context) ([]finding, bool) {
	dir := absolute(d.cfg.DataDir)
	const advice = "make it a directory that the service's user owns and can write to, or choose another DATA_DIR"
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		parent := existing(dir)
		if err := writable(parent); err != nil {
			return one(broken(advice, "%s doesn't exist and can't be made: %s %v", dir, parent, err)), false
		}
		return one(fine("%s doesn't exist yet; the first start makes it", dir)), true
	}
	switch {
	case err != nil:
		return one(broken(advice, "%s can't be looked at: %v", dir, bare(err))), false
	case !info.IsDir():
		return one(broken(advice, "%s is not a directory", dir)), false
	}
	if err := writable(dir); err != nil {
		return one(broken(advice, "%s %v", dir, err)), false
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return one(warned(fmt.Sprintf("chmod 700 %s: the journal holds personal data and the hook secret lies beside it", dir),
			"%s is writable, but its mode is %04o: others than its owner get in", dir, mode)), true
	}
	return one(fine("%s is writable and its owner's only", dir)), true
}

// writable asks the kernel whether files can be created in dir.
func writable(dir string) error {
	err := unix.Access(dir, unix.W_OK|unix.X_OK)
	switch {
	case errors.Is(err, unix.EROFS):
		return errors.New("is on a read-only file system")
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("can't be written to by user id %d", os.Getuid())
	case errors.Is(err, unix.ENOTDIR):
		return errors.New("is not a directory")
	case err != nil:
		return fmt.Errorf("can't be written to: %w", err)
	}
	return nil
}

// disk is the room on a directory's disk, in bytes.
type disk struct {
	free, total uint64 // free: for this user
	noInode     bool   // no more files can be created
}

func diskOf(dir string) (disk, error) {
	var fsys unix.Statfs_t
	if err := unix.Statfs(dir, &fsys); err != nil {
		return disk{}, err
	}
	size := uint64(fsys.Bsize) // the types differ between systems; none is negative
	return disk{
		free: uint64(fsys.Bavail) * size, total: uint64(fsys.Blocks) * size, //nolint:unconvert // likewise
		noInode: fsys.Files > 0 && fsys.Ffree == 0,
	}, nil
}

// checkDisk checks the room for the journal.
func (d *doctor) checkDisk(context.Context) ([]finding, bool) {
	const (
		little = 1 << 30
		none   = 64 << 20
		advice = "make room, or bound the journal by JOURNAL_RETENTION and JOURNAL_MAX_BYTES; a full disk makes the service refuse events"
	)
	dir := existing(absolute(d.cfg.DataDir))
	room, err := diskOf(dir)
	if err != nil {
		return one(warned("look at it by hand", "the free space at %s is not known: %v", dir, err)), true
	}
	free := room.free
	switch {
	case free < none:
		return one(broken(advice, "only %s free at %s", bytesText(free), dir)), true
	case room.noInode:
		return one(broken(advice, "no inode is left at %s, so no file can be made", dir)), true
	case free < little:
		return one(warned(advice, "only %s free at %s", bytesText(free), dir)), true
	}
	return one(fine("%s free at %s", bytesText(free), dir)), true
}

// checkJournal checks the journal's file without opening the journal, which could
// block a service that is starting.
func (d *doctor) checkJournal(context.Context) ([]finding, bool) {
	path := filepath.Join(absolute(d.cfg.DataDir), journal.FileName)
	info, err := os.Stat(path)
	switch {
	case sqlite.Orphaned(path) != nil:
		return one(broken("do one of these: until then the service doesn't start", "%v", sqlite.Orphaned(path))), false
	case errors.Is(err, fs.ErrNotExist) && d.running.Load():
		return one(warned("run doctor with the DATA_DIR of the running service", "%s doesn't exist although a service runs", path)), true
	case errors.Is(err, fs.ErrNotExist):
		return one(fine("none yet; the first start makes %s", path)), true
	case err != nil:
		return one(broken("make DATA_DIR readable for this user", "%s can't be looked at: %v", path, bare(err))), false
	}
	if err := sqliteFile(path); err != nil {
		return one(broken("restore a backup (kazoohook restore --replace), or move "+path+"* away: the next start makes a new one and what Kazoo still has is recovered",
			"%s %v", path, err)), false
	}
	size := uint64(info.Size())
	if wal, err := os.Stat(path + "-wal"); err == nil {
		size += uint64(wal.Size())
	}
	use := "no running service was seen"
	if d.running.Load() {
		use = "in use by the running service"
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return one(warned("chmod 600 "+path+": it holds personal data", "%s (%s, %s) has mode %04o: others than its owner get in",
			path, bytesText(size), use, mode)), true
	}
	return one(fine("%s, %s, %s", path, bytesText(size), use)), true
}

// checkIntegrity reads the whole journal and looks for damage, within a check's
// time. It doesn't disturb a running service.
func (d *doctor) checkIntegrity(ctx context.Context) ([]finding, bool) {
	dir := absolute(d.cfg.DataDir)
	if _, err := os.Stat(filepath.Join(dir, journal.FileName)); err != nil {
		return one(fine("no journal yet")), true
	}
	limited, cancel := context.WithTimeout(ctx, d.timeout*9/10)
	defer cancel()
	found, err := archive.CheckDir(limited, dir)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return one(warned("run doctor with a longer --timeout, e.g. 5m", "no damage found in %s; the journal is too large to read it whole", d.timeout*9/10)), true
	case err != nil:
		return one(broken("make DATA_DIR readable for this user", "the journal can't be read: %v", bare(err))), true
	case len(found) == 0:
		return one(fine("every event of the journal can be read")), true
	}
	return one(broken("stop the service and run kazoohook salvage, see docs/operations.md", "the journal is damaged: %s", strings.Join(found, "; "))), true
}

// sqliteFile checks a file's first bytes for a database
// (https://www.sqlite.org/fileformat.html). An empty file is a new database.
func sqliteFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("can't be read: %w", bare(err))
	}
	defer func() { _ = f.Close() }() // only read from
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	switch n, err := io.ReadFull(f, head); {
	case errors.Is(err, io.EOF) && n == 0:
		return nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("can't be read: %w", bare(err))
	case string(head) != magic:
		return errors.New("is damaged: it doesn't begin like a database")
	}
	return nil
}

// existing returns the nearest existing directory: path or one above it.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// bare removes the path, which the message names already.
func bare(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func bytesText(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for ; f >= unit; i++ {
		f /= unit
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTPE"[i])
}
