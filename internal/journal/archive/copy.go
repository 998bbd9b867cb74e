package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kazoohook/internal/datadir"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
)

// Copy writes the journal of a data directory to file, which must not exist. dir may
// be in use; nothing in it is changed. The copy is for another node of a cluster, so
// it has no other files of dir.
func Copy(ctx context.Context, dir, file string) (err error) {
	if err := unused(file); err != nil {
		return err
	}
	if err = datadir.Make(dir, file); err == nil {
		err = copyDatabase(ctx, filepath.Join(dir, journal.FileName), file)
	}
	if err == nil {
		err = changeCopy(file, func(*database.Conn) error { return nil }) // into one file
	}
	if err != nil {
		return errors.Join(corrupt(err), database.Remove(file))
	}
	return nil
}

// Adopt moves a copy of a journal into a data directory that nobody uses, as its
// journal; the name and numbers stay. file must be on the same file system as dir. The
// whole copy is read before the directory's journal is touched. That journal is
// removed if it has no events or is an earlier state of the copy: its newest event is in
// the copy. Otherwise it is moved aside.
func Adopt(ctx context.Context, file, dir string) (err error) {
	lock, err := database.Claim(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	path := filepath.Join(dir, journal.FileName+".adopted")
	if err := database.Remove(path); err != nil { // of a process that was killed
		return err
	}
	if err := os.Rename(file, path); err != nil {
		return err
	}
	defer func() { err = errors.Join(corrupt(err), database.Remove(path)) }()
	if err := changeCopy(path, func(*database.Conn) error { return nil }); err != nil { // to this program's schema
		return err
	}
	findings, err := CheckFile(ctx, path)
	if err == nil && len(findings) > 0 {
		err = fmt.Errorf("%w: %s", journal.ErrCorrupt, findings[0])
	}
	if err != nil {
		return err
	}
	adopted, err := look(ctx, path)
	if err != nil {
		return err
	}
	if err := datadir.SyncFile(path); err != nil {
		return err
	}
	if err := makeRoom(ctx, dir, path, adopted); err != nil {
		return err
	}
	return errors.Join(os.Rename(path, filepath.Join(dir, journal.FileName)), datadir.SyncDir(dir))
}

// Contradicts reports whether a copy of a journal, which must have all that a directory's
// journal has, has fewer numbers of events, or another event under the number of the
// newest event there. A journal that can't be read has none.
func Contradicts(ctx context.Context, file, dir string) (bool, error) {
	own, err := look(ctx, filepath.Join(dir, journal.FileName))
	if err != nil || own.Events == 0 {
		return false, nil //nolint:nilerr // Adopt moves it aside
	}
	copied, err := look(ctx, file)
	if err != nil || copied.Last < own.Last {
		return err == nil, err
	}
	id, err := eventID(ctx, file, own.newest)
	return id != "" && id != own.id, err
}

// makeRoom removes the journal that is in a directory, or moves it aside. Ids are random,
// so two journals that have the same event under one number are alike up to there.
func makeRoom(ctx context.Context, dir, copied string, adopted contents) error {
	there, kept, _, err := occupants(ctx, dir, nil)
	if err != nil || len(there) == 0 {
		return err
	}
	old, err := look(ctx, filepath.Join(dir, journal.FileName))
	if err == nil {
		// Without its log the database may be incomplete; a crash must not leave it so.
		err = mergeLog(filepath.Join(dir, journal.FileName))
	}
	earlier := err == nil && old.number <= adopted.number
	if earlier && old.Events == 0 {
		earlier = old.Journal == adopted.Journal
	} else if earlier { // a rebuild may have renamed it
		id, err := eventID(ctx, copied, old.newest)
		if err != nil {
			return err
		}
		earlier = id == old.id
	}
	if len(kept) == 0 || earlier {
		for _, name := range there {
			if err := unlessMissing(os.Remove(filepath.Join(dir, name))); err != nil {
				return err
			}
		}
		return nil
	}
	aside := filepath.Join(dir, replacedPrefix+time.Now().UTC().Format("20060102T150405.000Z"))
	if err := datadir.NewDir(aside); err != nil {
		return err
	}
	for _, name := range there {
		if err := unlessMissing(os.Rename(filepath.Join(dir, name), filepath.Join(aside, name))); err != nil {
			return err
		}
	}
	return nil
}

// mergeLog copies SQLite's log into its database.
func mergeLog(path string) error {
	c, err := database.Open(path, "")
	if err != nil {
		return err
	}
	return errors.Join(c.Script(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)"), c.Close())
}
