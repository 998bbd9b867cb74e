package journal

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"
)

// Consumer is a named reader of the journal.
type Consumer struct {
	Name       string  `json:"name"`
	Cursor     int64   `json:"cursor"`      // number of the last event it is done with
	Lag        int64   `json:"lag"`         // events after that
	LagSeconds float64 `json:"lag_seconds"` // age of the oldest of them, 0 if there is none
}

// Cursor is the number of the last event a consumer is done with, 0 for one
// that has never moved its cursor.
func (j *Journal) Cursor(ctx context.Context, consumer string) (cursor int64, err error) {
	err = j.read(ctx, func(c *conn) error {
		_, err := c.ints(ctx, "SELECT cursor FROM consumers WHERE name = ?", []any{consumer}, &cursor)
		return err
	})
	return cursor, err
}

// MoveCursor sets a consumer's cursor durably, forward or back, if it still is
// at from; else ErrCursorMoved, because somebody else moved it (a replay). The
// first move registers the consumer: from then on retention respects it. The
// move shares the sync of an append, or waits a little for one.
func (j *Journal) MoveCursor(ctx context.Context, consumer string, from, to int64) error {
	if consumer == "" || to < 0 {
		return fmt.Errorf("move cursor of %q to %d: bad argument", consumer, to)
	}
	return j.do(ctx, func(t *txn) error {
		var now int64
		if _, err := t.c.ints(ctx0, "SELECT cursor FROM consumers WHERE name = ?", []any{consumer}, &now); err != nil {
			return err
		}
		if now != from {
			return fmt.Errorf("%w: %q is at %d, not %d", ErrCursorMoved, consumer, now, from)
		}
		if err := t.exec("INSERT OR REPLACE INTO consumers (name, cursor) VALUES (?,?)", consumer, to); err != nil {
			return err
		}
		// Cursors say that events were there, if those should ever be missing;
		// one may be ahead on purpose.
		return setMeta(t.c, metaMoved, min(to, t.j.w.next-1), nil)
	})
}

// Consumers lists the registered consumers by name.
func (j *Journal) Consumers(ctx context.Context) (list []Consumer, err error) {
	first, last := j.tail.bounds()
	err = j.read(ctx, func(c *conn) error {
		list = []Consumer{}
		err := c.rows(ctx, "SELECT name, cursor FROM consumers ORDER BY name", nil, func(v []driver.Value) error {
			name, _ := v[0].(string)
			cursor, _ := v[1].(int64)
			list = append(list, Consumer{Name: name, Cursor: cursor})
			return nil
		})
		for i := range list {
			next := max(list[i].Cursor+1, first)
			if err != nil || next > last {
				continue
			}
			list[i].Lag = last - next + 1
			var r row
			if r, _, err = readRow(ctx, c, next); err == nil {
				at := time.UnixMilli(int64(r.id.Time()))
				list[i].LagSeconds = max(0, j.opt.Now().Sub(at).Seconds())
			}
		}
		return err
	})
	return list, err
}
