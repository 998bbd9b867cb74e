package tables

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/snapshot"
)

// WriterPragmas returns the pragmas of the connection that writes.
func WriterPragmas() []string {
	return []string{
		// A cache of 6 MB keeps the whole program below 50 MB under full load.
		"auto_vacuum(incremental)", "journal_mode(wal)", "synchronous(full)", "cache_size(-6000)", "temp_store(memory)",
		// The writer copies the log into the database between transactions. A commit
		// does it only if readers have prevented that for long.
		"wal_autocheckpoint(8000)", "journal_size_limit(33554432)",
	}
}

// Builder fills a new database from another one, for example one of an older format.
// One goroutine uses it.
type Builder struct {
	*database.Conn // to the new database

	w *Writer
}

// NewBuilder begins a database in the file path, or continues the one there.
func NewBuilder(ctx context.Context, path string) (*Builder, error) {
	c, err := database.Open(path, "", append(WriterPragmas(), "synchronous(normal)")...)
	if err != nil {
		return nil, err
	}
	if err := Migrate(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &Builder{c, NewWriter(c)}, nil
}

// Events adds events in their order. They must have numbers and ids. The time in an
// event's id becomes its time on the journal's clock.
func (b *Builder) Events(recs []event.Record) error {
	rows := make([]Row, len(recs))
	for i, r := range recs {
		id, err := ulid.ParseStrict(r.ID)
		if err != nil {
			return fmt.Errorf("id of event %d: %w", r.Seq, err)
		}
		rows[i] = Row{Record: Normal(r), ULID: id, Number: r.Seq, Clock: snapshot.Clock(time.UnixMilli(int64(id.Time())).UnixNano())}
	}
	return b.Transaction(func() error { return b.w.Events(rows) })
}

// Objects adds what is known of objects, or replaces it.
func (b *Builder) Objects(list []*Object) error {
	return b.Transaction(func() error { return b.w.Objects(list) })
}

// Finish makes the database a journal called name, and closes it. number is the number
// of the last command, boot that of the command that began the last process, and last
// that of the newest event there ever was. If the table journal has a row, its times stay.
func (b *Builder) Finish(name string, number, boot, last int64) error {
	err := b.Exec("INSERT INTO journal (id, name, number, clock, wall, boot, last) "+
		"SELECT 1, ?, max(?, ifnull(max(number), 0)), max(1, ifnull(max(clock), 0)), max(1, ifnull(max(clock), 0)), ?, ? FROM events WHERE true "+
		"ON CONFLICT (id) DO UPDATE SET name = excluded.name, number = excluded.number, boot = excluded.boot, last = excluded.last", name, number, boot, last)
	if err == nil {
		err = b.Script(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	return errors.Join(err, b.Close())
}
