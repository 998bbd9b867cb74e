package journal

import (
	"context"
	"fmt"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/search"
	"kazoohook/internal/journal/tables"
)

// maxReadBytes ends a Read early: a reader that lags must not need memory for
// thousands of large bodies.
const maxReadBytes = 8 << 20

// Read returns up to limit events with numbers above after, ascending; fewer if
// they are large. It skips events that retention removed and events that can't be
// read.
func (j *Journal) Read(ctx context.Context, after int64, limit int) (recs []event.Record, err error) {
	if limit <= 0 {
		return nil, nil
	}
	recs, last, err := j.tail.Read(after, limit)
	if err != nil || len(recs) > 0 || after >= last {
		return recs, err
	}
	return j.readDisk(ctx, after, limit)
}

// readDisk is Read from the database.
func (j *Journal) readDisk(ctx context.Context, after int64, limit int) (recs []event.Record, err error) {
	first, last := j.tail.Bounds()
	after = max(after, first-1)
	recs, err = lend(ctx, j, func(c *conn) ([]event.Record, error) { return j.readRange(ctx, c, after, last, limit) })
	if database.IsDamage(err) {
		return lend(ctx, j, func(c *conn) ([]event.Record, error) { return j.walk(ctx, c, after, last, limit) })
	}
	return recs, err
}

// readRange reads events above after and up to last. Damage is an error, and so is a
// missing row.
func (j *Journal) readRange(ctx context.Context, c *conn, after, last int64, limit int) (recs []event.Record, err error) {
	bytes, next := 0, after+1
	recs = make([]event.Record, 0, min(int64(limit), last-after, 256))
	err = c.Rows(ctx, tables.Stored+"events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", []any{after, last, int64(limit)},
		func(v database.Row) error {
			r, err := tables.Scan(v, j.damage)
			if err == nil && r.Seq != next && j.lacks(next, r.Seq-1) {
				err = database.Damaged(fmt.Sprintf("events %d to %d are missing", next, r.Seq-1))
			}
			if err != nil {
				return err
			}
			recs, next = append(recs, r.Record), r.Seq+1
			if bytes += len(r.Body); bytes > maxReadBytes {
				return database.ErrStop
			}
			return nil
		})
	return recs, err
}

// Wait returns once an event with a number above after is on disk and can be read.
// It returns ErrClosed when the journal is closed, and the context's error.
func (j *Journal) Wait(ctx context.Context, after int64) error {
	for {
		if end, ok := j.damage.Missing(after + 1); ok {
			after = end
			continue
		}
		changed, err := j.tail.Wait(after)
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

// First is the number of the oldest event, 0 if there is none.
func (j *Journal) First(context.Context) (int64, error) {
	first, last := j.tail.Bounds()
	if first > last {
		return 0, nil
	}
	return first, nil
}

// Last is the number of the newest event, 0 if there never was one.
func (j *Journal) Last(context.Context) (int64, error) {
	_, last := j.tail.Bounds()
	return last, nil
}

// Get returns one event, also one that is kept only for destinations, or
// ErrNotFound.
func (j *Journal) Get(ctx context.Context, seq int64) (r event.Record, err error) {
	ok := false
	if _, last := j.tail.Bounds(); seq > 0 && seq <= last {
		r, err = lend(ctx, j, func(c *conn) (event.Record, error) {
			held, found, err := j.readKept(ctx, c, seq)
			ok = found
			return held.Record, err
		})
	}
	if err == nil && !ok {
		err = fmt.Errorf("%w: %d", ErrNotFound, seq)
	}
	return r, err
}

// DefaultLimit is how many events a query without a Limit returns at most.
const DefaultLimit = 100

// Query returns events that q selects, newest first unless q says otherwise. next is
// the number of the last event it looked at; pass it as Before (or After) to
// continue. 0 means that there is nothing more. One call looks at 20,000 events at
// most, so it may return few events, or none, and a next. Events that can't be read
// are left out.
func (j *Journal) Query(ctx context.Context, q event.Query) (recs []event.Record, next int64, err error) {
	if q.Limit <= 0 {
		q.Limit = DefaultLimit
	}
	next, err = j.visit(ctx, q, func(r *event.Record) bool {
		recs = append(recs, *r)
		return len(recs) < q.Limit
	})
	return recs, next, err
}

// Count is the number of events that q selects, whatever its Limit.
func (j *Journal) Count(ctx context.Context, q event.Query) (n int64, err error) {
	q.Limit = 0
	for next := int64(-1); next != 0 && err == nil; {
		next, err = j.visit(ctx, q, func(*event.Record) bool { n++; return true })
		if q.OldestFirst {
			q.After = next
		} else {
			q.Before = next
		}
	}
	return n, err
}

func (j *Journal) visit(ctx context.Context, q event.Query, each func(*event.Record) bool) (next int64, err error) {
	first, last := j.tail.Bounds()
	return lend(ctx, j, func(c *conn) (int64, error) { return search.Visit(ctx, c, j.damage, q, first, last, each) })
}

// read lends a connection for reading.
func (j *Journal) read(ctx context.Context, f func(*conn) error) error {
	if err := j.halted.err(); err != nil {
		return err
	}
	return j.unavailable(j.pool.Use(ctx, f))
}

// lend is read for what returns a value.
func lend[T any](ctx context.Context, j *Journal, f func(*conn) (T, error)) (v T, err error) {
	err = j.read(ctx, func(c *conn) (err error) { v, err = f(c); return err })
	return v, err
}

// rows calls each for every row of a query.
func (j *Journal) rows(ctx context.Context, sql string, args []any, each func(database.Row) error) error {
	return j.read(ctx, func(c *conn) error { return c.Rows(ctx, sql, args, each) })
}

// value returns the only value of a query, zero if there is none.
func value[T int64 | string](ctx context.Context, j *Journal, sql string, args ...any) (v T, err error) {
	err = j.rows(ctx, sql, args, func(r database.Row) error {
		v, _ = r[0].(T)
		return nil
	})
	return v, err
}
