package journal

import (
	"database/sql/driver"
	"strings"
	"time"
)

// lifecycleTTL is how long an object's row is kept after its last event: longer
// than events, because Kazoo fires doc_deleted again at any later save of a
// deleted document.
const lifecycleTTL = 400 * 24 * time.Hour

// expireEvery is how often rows beyond it are looked for.
const expireEvery = 24 * time.Hour

// sweepStep is how many rows one transaction looks at.
const sweepStep = 2000

// sweep removes rows from a table in order of its key, in steps, so that those
// it touches are neighbours.
type sweep struct {
	table, key string // key: its columns
	where      string // with one parameter, bound
	bound      int64
	at         []any // key of the last row looked at; nil: none yet
}

// sweep does a step of what is to be swept. Index entries of removed events do
// no harm, so they wait until they are many.
func (w *writer) sweep() (more bool, err error) {
	p := &w.pruner
	if len(p.sweeps) == 0 {
		p.sweeps = w.dueSweeps()
	}
	if len(p.sweeps) == 0 {
		return false, nil
	}
	var done bool
	err = w.alone(func() error {
		done, err = p.sweeps[0].step(w.c)
		return err
	})
	if done && err == nil {
		p.sweeps = p.sweeps[1:]
	}
	return true, err
}

func (w *writer) dueSweeps() (due []sweep) {
	t, p := w.j.tail, &w.pruner
	if gone := t.first - 1 - p.swept; gone > (t.last-t.first)/8+pruneStep {
		p.swept = t.first - 1
		due = append(due,
			sweep{table: "idx", key: "h, pos", where: "pos < ?", bound: block(t.first)},
			sweep{table: "late", key: "received, seq", where: "seq < ?", bound: t.first})
	}
	if now := w.j.opt.Now(); now.Sub(p.expired) >= expireEvery {
		p.expired = now
		before := now.Add(-lifecycleTTL).UnixNano()
		due = append(due,
			sweep{table: "lifecycle", key: "key", where: "touched < ?", bound: before},
			sweep{table: "firings", key: "hook_id, firing", where: "at < ?", bound: before})
	}
	return due
}

// step looks at the next rows; done says that there are no more.
func (s *sweep) step(c *conn) (done bool, err error) {
	marks := placeholders(strings.Count(s.key, ",") + 1)
	after, args := "1", []any(nil)
	if s.at != nil {
		after, args = "("+s.key+") > ("+marks+")", s.at
	}
	var end []any
	err = c.rows(ctx0, "SELECT "+s.key+" FROM "+s.table+" WHERE "+after+" ORDER BY "+s.key+" LIMIT 1 OFFSET ?",
		append(args[:len(args):len(args)], int64(sweepStep)), func(v []driver.Value) error {
			for _, x := range v {
				end = append(end, x)
			}
			return errStop
		})
	if err != nil {
		return false, err
	}
	sql := "DELETE FROM " + s.table + " WHERE " + s.where + " AND " + after
	args = append([]any{s.bound}, args...)
	if end != nil {
		sql += " AND (" + s.key + ") <= (" + marks + ")"
		args = append(args, end...)
	}
	s.at = end
	return end == nil, c.exec(sql, args...)
}
