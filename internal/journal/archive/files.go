package archive

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/requests"
)

// attach puts files into a copy.
func attach(c *database.Conn, files []File) error {
	for _, sql := range []string{
		"DROP TABLE IF EXISTS backup", "DROP TABLE IF EXISTS backup_files",
		"CREATE TABLE backup (made INTEGER NOT NULL)", // Unix ns
		"CREATE TABLE backup_files (name TEXT PRIMARY KEY, mode INTEGER NOT NULL, content BLOB NOT NULL)",
	} {
		if err := c.Exec(sql); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := c.Exec("INSERT INTO backup_files (name, mode, content) VALUES (?,?,?)", f.Name, int64(f.Mode), f.Content); err != nil {
			return err
		}
	}
	return c.Exec("INSERT INTO backup (made) VALUES (?)", time.Now().UnixNano())
}

// smallFiles reads the other files of a data directory, except large ones.
func smallFiles(dir string) (files []File, leftOut []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, rerr := filepath.Rel(dir, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed a moment ago
		case err != nil || rerr != nil:
			return errors.Join(err, rerr)
		case d.IsDir() && (strings.HasPrefix(name, replacedPrefix) || name == clusterDir):
			return fs.SkipDir
		case !d.Type().IsRegular() || ownFile(name) || forgotten(name):
			return nil
		}
		f, whole, err := smallFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case !whole || len(files) == mostFiles:
			leftOut = append(leftOut, filepath.ToSlash(name))
		default:
			f.Name = filepath.ToSlash(name)
			files = append(files, f)
		}
		return nil
	})
	return files, leftOut, err
}

// ownFile reports whether a file belongs to a journal, of this version or an earlier
// one, or is temporary.
func ownFile(name string) bool {
	return name == integrity.NewestName || name == database.LockName || strings.HasPrefix(name, journal.FileName) || strings.HasPrefix(name, "journal.db") || strings.HasSuffix(name, ".partial")
}

// forgotten reports whether a file holds what is not worth keeping: the details of recent
// requests. Backups of earlier versions hold it.
func forgotten(name string) bool {
	return name == requests.FileName || name == requests.FileName+requests.Unfinished
}

// smallFile reads a file; whole is false if it is large or a database, as a backup is.
func smallFile(path string) (f File, whole bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return f, false, err
	}
	defer func() { _ = file.Close() }() // only read from
	info, err := file.Stat()
	if err != nil {
		return f, false, err
	}
	f.Mode = info.Mode().Perm()
	f.Content, err = io.ReadAll(io.LimitReader(file, largest+1))
	return f, len(f.Content) <= largest && !bytes.HasPrefix(f.Content, []byte("SQLite format 3\x00")), err
}
