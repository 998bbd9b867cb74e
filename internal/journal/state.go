package journal

import (
	"context"
	"database/sql/driver"
)

// State is a value that was kept with SetState, "" if none was.
func (j *Journal) State(ctx context.Context, key string) (value string, err error) {
	err = j.read(ctx, func(c *conn) error {
		return c.rows(ctx, "SELECT value FROM state WHERE key = ?", []any{key}, func(v []driver.Value) error {
			value, _ = v[0].(string)
			return errStop
		})
	})
	return value, err
}

// SetState keeps a small value durably; an empty one removes the key.
func (j *Journal) SetState(ctx context.Context, key, value string) error {
	return j.do(ctx, func(t *txn) error {
		if value == "" {
			return t.exec("DELETE FROM state WHERE key = ?", key)
		}
		return t.exec("INSERT OR REPLACE INTO state (key, value) VALUES (?,?)", key, value)
	})
}
