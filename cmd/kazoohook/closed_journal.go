package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kazoohook/internal/event"
)

// closedJournal replaces a journal that can't be opened for now: every call fails
// with the reason.
type closedJournal struct {
	dir   string
	since time.Time
	cause atomic.Pointer[error]
}

func (j *closedJournal) err() error { return *j.cause.Load() }

// set keeps the reason. For a full disk SQLite may say only "I/O error".
func (j *closedJournal) set(err error) {
	const little = 1 << 20
	var disk unix.Statfs_t
	if unix.Statfs(j.dir, &disk) == nil || unix.Statfs(filepath.Dir(j.dir), &disk) == nil {
		if free := disk.Bavail * uint64(disk.Bsize); free < little {
			err = fmt.Errorf("the disk of DATA_DIR is full (%d KiB free): %w", free>>10, err)
		}
	}
	j.cause.Store(&err)
}

// Append fails.
func (j *closedJournal) Append(context.Context, event.Record) (event.Appended, error) {
	return event.Appended{}, j.err()
}

// Acknowledged is never called, because Append always fails.
func (j *closedJournal) Acknowledged(event.Record, event.Appended, bool) {}

// Refused does nothing.
func (j *closedJournal) Refused(event.Record, event.Appended) {}

// Query fails.
func (j *closedJournal) Query(context.Context, event.Query) ([]event.Record, int64, error) {
	return nil, 0, j.err()
}

// Read fails.
func (j *closedJournal) Read(context.Context, int64, int) ([]event.Record, error) {
	return nil, j.err()
}

// Wait fails at once.
func (j *closedJournal) Wait(context.Context, int64) error { return j.err() }

// Last fails.
func (j *closedJournal) Last(context.Context) (int64, error) { return 0, j.err() }
