// Package journal keeps events durably and in order: what Append has returned
// survives the death of the process and of the machine. It is one SQLite file
// with one writer.
package journal

import (
	"context"
	"errors"

	"kazoohook/internal/event"
)

// Log is a durable, ordered log of events with named readers. Package
// journaltest tests any implementation.
//
// Ordering: events have dense, increasing sequence numbers from 1, and every
// reader sees them in that order, without a hole. Of two appends, one of which
// returned before the other was called, the earlier has the smaller number.
//
// Durability: when Append returns without an error, the event is on disk and
// will be read after a crash. When it returns an error, the event is not there
// (unless the context ended or the storage failed in the middle of a sync: then
// it may be, and the repeated delivery is recognised as such).
//
// Concurrency: all methods may be called from any goroutine; concurrent appends
// share one sync. A slow reader delays nobody.
//
// Shutdown: Close finishes what was queued before it was called, then refuses
// everything with ErrClosed and wakes all who Wait.
//
// A record's Body belongs to the log from the call of Append on: the caller
// must not change it afterwards, and readers must not change what they get.
type Log interface {
	// Append stores a record and gives it its Seq and ID, or recognises it as
	// a repetition of an event already held.
	Append(ctx context.Context, r event.Record) (event.Appended, error)
	// Acknowledged reports whether Kazoo was sent the 200 for an appended
	// delivery. To be called once after each successful Append of a live one.
	Acknowledged(r event.Record, a event.Appended, written bool)
	// Refused reports that a delivery was answered 503, so Kazoo will send it
	// again.
	Refused(r event.Record)
	// Health is nil, or why the log can't take events now.
	Health() error

	// Read returns up to limit events after a sequence number, ascending.
	Read(ctx context.Context, after int64, limit int) ([]event.Record, error)
	// Wait returns once an event with a greater sequence number is on disk.
	Wait(ctx context.Context, after int64) error
	// First is the oldest retained sequence number, 0 if there is none.
	First(ctx context.Context) (int64, error)
	// Last is the newest sequence number, 0 if there is none.
	Last(ctx context.Context) (int64, error)
	// Get returns one event, or ErrNotFound.
	Get(ctx context.Context, seq int64) (event.Record, error)
	// Query returns the events that q selects, in its order.
	Query(ctx context.Context, q event.Query) ([]event.Record, error)
	// Count is the number of events that q selects, whatever its Limit.
	Count(ctx context.Context, q event.Query) (int64, error)

	// Cursor is the sequence number of the last event a consumer is done
	// with; 0 for a new one.
	Cursor(ctx context.Context, consumer string) (int64, error)
	// MoveCursor moves it durably, forward or back, if it still is at from;
	// otherwise ErrCursorMoved. Beyond the newest event, it skips what comes.
	MoveCursor(ctx context.Context, consumer string, from, to int64) error
	// Consumers lists those that have ever moved their cursor.
	Consumers(ctx context.Context) ([]Consumer, error)

	Close() error
}

var _ Log = (*Journal)(nil)

// The errors that callers tell apart with errors.Is.
var (
	// ErrUnavailable wraps why the storage can't take or give events now: full,
	// read-only, broken. It may pass by itself: try again.
	ErrUnavailable = errors.New("journal unavailable")
	// ErrOverloaded says that too many appends are waiting: try again.
	ErrOverloaded = errors.New("journal overloaded")
	// ErrClosed says that the journal has been closed.
	ErrClosed = errors.New("journal closed")
	// ErrReadOnly says that the journal was opened for reading.
	ErrReadOnly = errors.New("journal opened read-only")
	// ErrNotFound says that no event has this number, or no longer.
	ErrNotFound = errors.New("no such event in the journal")
	// ErrCursorMoved says that a cursor isn't where the caller believed it.
	ErrCursorMoved = errors.New("cursor was moved by somebody else")
	// ErrInUse says that another process has the directory open.
	ErrInUse = errors.New("journal in use")
	// ErrCorrupt says that the files are damaged; nothing was changed.
	ErrCorrupt = errors.New("journal damaged")
	// ErrNewer says that a later version of the program wrote the files.
	ErrNewer = errors.New("journal written by a newer version")
)
