package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"kazoohook/internal/datadir"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/tables"
)

// Backup says what a backup holds. A backup is one file: the database, with the other
// small files of the data directory in one of its tables.
type Backup struct {
	contents
	Made    time.Time // zero: the file is a plain copy of a journal
	Files   []File
	LeftOut []string // files of the data directory that a backup doesn't take: databases and large ones
}

// File is a small file that lay beside the journal, such as a secret.
type File struct {
	Name    string // within the data directory, with slashes
	Mode    fs.FileMode
	Content []byte
}

const (
	// largest is the size up to which a file is taken into a backup.
	largest = 1 << 20
	// clusterDir holds the identity and the log of a node of a cluster. A restored
	// journal must not go on with them.
	clusterDir = "cluster"
	// mostFiles is how many files are taken into a backup at most.
	mostFiles = 1000
)

// MakeBackup writes a backup of the data directory dir to file, which must not exist,
// and reads all of it back. dir may be in use; nothing in it is changed.
func MakeBackup(ctx context.Context, dir, file string) (b Backup, err error) {
	if err := unused(file); err != nil {
		return b, err
	}
	temp, err := temporary(dir, file)
	if err != nil {
		return b, err
	}
	path := temp.Name()
	defer func() { err = errors.Join(corrupt(err), database.Remove(path)) }()
	if err := temp.Close(); err != nil {
		return b, err
	}
	if err := copyDatabase(ctx, filepath.Join(dir, journal.FileName), path); err != nil {
		return b, err
	}
	files, leftOut, err := smallFiles(dir)
	if err == nil {
		err = changeCopy(path, func(c *database.Conn) error { return attach(c, files) })
	}
	if err != nil {
		return b, err
	}
	if b, err = readBackup(ctx, path); err != nil {
		return b, err
	}
	b.LeftOut = leftOut
	if err := errors.Join(datadir.SyncFile(path), datadir.Name(path, file)); err != nil {
		return b, err
	}
	return b, datadir.SyncDir(filepath.Dir(file))
}

// unused returns an error if a new database can't be called file: the name is taken, or
// something is left of another database that SQLite would take for a part of it.
func unused(file string) error {
	for _, suffix := range append([]string{""}, database.Beside()...) {
		if _, err := os.Lstat(file + suffix); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, fmt.Errorf("%s exists already: choose a new file", file+suffix))
		}
	}
	return nil
}

// temporary makes the file in which a backup is made. In the data directory dir it gets
// the owner of that, so that the service can read all that is there.
func temporary(dir, file string) (*os.File, error) {
	in, err := filepath.Abs(dir)
	to, terr := filepath.Abs(file)
	if err := errors.Join(err, terr); err != nil {
		return nil, err
	}
	if name, err := filepath.Rel(in, to); err == nil && filepath.IsLocal(name) {
		return datadir.Temp(file)
	}
	return os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.partial") // mode 0600
}

// corrupt adds ErrCorrupt to an error that shows damage.
func corrupt(err error) error {
	if database.IsDamage(err) && !errors.Is(err, journal.ErrCorrupt) {
		return fmt.Errorf("%w: %w", journal.ErrCorrupt, err)
	}
	return err
}

func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// copyDatabase copies a database as it is at one moment, whether or not others
// change it meanwhile.
func copyDatabase(ctx context.Context, from, to string) error {
	const tries = 3
	for try := 1; ; try++ {
		before, err := os.Stat(from)
		if err != nil {
			return err
		}
		// Without a -wal file nobody has the database open. "immutable" keeps SQLite
		// from making one. Afterwards it is checked whether the database has changed.
		unused := !exists(from + "-wal")
		options := "&mode=ro"
		if unused {
			options = "&immutable=1"
		}
		err = copyPages(ctx, from, options, to)
		after, serr := os.Stat(from)
		if serr != nil {
			return serr
		}
		moved := unused && (exists(from+"-wal") || !after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size())
		if !moved || try == tries {
			return err
		}
		if err := os.Truncate(to, 0); err != nil {
			return err
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// copyPages copies a database page by page.
func copyPages(ctx context.Context, from, options, to string) (err error) {
	c, err := database.Open(from, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.Script(ctx, "BEGIN"); err != nil {
		return err
	}
	var found int64
	if _, err := c.Ints(ctx, "SELECT count(*) FROM sqlite_master WHERE name IN ('journal', 'events', 'objects')", nil, &found); err != nil {
		return err
	}
	if found < 3 {
		return fmt.Errorf("%s holds no journal", from)
	}
	return c.CopyTo(ctx, to)
}

// changeCopy migrates and changes a copy that nobody else uses, and leaves one file.
func changeCopy(path string, change func(*database.Conn) error) error {
	c, err := database.Open(path, "", "locking_mode(exclusive)", "journal_mode(delete)", "synchronous(off)")
	if err != nil {
		return err
	}
	if err = tables.Migrate(context.Background(), c); err == nil {
		err = c.Transaction(func() error { return change(c) })
	}
	return errors.Join(err, c.Close())
}

// readBackup reads all of a backup and checks it for damage.
func readBackup(ctx context.Context, file string) (b Backup, err error) {
	c, err := look(ctx, file)
	if err != nil {
		return b, err
	}
	b.contents = c
	db, err := database.Open(file, database.ReadOnly(file))
	if err != nil {
		return b, err
	}
	err = b.attached(ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return b, err
	}
	findings, err := CheckFile(ctx, file)
	if err == nil && len(findings) > 0 {
		err = fmt.Errorf("%w: %s", journal.ErrCorrupt, findings[0])
	}
	return b, err
}

// attached reads the files of a backup.
func (b *Backup) attached(ctx context.Context, c *database.Conn) error {
	var found, made int64
	if _, err := c.Ints(ctx, "SELECT count(*) FROM sqlite_master WHERE name IN ('backup', 'backup_files')", nil, &found); err != nil || found < 2 {
		return err
	}
	if _, err := c.Ints(ctx, "SELECT made FROM backup", nil, &made); err != nil {
		return err
	}
	b.Made = time.Unix(0, made).UTC()
	return c.Once(ctx, "SELECT name, mode, content FROM backup_files ORDER BY name", nil, func(v database.Row) error {
		name, mode, content := v.Text(0), v.Int(1), v.Blob(2)
		if !filepath.IsLocal(name) || ownFile(name) {
			return database.Damaged(fmt.Sprintf("it holds a file %q, which no backup does", name))
		}
		if forgotten(name) {
			return nil
		}
		b.Files = append(b.Files, File{Name: name, Mode: fs.FileMode(mode) & 0o700, Content: bytes.Clone(content)})
		return nil
	})
}
