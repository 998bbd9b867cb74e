package journal

import (
	"context"
	"database/sql/driver"
)

// Keys of the meta table.
const (
	metaMoved   = "moved"   // an event that was there when a cursor was moved
	metaIndexed = "indexed" // the tables that follow from events know them up to here
	metaUnacked = "unacked" // data: as in events.unacked, but of a quiet moment after event value
)

func setMeta(c *conn, key string, value int64, data []byte) error {
	return c.exec("INSERT OR REPLACE INTO meta (key, value, data) VALUES (?,?,?)", key, value, data)
}

func getMeta(ctx context.Context, c *conn, key string) (value int64, data []byte, err error) {
	err = c.rows(ctx, "SELECT value, data FROM meta WHERE key = ?", []any{key}, func(v []driver.Value) error {
		value, _ = v[0].(int64)
		data, _ = v[1].([]byte)
		return errStop
	})
	return value, data, err
}
