package journal

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"kazoohook/internal/event"
)

const objectColumns = "type,id,account,name,fields,first,last,gone,pass"

const upsertObject = "INSERT INTO objects (" + objectColumns + ") VALUES (?,?,?,?,?,?,?,0,?)" + `
	ON CONFLICT (type, id) DO UPDATE SET account = excluded.account, name = excluded.name, fields = excluded.fields,
	last = max(last, excluded.last), gone = 0, pass = max(pass, excluded.pass)`

// UpsertObjects stores what was seen of objects that live, in one transaction:
// FirstSeen of a known one stays, GoneAt is cleared.
func (j *Journal) UpsertObjects(ctx context.Context, objects []event.SnapshotObject) error {
	return j.do(ctx, func(t *txn) error {
		for i := range objects {
			if err := t.upsertObject(&objects[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *txn) upsertObject(o *event.SnapshotObject) error {
	fields, err := json.Marshal(o.Fields)
	if err != nil {
		return err
	}
	first := o.FirstSeen
	if first.IsZero() {
		first = o.LastSeen
	}
	return t.exec(upsertObject, o.Type, o.ID, o.AccountID, o.Name, string(fields), nanos(first), nanos(o.LastSeen), o.Pass)
}

// MarkGone notes that an object is gone; its name is kept. Unknown objects are
// ignored.
func (j *Journal) MarkGone(ctx context.Context, typ, id string, at time.Time) error {
	return j.do(ctx, func(t *txn) error { return t.markGone(typ, id, at) })
}

func (t *txn) markGone(typ, id string, at time.Time) error {
	return t.exec("UPDATE objects SET gone = ? WHERE type = ? AND id = ? AND gone = 0", nanos(at), typ, id)
}

// AppendObserved appends a resync's record and applies the change of the
// snapshot that it tells of in one transaction, also if the event is already
// held: o is marked gone if its GoneAt is set, else stored as living.
func (j *Journal) AppendObserved(ctx context.Context, r event.Record, o event.SnapshotObject) (event.Appended, error) {
	return j.submit(ctx, &request{append: true, rec: normal(r), done: make(chan struct{}, 1), op: func(t *txn) error {
		if o.GoneAt.IsZero() {
			return t.upsertObject(&o)
		}
		return t.markGone(o.Type, o.ID, o.GoneAt)
	}})
}

// Revive notes that a listing begun at since saw the object alive, so that a
// later deletion is a new event. It does nothing if the object is not known as
// deleted, or was deleted at or after a minute before since: then the listing
// may be older than the deletion.
func (j *Journal) Revive(ctx context.Context, typ, id string, since time.Time) error {
	k := event.LifecycleKey(typ, id)
	return j.do(ctx, func(t *txn) error {
		if err := t.prefetchLife([]driver.Value{k[:]}); err != nil {
			return err
		}
		l := t.lifecycle(k)
		if !l.revive(nanos(since)) {
			return nil
		}
		t.life[k] = l
		t.wrote = true
		return putLives(t.c, []lifecycle{l})
	})
}

// Object returns what is known of an object, also of one that is gone.
func (j *Journal) Object(ctx context.Context, typ, id string) (o event.SnapshotObject, ok bool, err error) {
	err = j.read(ctx, func(c *conn) error {
		return c.rows(ctx, "SELECT "+objectColumns+" FROM objects WHERE type = ? AND id = ?", []any{typ, id}, func(v []driver.Value) error {
			ok = true
			if o, err = scanObject(v); err != nil {
				return err
			}
			return errStop
		})
	})
	return o, ok, err
}

// Objects streams the living objects of a type in order of account and id; of
// one account, or of all where account is "". Objects that change meanwhile may
// be seen either way.
func (j *Journal) Objects(ctx context.Context, typ, account string) iter.Seq2[event.SnapshotObject, error] {
	return j.stream(ctx, typ, account, -1)
}

// ObjectsNotSeen streams those of Objects that no listing since pass has seen.
func (j *Journal) ObjectsNotSeen(ctx context.Context, typ, account string, pass int64) iter.Seq2[event.SnapshotObject, error] {
	return j.stream(ctx, typ, account, pass)
}

const objectPage = 500

// stream reads page by page, so that nothing is held while the caller works.
func (j *Journal) stream(ctx context.Context, typ, account string, before int64) iter.Seq2[event.SnapshotObject, error] {
	return func(yield func(event.SnapshotObject, error) bool) {
		lastAccount, lastID := account, ""
		for {
			page, err := j.objectPage(ctx, typ, account, before, lastAccount, lastID)
			if err != nil {
				yield(event.SnapshotObject{}, err)
				return
			}
			for _, o := range page {
				if !yield(o, nil) {
					return
				}
				lastAccount, lastID = o.AccountID, o.ID
			}
			if len(page) < objectPage {
				return
			}
		}
	}
}

func (j *Journal) objectPage(ctx context.Context, typ, account string, before int64, lastAccount, lastID string) (page []event.SnapshotObject, err error) {
	sql := "SELECT " + objectColumns + " FROM objects WHERE gone = 0 AND type = ? AND (account, id) > (?, ?)"
	args := []any{typ, lastAccount, lastID}
	if account != "" {
		sql += " AND account = ?"
		args = append(args, account)
	}
	if before >= 0 {
		sql += " AND pass < ?"
		args = append(args, before)
	}
	sql += fmt.Sprintf(" ORDER BY account, id LIMIT %d", objectPage)
	err = j.read(ctx, func(c *conn) error {
		return c.rows(ctx, sql, args, func(v []driver.Value) error {
			o, err := scanObject(v)
			page = append(page, o)
			return err
		})
	})
	return page, err
}

// CountObjects is how many living objects there are; account "" counts all.
func (j *Journal) CountObjects(ctx context.Context, typ, account string) (int, error) {
	sql, args := "SELECT count(*) FROM objects WHERE gone = 0 AND type = ?", []any{typ}
	if account != "" {
		sql += " AND account = ?"
		args = append(args, account)
	}
	var n int64
	err := j.read(ctx, func(c *conn) error {
		_, err := c.ints(ctx, sql, args, &n)
		return err
	})
	return int(n), err
}

func scanObject(v []driver.Value) (o event.SnapshotObject, err error) {
	s := func(i int) string {
		x, _ := v[i].(string)
		return x
	}
	n := func(i int) int64 {
		x, _ := v[i].(int64)
		return x
	}
	o = event.SnapshotObject{
		Type: s(0), ID: s(1), AccountID: s(2), Name: s(3),
		FirstSeen: fromNanos(n(5)), LastSeen: fromNanos(n(6)), GoneAt: fromNanos(n(7)), Pass: n(8),
	}
	if err := json.Unmarshal([]byte(s(4)), &o.Fields); err != nil {
		return o, fmt.Errorf("fields of %s %s: %w", o.Type, o.ID, err)
	}
	return o, nil
}
