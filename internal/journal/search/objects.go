package search

import (
	"bytes"
	"context"
	"slices"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// Objects reads what is known of objects. Objects that can't be read because of damage
// are left out, and noted in the ledger.
type Objects struct {
	Conn   *database.Conn
	Ledger *integrity.Ledger
}

// One returns one object, also a deleted one.
func (o Objects) One(ctx context.Context, key event.Key) (known snapshot.Object, ok bool, err error) {
	list, err := o.list(ctx, 1, "key = ?", key[:])
	if database.IsDamage(err) {
		err = nil
	}
	if err != nil || len(list) == 0 {
		return known, false, err
	}
	return list[0], true, nil
}

// Waiting returns up to limit objects of a type ("": any) whose Look is greater than after,
// in its order. Damage ends the list of a type, because no index has the types.
func (o Objects) Waiting(ctx context.Context, typ string, after int64, limit int) ([]snapshot.Object, error) {
	const waiting, inOrder = "look > 0 AND look > ?", " ORDER BY look"
	if typ == "" {
		return o.list(ctx, limit, waiting+inOrder, after)
	}
	list, err := o.list(ctx, limit, waiting+" AND type = ?"+inOrder, after, typ)
	if database.IsDamage(err) {
		err = nil
	}
	return list, err
}

// Living returns up to limit living objects of a type, with a lower Pass than the given
// one, in order of account and id: those after the account and the id. only, if not
// empty, is the one account that counts.
func (o Objects) Living(ctx context.Context, typ, only string, pass int64, account, id string, limit int) ([]snapshot.Object, error) {
	where, args := "state = 1 AND type = ? AND (account, id) > (?, ?) AND pass < ?", []any{typ, account, id, pass}
	if only != "" {
		where, args = where+" AND account = ?", append(args, only)
	}
	return o.list(ctx, limit, where+" ORDER BY account, id", args...)
}

// list reads up to limit objects. After damage it reads each object alone; the index
// that the query uses shows which there are.
func (o Objects) list(ctx context.Context, limit int, where string, args ...any) (list []snapshot.Object, err error) {
	const read = "SELECT " + tables.ObjectColumns + " FROM objects WHERE "
	add := func(v database.Row) error {
		row, err := tables.ScanObject(v)
		if err == nil {
			list = append(list, row.Object)
		}
		return err
	}
	err = o.Conn.Rows(ctx, read+where+" LIMIT ?", append(slices.Clone(args), int64(limit)), add)
	if !database.IsDamage(err) {
		return list, err
	}
	o.Ledger.Lookup(err)
	list = nil
	err = o.Conn.Rows(ctx, "SELECT key FROM objects WHERE "+where, args, func(v database.Row) error {
		err := o.Conn.Rows(ctx, read+"key = ?", []any{bytes.Clone(v.Blob(0))}, add)
		switch {
		case err != nil && !database.IsDamage(err):
			return err
		case len(list) == limit:
			return database.ErrStop
		}
		return nil
	})
	return list, err
}

// NewestPass returns the highest Pass of all objects, also deleted ones; 0: none was
// listed by a comparison. It reads all of them. If not all can be read because of damage,
// those count that are alive: their index has the numbers, too.
func (o Objects) NewestPass(ctx context.Context) (pass int64, err error) {
	for _, from := range []string{"objects", "objects INDEXED BY objects_alive WHERE state = 1"} {
		_, err = o.Conn.Ints(ctx, "SELECT coalesce(max(pass), 0) FROM "+from, nil, &pass)
		if !database.IsDamage(err) {
			break
		}
		o.Ledger.Lookup(err)
	}
	return pass, err
}

// Holders returns the accounts that hold a living object, whether or not the account
// itself is known.
func (o Objects) Holders(ctx context.Context) (accounts []string, err error) {
	const next = "(SELECT min(account) FROM objects WHERE state = 1 AND type = ?1"
	const each = "WITH RECURSIVE a (account) AS (SELECT " + next + ") UNION ALL SELECT " + next + " AND account > a.account) FROM a WHERE a.account IS NOT NULL) " +
		"SELECT account FROM a WHERE account IS NOT NULL"
	for _, typ := range snapshot.Types() {
		if typ == snapshot.TypeAccount || err != nil {
			continue
		}
		err = o.Conn.Rows(ctx, each, []any{typ}, func(v database.Row) error {
			if account := v.Text(0); account != "" {
				accounts = append(accounts, account)
			}
			return nil
		})
	}
	slices.Sort(accounts)
	return slices.Compact(accounts), err
}

// Count is how many objects of a type are alive; account "" counts all.
func (o Objects) Count(ctx context.Context, typ, account string) (n int64, err error) {
	sql, args := "SELECT count(*) FROM objects WHERE state = 1 AND type = ?", []any{typ}
	if account != "" {
		sql, args = sql+" AND account = ?", append(args, account)
	}
	_, err = o.Conn.Ints(ctx, sql, args, &n)
	return n, err
}
