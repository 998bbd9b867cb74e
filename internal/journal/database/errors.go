package database

import (
	"errors"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Damaged is an error: SQLite reads some data, but it isn't as it was written.
type Damaged string

// Error says which data.
func (e Damaged) Error() string { return string(e) }

// IsDamage reports whether something on disk is not as it was written.
func IsDamage(err error) bool {
	var d Damaged
	c := code(err)
	return errors.As(err, &d) || c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB
}

// IsSQLite reports whether an error is SQLite's.
func IsSQLite(err error) bool { return code(err) >= 0 }

// Passes reports whether an error of the file system may end by itself, or when
// somebody frees space. Errors of SQLite count as such.
func Passes(err error) bool {
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return IsSQLite(err)
}

// code is the primary code of SQLite's error, -1 for another one.
func code(err error) int {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return -1
	}
	return se.Code() & 0xff
}

// Reason is the cause of an error in plain words, followed by a preposition for
// the directory.
func Reason(err error) string {
	switch code(err) {
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
