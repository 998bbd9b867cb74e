package tables

import (
	"context"

	"kazoohook/internal/journal/database"
)

// Writer writes rows of events and objects to one database, several with each
// statement. It remembers the ids of texts in the table names. One goroutine uses
// it.
type Writer struct {
	c               *database.Conn
	names           map[nameKey]int64
	events, objects *database.Inserter
}

type nameKey struct{ kind, name string }

// The kinds of texts in the table names.
const (
	EventName   = "e"
	AccountName = "a"
	OriginName  = "o"
)

// maxNames limits how many ids are remembered; beyond it all are forgotten.
const maxNames = 1 << 13

// NewWriter returns a Writer that writes to c.
func NewWriter(c *database.Conn) *Writer {
	return &Writer{
		c: c, names: map[nameKey]int64{},
		events:  database.NewInserter("INSERT OR ROLLBACK INTO events", Columns),
		objects: database.NewInserter("INSERT OR REPLACE INTO objects", ObjectColumns),
	}
}

// Events inserts events.
func (w *Writer) Events(rows []Row) (err error) {
	names := make([][3]int64, len(rows))
	for i := range rows {
		r := &rows[i]
		for k, n := range [...]nameKey{{EventName, r.Event}, {AccountName, r.AccountID}, {OriginName, originOf(&r.Request)}} {
			if names[i][k], err = w.Name(n.kind, n.name); err != nil {
				return err
			}
		}
	}
	return w.events.Insert(w.c, len(rows), func(i int, v []any) []any { return rows[i].values(v, names[i]) })
}

// Objects inserts objects, or replaces them.
func (w *Writer) Objects(list []*Object) error {
	return w.objects.Insert(w.c, len(list), func(i int, v []any) []any { return list[i].Values(v) })
}

// Name returns the id of a text of a kind, and gives it one if it has none; 0 stands
// for the empty text. Ids depend only on the order of the events, not on which events
// are written together.
func (w *Writer) Name(kind, name string) (id int64, err error) {
	if id, err = w.Find(kind, name); id > 0 || name == "" || err != nil {
		return id, err
	}
	if _, err = w.c.Ints(context.Background(), "INSERT INTO names (kind, name) VALUES (?,?) RETURNING id", []any{kind, name}, &id); err == nil {
		w.note(nameKey{kind, name}, id)
	}
	return id, err
}

// Find returns the id of a text of a kind, 0 if it has none.
func (w *Writer) Find(kind, name string) (id int64, err error) {
	k := nameKey{kind, name}
	if id, ok := w.names[k]; ok || name == "" {
		return id, nil
	}
	found, err := w.c.Ints(context.Background(), "SELECT id FROM names WHERE kind = ? AND name = ?", []any{kind, name}, &id)
	if found && err == nil {
		w.note(k, id)
	}
	return id, err
}

func (w *Writer) note(k nameKey, id int64) {
	if len(w.names) >= maxNames {
		clear(w.names)
	}
	w.names[k] = id
}

// Forget forgets all ids, because a transaction that gave some has failed.
func (w *Writer) Forget() { clear(w.names) }
