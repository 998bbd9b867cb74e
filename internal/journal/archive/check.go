package archive

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
)

// contents is what a journal's database holds.
type contents struct {
	Journal string // its name
	Events  int64
	Objects int64 // known, also deleted ones
	Last    int64 // number of the newest event there ever was

	number int64  // of the last command
	newest int64  // number of the newest event that is kept
	id     string // and its id
}

// look reads what a journal holds, without its events; it is zero if there is none.
func look(ctx context.Context, path string) (c contents, err error) {
	if !exists(path) {
		return c, nil
	}
	j, err := journal.OpenFile(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, errors.Join(err, closed(j))
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if c.Last, err = j.Last(ctx); err != nil {
		return c, err
	}
	c.Journal, c.number = j.Name(), j.Applied()
	db, err := database.Open(path, database.ReadOnly(path))
	if err != nil {
		return c, err
	}
	_, err = db.Ints(ctx, "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM objects)", nil, &c.Events, &c.Objects)
	if err == nil {
		err = db.Rows(ctx, "SELECT seq, id FROM events ORDER BY seq DESC LIMIT 1", nil, func(v database.Row) error {
			c.newest, c.id = v.Int(0), string(v.Blob(1))
			return nil
		})
	}
	return c, errors.Join(err, db.Close())
}

// eventID returns the id that the journal at path has for a number, "" for none.
func eventID(ctx context.Context, path string, seq int64) (id string, err error) {
	db, err := database.Open(path, database.ReadOnly(path))
	if err != nil {
		return "", err
	}
	err = db.Rows(ctx, "SELECT id FROM events WHERE seq = ?", []any{seq}, func(v database.Row) error {
		id = string(v.Blob(0))
		return nil
	})
	return id, errors.Join(err, db.Close())
}

func closed(j *journal.Journal) error {
	if j == nil {
		return nil
	}
	return j.Close()
}

// CheckDir reads the whole journal of a directory, whether or not a service uses it,
// and returns what is wrong with it. It changes nothing.
func CheckDir(ctx context.Context, dir string) (findings []string, err error) {
	return CheckFile(ctx, filepath.Join(dir, journal.FileName))
}

// CheckFile is CheckDir for a database file.
func CheckFile(ctx context.Context, path string) (findings []string, err error) {
	j, err := journal.OpenFile(ctx, path)
	if errors.Is(err, journal.ErrCorrupt) {
		return []string{err.Error()}, closed(j)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	return j.Check(ctx)
}
