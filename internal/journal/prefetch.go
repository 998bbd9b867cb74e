package journal

import (
	"database/sql/driver"

	"kazoohook/internal/event"
)

// prefetch looks up what the tables know of the records of a transaction, for
// all of them at once: a query for each would cost more than storing them.
func (t *txn) prefetch(batch []*request) error {
	var life, content []driver.Value
	for _, r := range batch {
		if !r.append {
			continue
		}
		switch r.rec.Dedupe.Rule {
		case event.RuleLifecycle:
			life = append(life, r.rec.Dedupe.Key[:])
		case event.RuleContent:
			content = append(content, identityHash(r.rec.ObjectID, r.rec.Dedupe.Key))
		}
	}
	if err := t.prefetchLife(life); err != nil || len(content) == 0 {
		return err
	}
	first := t.j.tail.first
	return t.lookup("SELECT h, pos FROM idx WHERE h IN (", content, func(v []driver.Value) error {
		h, _ := v[0].(int64)
		pos, _ := v[1].(int64)
		if pos >= first {
			t.held[h] = append(t.held[h], pos)
		}
		return nil
	})
}

// prefetchLife looks up objects; lifecycle knows which of them are out of date.
func (t *txn) prefetchLife(keys []driver.Value) error {
	return t.lookup("SELECT "+lifecycleColumns+" FROM lifecycle WHERE key IN (", keys, func(v []driver.Value) error {
		l := scanLifecycle(v)
		t.seen[l.key] = l
		return nil
	})
}

// lookup runs a query for all keys, in portions of the sizes that are prepared;
// a portion is filled up with repetitions.
func (t *txn) lookup(sql string, keys []driver.Value, each func([]driver.Value) error) error {
	for len(keys) > 0 {
		size := 1
		for size < len(keys) && size < 64 {
			size *= 4
		}
		args := make([]any, size)
		for i := range args {
			args[i] = keys[min(i, len(keys)-1)]
		}
		keys = keys[min(size, len(keys)):]
		if err := t.c.rows(ctx0, sql+placeholders(size)+")", args, each); err != nil {
			return err
		}
	}
	return nil
}
