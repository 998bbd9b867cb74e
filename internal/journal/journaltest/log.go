package journaltest

import (
	"context"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// Log is a durable, ordered log of events with named readers. It states what
// journal.Journal promises.
//
// Ordering: events have dense, increasing sequence numbers from 1, and every reader
// sees them in that order. There are no gaps, except for numbers skipped at a restore
// and events that can't be read. An append that returned before another was called
// has the smaller number.
//
// Durability: when Append returns without an error, the event is on disk and will be
// read after a crash. When it returns an error, the event is not stored. But if the
// context ended or the storage failed during a sync, it may be stored; then a repeated
// request is recognised as a duplicate.
//
// Concurrency: all methods may be called from any goroutine; concurrent appends
// share one sync. A slow reader delays nobody.
//
// Shutdown: Close finishes what was queued before it was called. Then it refuses
// everything with ErrClosed and ends every Wait.
//
// A record's Body belongs to the log from the call of Append on: the caller
// must not change it afterwards, and readers must not change what they get.
type Log interface {
	// Append stores a record and gives it its Seq and ID, or recognises it as a
	// duplicate of a stored event. A hidden record only changes the snapshot and gets
	// neither. Command is set also with an error.
	Append(ctx context.Context, r event.Record) (event.Appended, error)
	// Acknowledged reports whether Kazoo was sent the 200 for an appended request. Call
	// it once after each successful Append of a request from a hook.
	Acknowledged(r event.Record, a event.Appended, written bool)
	// Refused reports that a request, for which Append failed with a, will be
	// answered 503, so that Kazoo sends it again. Call it before the answer is
	// written.
	Refused(r event.Record, a event.Appended)
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
	// Query returns events that q selects, in its order. next is the Before (or After)
	// to continue with, 0 at the end.
	Query(ctx context.Context, q event.Query) (recs []event.Record, next int64, err error)
	// Count is the number of events that q selects, whatever its Limit.
	Count(ctx context.Context, q event.Query) (int64, error)

	// Cursor is the sequence number of the last event a consumer is done
	// with; 0 for a new one.
	Cursor(ctx context.Context, consumer string) (int64, error)
	// MoveCursor moves a cursor, forward or back, if it still is at from; otherwise it
	// returns ErrCursorMoved. A cursor beyond the newest event skips future events. The
	// move survives the death of the process at once, and the death of the machine
	// after the next event.
	MoveCursor(ctx context.Context, consumer string, from, to int64) error
	// Consumers lists the consumers that have ever moved their cursor.
	Consumers(ctx context.Context) ([]journal.Consumer, error)

	Close() error
}
