package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/tables"
)

// The chain is a hash of every command with what it read, changed and led to, and
// of the hash before it. Nodes that apply the same log have the same chain. If one of
// them holds different data, its chain differs as soon as a command touches that
// data.

const (
	// One hash of chainEvery is kept, for the last chainKept commands.
	chainEvery = 1000
	chainKept  = 1000 * chainEvery
)

// saw adds values to the notes of the command that is being applied. Callers check
// first that there is a log: without one, no notes are taken.
func (t *tx) saw(values ...any) {
	for _, v := range values {
		t.notes = appendValue(t.notes, v)
	}
}

// before notes rows that are about to be changed, so that a wrong row shows in the
// chain.
func (t *tx) before(sql string, args ...any) {
	if t.log != nil {
		t.look(t.c.Rows(ctx0, sql, args, func(v database.Row) error {
			for _, value := range v {
				t.saw(value)
			}
			return nil
		}))
	}
}

// appendValue appends a value of the database: different values give different bytes.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 'n')
	case int64:
		return binary.AppendVarint(append(b, 'i'), v)
	case bool:
		return binary.AppendVarint(append(b, 'i'), tables.Flag(v))
	case string:
		return append(binary.AppendUvarint(append(b, 's'), uint64(len(v))), v...)
	case []byte:
		return append(binary.AppendUvarint(append(b, 'b'), uint64(len(v))), v...)
	}
	return fmt.Appendf(b, "?%T %v", v, v)
}

// link adds the notes of one command to the chain.
func (t *tx) link(cmd command, res *result, err error) error {
	l := t.log
	t.saw(t.at.Number, int64(t.at.Clock), reflect.TypeOf(cmd).Elem().Name(), err != nil,
		res.appended.Seq, res.appended.ID, res.appended.Duplicate, res.count, int64(len(res.listing.Created)), int64(len(res.listing.Doubtful)))
	h := sha256.New()
	h.Write(l.chain[:])
	h.Write(t.notes)
	h.Sum(l.chain[:0])
	t.notes = t.notes[:0]
	if t.at.Number%chainEvery != 0 {
		return nil
	}
	if err := t.c.Exec("INSERT OR REPLACE INTO chain (number, hash) VALUES (?,?)", t.at.Number, bytes.Clone(l.chain[:])); err != nil {
		return err
	}
	return t.c.Exec("DELETE FROM chain WHERE number <= ?", t.at.Number-chainKept)
}

// Chain returns the hash of all commands applied and what they led to, and the number
// of the last command. On a single node it returns 0.
func (j *Journal) Chain() (number int64, hash [32]byte) {
	if s := j.shared.Load(); s != nil {
		return s.number, s.chain
	}
	return 0, hash
}

// ChainAt returns the hash at an earlier number. Only the hashes of numbers divisible
// by 1,000 are kept, and only the last 1,000 of them.
func (j *Journal) ChainAt(ctx context.Context, number int64) (hash [32]byte, ok bool, err error) {
	err = j.readLog(ctx, func(c *conn) error {
		return c.Rows(ctx, "SELECT hash FROM chain WHERE number = ?", []any{number}, func(v database.Row) error {
			ok = copy(hash[:], v.Blob(0)) == len(hash)
			return nil
		})
	})
	return hash, ok, err
}

// Digest returns a hash of all tables, row by row. It reads everything.
func (j *Journal) Digest(ctx context.Context) (sum [32]byte, err error) {
	err = j.readLog(ctx, func(c *conn) error {
		if err := c.Exec("BEGIN"); err != nil {
			return err
		}
		defer func() { _ = c.Exec("ROLLBACK") }()
		h := sha256.New()
		var names []string
		err := c.Rows(ctx, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name", nil, func(v database.Row) error {
			names = append(names, v.Text(0))
			return nil
		})
		var line []byte
		for _, name := range names {
			columns := 0
			if err == nil {
				err = c.Once(ctx, "SELECT 1 FROM pragma_table_info(?)", []any{name}, func(database.Row) error { columns++; return nil })
			}
			if err != nil {
				return err
			}
			h.Write([]byte(name))
			from := name
			if name == "cluster" { // without the entry's hash, which earlier versions don't know
				from = "(SELECT id, epoch, base, position, term, leader, boot, tick, fold, substr(chain, 1, 32) FROM cluster)"
			}
			err = c.Once(ctx, fmt.Sprintf("SELECT * FROM %s ORDER BY %s", from, ordinals(columns)), nil, func(v database.Row) error {
				line = append(line[:0], 'r')
				for _, value := range v {
					line = appendValue(line, value)
				}
				h.Write(line)
				return nil
			})
		}
		h.Sum(sum[:0])
		return err
	})
	return sum, err
}

// ordinals lists the numbers of n columns: "1,2,3".
func ordinals(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(i + 1)
	}
	return strings.Join(list, ",")
}
