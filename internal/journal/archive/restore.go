package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/datadir"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
)

// ErrOccupied says that a data directory holds what a restore would replace.
var ErrOccupied = errors.New("the data directory is not empty")

// replacedPrefix begins the name of the directory to which a restore moves the files
// that it replaces.
const replacedPrefix = "replaced-"

// Restored says what a restore did.
type Restored struct {
	Backup
	Name  string // of the journal: a new one
	Next  int64  // number of the next event, at least
	Aside string // directory to which replaced files were moved; "": there were none
	made  bool   // Aside was made by this restore
}

// Restore makes a data directory from a backup, or from a copy of a journal. The
// service must be stopped. All of the backup is read before anything is changed. Files
// in dir that differ are moved aside if replace is set; otherwise it returns
// ErrOccupied.
//
// The journal gets a new name, and goes on with numbers that, as far as dir shows,
// were never given. What it knows of the hooks is as old as the backup: the next start
// treats the time since then as an outage.
func Restore(ctx context.Context, file, dir string, replace bool) (r Restored, err error) {
	if err := datadir.MakeDir(dir); err != nil {
		return r, err
	}
	lock, err := database.Claim(dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	path := filepath.Join(dir, journal.FileName+".restore")
	if err := database.Remove(path); err != nil { // of a restore that was interrupted
		return r, err
	}
	defer func() { err = errors.Join(corrupt(err), database.Remove(path)) }()
	if err := datadir.Make(dir, path); err != nil {
		return r, err
	}
	if err := copyDatabase(ctx, file, path); err != nil {
		return r, err
	}
	if err := changeCopy(path, func(*database.Conn) error { return nil }); err != nil { // to this program's schema
		return r, err
	}
	if r.Backup, err = readBackup(ctx, path); err != nil {
		return r, err
	}
	there, kept, said, err := occupants(ctx, dir, r.Files)
	if err != nil {
		return r, err
	}
	if len(kept) > 0 && !replace {
		return r, fmt.Errorf("%w: %s holds %s", ErrOccupied, dir, strings.Join(kept, ", "))
	}
	// If an earlier restore was interrupted, what was there before it is moved aside
	// already.
	if before, err := os.ReadFile(filepath.Join(dir, integrity.UnfinishedName)); err == nil && len(before) > 0 {
		r.Aside = filepath.Join(dir, filepath.Base(string(before)))
		if _, _, moved, err := occupants(ctx, r.Aside, nil); err == nil {
			said.Seq, said.Number = max(said.Seq, moved.Seq), max(said.Number, moved.Number)
		}
	}
	r.Name, r.Next = integrity.NewName(), max(r.Last, said.Seq)+integrity.SkipAtLeast+1
	if err := changeCopy(path, func(c *database.Conn) error { return r.rename(c, max(r.number, said.Number)) }); err != nil {
		return r, err
	}
	if err := datadir.SyncFile(path); err != nil {
		return r, err
	}
	err = r.place(dir, path, there, max(r.number, said.Number))
	return r, err
}

// rename gives the journal its new name and numbers.
func (r *Restored) rename(c *database.Conn, number int64) error {
	for _, sql := range []string{"DROP TABLE IF EXISTS backup", "DROP TABLE IF EXISTS backup_files"} {
		if err := c.Exec(sql); err != nil {
			return err
		}
	}
	if err := c.Exec("INSERT INTO gaps (first, last, reason) VALUES (?,?,?)", r.Last+1, r.Next-1, "restored"); err != nil {
		return err
	}
	if err := c.Exec("UPDATE cluster SET epoch = ''"); err != nil { // it no longer follows a cluster's log
		return err
	}
	return c.Exec("UPDATE journal SET name = ?, number = ?, boot = 0, last = ?", r.Name, number, r.Next-1)
}

// place puts everything in its place, the journal last. All content is on disk before
// the first file is moved aside. If something fails, everything is moved back.
func (r *Restored) place(dir, path string, there []string, number int64) (err error) {
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	var changes []change
	defer func() {
		for _, c := range changes {
			if c.temporary {
				err = errors.Join(err, unlessMissing(os.Remove(c.from)))
			}
		}
	}()
	for _, f := range r.Files {
		if old, err := os.ReadFile(in(f.Name)); err == nil && bytes.Equal(old, f.Content) {
			continue
		}
		changes = append(changes, change{in(f.Name) + ".partial", in(f.Name), true})
		if err := f.write(in(f.Name) + ".partial"); err != nil {
			return err
		}
	}
	newest := in(integrity.NewestName)
	changes = append(changes, change{newest + ".partial", newest, true})
	n, err := integrity.OpenNewest(newest+".partial", r.Name, nil)
	if err != nil {
		return err
	}
	n.Write(r.Next-1, number, number)
	if err := n.Close(true); err != nil {
		return err
	}
	changes = append(changes, change{path, in(journal.FileName), false})
	if len(there) == 0 {
		return r.carryOut(dir, nil, changes)
	}
	r.Aside = in(replacedPrefix + time.Now().UTC().Format("20060102T150405.000Z"))
	if err := datadir.NewDir(r.Aside); err != nil {
		return err
	}
	r.made = true
	var aside []change
	for _, name := range there {
		to := filepath.Join(r.Aside, filepath.FromSlash(name))
		if err := datadir.MakeDir(filepath.Dir(to)); err != nil {
			return errors.Join(err, r.emptyAside())
		}
		aside = append(aside, change{in(name), to, false})
	}
	return r.carryOut(dir, aside, changes)
}

// change is a file that gets another name.
type change struct {
	from, to  string
	temporary bool // from is removed if it doesn't get the name
}

// carryOut moves files aside and gives the new ones their names. If it is interrupted,
// a file says so, and no start makes a new journal and a new secret.
func (r *Restored) carryOut(dir string, aside, changes []change) (err error) {
	mark := filepath.Join(dir, integrity.UnfinishedName)
	interrupted := exists(mark) // an earlier restore
	if !interrupted {
		where := ""
		if r.Aside != "" {
			where = filepath.Base(r.Aside)
		}
		if err := datadir.Write(mark, []byte(where)); err != nil {
			return errors.Join(err, unlessMissing(os.Remove(mark)), r.emptyAside())
		}
	}
	dirs := map[string]bool{dir: true}
	for i, c := range slices.Concat(aside, changes) {
		dirs[filepath.Dir(c.from)], dirs[filepath.Dir(c.to)] = true, true
		if err = os.Rename(c.from, c.to); err != nil {
			return errors.Join(err, r.takeBack(dir, mark, interrupted, aside[:min(i, len(aside))], changes[:max(0, i-len(aside))]))
		}
	}
	for d := range dirs {
		err = errors.Join(err, datadir.SyncDir(d))
	}
	if err == nil {
		err = errors.Join(os.Remove(mark), datadir.SyncDir(dir))
	}
	return r.named(err)
}

// takeBack undoes changes.
func (r *Restored) takeBack(dir, mark string, interrupted bool, aside, changes []change) (err error) {
	for _, c := range changes {
		err = errors.Join(err, os.Remove(c.to))
	}
	for _, c := range aside {
		err = errors.Join(err, os.Rename(c.to, c.from))
	}
	if err == nil {
		err = datadir.SyncDir(dir)
	}
	if err == nil && !interrupted {
		err = os.Remove(mark)
	}
	if err == nil {
		err = r.emptyAside()
	}
	return r.named(err)
}

// emptyAside removes the directory that was made for replaced files and holds none.
func (r *Restored) emptyAside() error {
	if !r.made {
		return nil
	}
	aside := r.Aside
	r.Aside, r.made = "", false
	return os.RemoveAll(aside)
}

// named adds to an error where the replaced files are.
func (r *Restored) named(err error) error {
	if err == nil || r.Aside == "" {
		return err
	}
	return fmt.Errorf("%w; what was there is in %s", err, r.Aside)
}

// write writes a file, synced, to path.
func (f File) write(path string) error {
	if err := datadir.MakeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := datadir.Write(path, f.Content); err != nil {
		return err
	}
	return errors.Join(os.Chmod(path, f.Mode|0o400), datadir.SyncFile(path))
}

// occupants returns the files that a restore would replace, and a description of each
// that it may replace only if the caller allows it. said is what the file newest says,
// or the existing journal if that holds more.
func occupants(ctx context.Context, dir string, files []File) (there, kept []string, said integrity.Newest, err error) {
	if said, _, err = integrity.ReadNewest(filepath.Join(dir, integrity.NewestName)); err != nil {
		return nil, nil, said, err
	}
	path := filepath.Join(dir, journal.FileName)
	if exists(path) {
		c, err := look(ctx, path)
		said.Seq, said.Number = max(said.Seq, c.Last), max(said.Number, c.number)
		switch {
		case err != nil:
			kept = append(kept, "a journal that can't be read")
		case c.Events > 0:
			kept = append(kept, fmt.Sprintf("a journal of %d events", c.Events))
		}
	} else if database.Orphaned(path) != nil {
		kept = append(kept, fmt.Sprintf("%s-wal, which belongs to a %[1]s that is not there", journal.FileName))
	}
	// Each counts by itself: SQLite would take what is beside the restored database for
	// a part of it.
	names := append(database.Beside(), "")
	for i := range names {
		names[i] = journal.FileName + names[i]
	}
	for _, name := range append(names, integrity.NewestName) {
		if exists(filepath.Join(dir, name)) {
			there = append(there, name)
		}
	}
	for _, f := range files {
		old, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Name)))
		if unlessMissing(err) != nil {
			return nil, nil, said, err
		}
		if err == nil && !bytes.Equal(old, f.Content) {
			there, kept = append(there, f.Name), append(kept, "another "+f.Name)
		}
	}
	return there, kept, said, nil
}
