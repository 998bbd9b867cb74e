package oldformat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"kazoohook/internal/datadir"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
)

// FileName is the name of the old database.
const FileName = "journal.db"

// schema is the version of the old database that can be read.
const schema = 1

// copyName is the name of the new journal until it is complete.
const copyName = journal.FileName + ".copy"

// Import returns a function that makes a journal from the old one in dir, if there is
// one. It is meant for Options.Import: journal.Open calls it and has claimed dir.
func Import(log zerolog.Logger) func(ctx context.Context, dir string) error {
	return func(ctx context.Context, dir string) (err error) {
		path := filepath.Join(dir, FileName)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err := space(dir, path); err != nil {
			return err
		}
		db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		db.SetMaxOpenConns(1)
		i := importer{db: db, log: log, now: time.Now}
		if err := i.run(ctx, dir); err != nil {
			return fmt.Errorf("import %s, which an earlier version wrote: %w", path, err)
		}
		log.Info().Str("old_file", path).Int64("events", i.events).Int("objects", i.objects).
			Msg("journal of an earlier version imported; the old file is no longer needed and can be removed")
		return nil
	}
}

// ErrSpace says that there is no room for the copy. It may pass by itself.
var ErrSpace = fmt.Errorf("%w: no room to import the journal of an earlier version", journal.ErrUnavailable)

// space checks that the copy fits. It needs a little less space than the old files;
// half as much again is kept free for what comes meanwhile.
func space(dir, path string) error {
	var need uint64
	for _, p := range []string{path, path + "-wal"} {
		if st, err := os.Stat(p); err == nil {
			need += uint64(st.Size()) * 3 / 2
		}
	}
	var have unix.Statfs_t
	if err := unix.Statfs(dir, &have); err != nil {
		return err
	}
	free := have.Bavail * uint64(have.Bsize)
	if st, err := os.Stat(filepath.Join(dir, copyName)); err == nil {
		free += uint64(st.Size()) // of an import that was interrupted
	}
	if free < need {
		return fmt.Errorf("%w: %d MiB are free in %s, it takes %d MiB", ErrSpace, free>>20, dir, need>>20)
	}
	return nil
}

// importer copies from the old database.
type importer struct {
	db   *sql.DB
	log  zerolog.Logger
	now  func() time.Time
	copy *tables.Builder

	events  int64
	objects int
	last    int64     // newest event
	logged  time.Time // when progress was last logged
}

func (i *importer) run(ctx context.Context, dir string) (err error) {
	var have, first sql.NullInt64
	if err := i.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	if have.Int64 != schema {
		return fmt.Errorf("its schema is %d, not %d: start the version that wrote it once more, or move the file away", have.Int64, schema)
	}
	var last sql.NullInt64
	if err := i.db.QueryRowContext(ctx, "SELECT min(seq), max(seq) FROM events").Scan(&first, &last); err != nil {
		return err
	}
	i.last = last.Int64
	path := filepath.Join(dir, copyName)
	if i.copy, err = tables.NewBuilder(ctx, path); err != nil {
		return err
	}
	if err := i.all(ctx, first.Int64); err != nil {
		return errors.Join(err, i.copy.Close())
	}
	// boot is last: outcomes of the old process's requests will never be known.
	if err := i.copy.Finish(integrity.NewName(), i.last, i.last, i.last); err != nil {
		return err
	}
	if err := datadir.SyncFile(path); err != nil {
		return err
	}
	if err := os.Rename(path, filepath.Join(dir, journal.FileName)); err != nil {
		return err
	}
	return datadir.SyncDir(dir)
}

func (i *importer) all(ctx context.Context, first int64) error {
	var done int64 // by an import that was interrupted
	if _, err := i.copy.Ints(ctx, "SELECT max(seq) FROM events", nil, &done); err != nil {
		return err
	}
	i.log.Info().Int64("events", i.last-first+1).Int64("done", done).Msg("importing the journal of an earlier version; requests are answered 503 until that is done")
	for after := done; after < i.last; {
		recs, err := i.page(ctx, after)
		if err != nil {
			return err
		}
		if len(recs) == 0 {
			break
		}
		if err := i.copy.Events(recs); err != nil {
			return err
		}
		after = recs[len(recs)-1].Seq
		i.progress(after-first+1, i.last-first+1)
	}
	i.events = i.last - first + 1
	for _, f := range []func(context.Context) error{i.known, i.firings, i.unanswered, i.cursors, i.state} {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return nil
}

// progress logs the progress of the import every five seconds.
func (i *importer) progress(done, of int64) {
	if now := i.now(); now.Sub(i.logged) >= 5*time.Second {
		i.logged = now
		i.log.Info().Int64("done", done).Int64("of", of).Msg("importing events of an earlier version")
	}
}

func (i *importer) firings(ctx context.Context) error {
	return each(ctx, i.db, "SELECT hook_id, firing, seq, at FROM firings", func(scan func(...any) error) error {
		var hook, firing string
		var seq, at int64
		if err := scan(&hook, &firing, &seq, &at); err != nil {
			return err
		}
		return i.copy.Exec("INSERT OR REPLACE INTO firings (hook_id, firing, seq, at) VALUES (?,?,?,?)", hook, firing, seq, at)
	})
}

// cursors copies all consumers except the one that followed objects: the journal now
// does that itself.
func (i *importer) cursors(ctx context.Context) error {
	return each(ctx, i.db, "SELECT name, cursor FROM consumers WHERE name <> 'snapshot'", func(scan func(...any) error) error {
		var name string
		var cursor int64
		if err := scan(&name, &cursor); err != nil {
			return err
		}
		return i.copy.Exec("INSERT OR REPLACE INTO consumers (name, cursor) VALUES (?,?)", name, cursor)
	})
}

func (i *importer) state(ctx context.Context) error {
	return each(ctx, i.db, "SELECT key, value FROM state", func(scan func(...any) error) error {
		var key, value string
		if err := scan(&key, &value); err != nil {
			return err
		}
		return i.copy.Exec("INSERT OR REPLACE INTO state (key, value) VALUES (?,?)", key, value)
	})
}

// each calls f for every row of a query.
func each(ctx context.Context, db *sql.DB, query string, f func(scan func(...any) error) error, args ...any) (err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
