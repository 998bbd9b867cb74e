package journal

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// isSoft tells an answer from a failure of the storage: one caller is told, the
// transaction goes on.
func isSoft(err error) bool {
	return errors.Is(err, ErrCursorMoved) || errors.Is(err, ErrNotFound)
}

// unavailable says in plain words why the storage failed.
func (j *Journal) unavailable(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, ErrClosed) || errors.Is(err, ErrUnavailable) || isSoft(err) {
		return err
	}
	return fmt.Errorf("%w: %s %s: %w", ErrUnavailable, reason(err), j.opt.Dir, err)
}

// reason is the cause followed by a preposition for the directory.
func reason(err error) string {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return "cannot use the journal in"
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return "no space left on device in"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return "no permission to write in"
	case sqlite3.SQLITE_IOERR:
		return "input/output error in"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "damaged database in"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "database locked by another program in"
	}
	return "cannot use the journal in"
}
