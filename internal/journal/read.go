package journal

import (
	"context"
	"database/sql/driver"
	"fmt"

	"kazoohook/internal/event"
)

// maxReadBytes ends a Read early: a reader that lags must not need memory for
// thousands of large bodies.
const maxReadBytes = 8 << 20

// Read returns up to limit events with numbers above after, ascending; fewer if
// they are large. Where retention has removed some, it goes on with the oldest
// there is.
func (j *Journal) Read(ctx context.Context, after int64, limit int) (recs []event.Record, err error) {
	if limit <= 0 {
		return nil, nil
	}
	j.tail.mu.RLock()
	last, closed := j.tail.last, j.tail.closed
	recs, known := j.tail.recent.after(max(after, j.tail.first-1), limit)
	j.tail.mu.RUnlock()
	if closed {
		return nil, ErrClosed
	}
	if known || after >= last {
		return recs, ctx.Err()
	}
	err = j.read(ctx, func(c *conn) error {
		bytes := 0
		return c.rows(ctx, "SELECT "+columns+" FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", []any{after, last, int64(limit)},
			func(v []driver.Value) error {
				r, err := scanRow(v)
				if err != nil {
					return err
				}
				recs = append(recs, r.Record)
				if bytes += len(r.Body); bytes > maxReadBytes {
					return errStop
				}
				return nil
			})
	})
	return recs, err
}

// Wait returns once an event with a number above after is on disk; with
// ErrClosed if none ever will be.
func (j *Journal) Wait(ctx context.Context, after int64) error {
	for {
		changed, err := j.tail.wait(after)
		if changed == nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// First is the number of the oldest event there is, 0 if there is none.
func (j *Journal) First(context.Context) (int64, error) {
	first, last := j.tail.bounds()
	if last == 0 {
		return 0, nil
	}
	return first, nil
}

// Last is the number of the newest event, 0 if there is none.
func (j *Journal) Last(context.Context) (int64, error) {
	_, last := j.tail.bounds()
	return last, nil
}

// Get returns one event, or ErrNotFound.
func (j *Journal) Get(ctx context.Context, seq int64) (r event.Record, err error) {
	if first, last := j.tail.bounds(); seq < first || seq > last {
		return r, fmt.Errorf("%w: %d", ErrNotFound, seq)
	}
	err = j.read(ctx, func(c *conn) error {
		held, ok, err := readRow(ctx, c, seq)
		if err == nil && !ok {
			err = fmt.Errorf("%w: %d", ErrNotFound, seq)
		}
		r = held.Record
		return err
	})
	return r, err
}

// read lends a connection for reading.
func (j *Journal) read(ctx context.Context, f func(*conn) error) error {
	return j.unavailable(j.pool.use(ctx, f))
}
