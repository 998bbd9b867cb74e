package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
)

// The errors that callers tell apart with errors.Is.
var (
	// ErrUnavailable wraps why the storage can't take or give events now: full,
	// read-only, broken. It may pass by itself: try again.
	ErrUnavailable = errors.New("journal unavailable")
	// ErrStalled says that the disk doesn't answer. It may pass by itself.
	ErrStalled = errors.New("the disk does not answer")
	// ErrOverloaded says that too many appends are waiting: try again.
	ErrOverloaded = errors.New("journal overloaded")
	// ErrClosed says that the journal has been closed.
	ErrClosed = database.ErrClosed
	// ErrReadOnly says that the journal was opened for reading.
	ErrReadOnly = errors.New("journal opened read-only")
	// ErrNotFound says that no event has this number, or that it was removed.
	ErrNotFound = errors.New("no such event in the journal")
	// ErrCursorMoved says that a cursor isn't where the caller expected it.
	ErrCursorMoved = errors.New("cursor was moved by somebody else")
	// ErrInUse says that another process has the directory open.
	ErrInUse = database.ErrInUse
	// ErrCorrupt says that the files are damaged; nothing was changed.
	ErrCorrupt = integrity.ErrCorrupt
	// ErrNewer says that a later version of the program wrote the files.
	ErrNewer = tables.ErrNewer
)

// isSoft reports whether an error concerns one caller only: the transaction goes
// on. Any other error is a failure of the storage.
func isSoft(err error) bool {
	return errors.Is(err, ErrCursorMoved) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoDestination) || errors.Is(err, ErrTerm)
}

// unavailable says why the storage failed.
func (j *Journal) unavailable(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, ErrClosed) || errors.Is(err, ErrUnavailable) || isSoft(err) {
		return err
	}
	return fmt.Errorf("%w: %s %s: %w", ErrUnavailable, database.Reason(err), j.opt.Dir, err)
}

// errBlank: a process that died at the first start left the file.
var errBlank = fmt.Errorf("there is no journal in it yet: %w", fs.ErrNotExist)
