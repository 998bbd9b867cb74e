package journal

import (
	"context"
	"fmt"
	"time"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/tables"
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
func (j *Journal) Cursor(ctx context.Context, consumer string) (int64, error) {
	return value[int64](ctx, j, "SELECT cursor FROM consumers WHERE name = ?", consumer)
}

// MoveCursor sets a consumer's cursor, forward or back, if it still is at from. It
// returns ErrCursorMoved if somebody else moved it (a replay). The first move
// registers the consumer: from then on retention respects it. Without other commands
// to share a transaction, the move isn't synced. Then it survives the death of the
// process at once, and the death of the machine after the next event.
func (j *Journal) MoveCursor(ctx context.Context, consumer string, from, to int64) error {
	if consumer == "" || to < 0 {
		return fmt.Errorf("move cursor of %q to %d: bad argument", consumer, to)
	}
	_, err := j.do(ctx, &moved{Consumer: consumer, From: from, To: to})
	return err
}

// Consumers lists the registered consumers by name.
func (j *Journal) Consumers(ctx context.Context) ([]Consumer, error) {
	first, last := j.tail.Bounds()
	return lend(ctx, j, func(c *conn) ([]Consumer, error) {
		list := []Consumer{}
		err := c.Rows(ctx, "SELECT name, cursor FROM consumers ORDER BY name", nil, func(v database.Row) error {
			list = append(list, Consumer{Name: v.Text(0), Cursor: v.Int(1)})
			return nil
		})
		for i := range list {
			next := max(list[i].Cursor+1, first)
			if err != nil || next > last {
				continue
			}
			list[i].Lag = last - next + 1
			if r, ok, rerr := tables.Read(ctx, c, j.damage, "events", next); rerr == nil && ok {
				at := time.UnixMilli(int64(r.ULID.Time()))
				list[i].LagSeconds = max(0, j.opt.Now().Sub(at).Seconds())
			}
		}
		return list, err
	})
}

// State returns the value stored under a key by SetState, "" if there is none.
func (j *Journal) State(ctx context.Context, key string) (string, error) {
	return value[string](ctx, j, "SELECT value FROM state WHERE key = ?", key)
}

// SetState stores a small value durably; an empty one removes the key.
func (j *Journal) SetState(ctx context.Context, key, value string) error {
	_, err := j.do(ctx, &setting{Key: key, Value: value})
	return err
}
