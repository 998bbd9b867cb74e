package journal

import (
	"context"
	"database/sql/driver"

	"kazoohook/internal/event"
)

// DefaultLimit is how many events a query without a Limit returns at most.
const DefaultLimit = 100

// Query returns the events that q selects, newest first unless q says
// otherwise. To page, set Before (or After) to the last Seq of the page before.
func (j *Journal) Query(ctx context.Context, q event.Query) (recs []event.Record, err error) {
	if q.Limit <= 0 {
		q.Limit = DefaultLimit
	}
	err = j.visit(ctx, q, columns, func(v []driver.Value) error {
		r, err := scanRow(v)
		if err != nil {
			return err
		}
		if q.Text == "" || q.Match(r.Record) {
			recs = append(recs, r.Record)
		}
		if len(recs) >= q.Limit {
			return errStop
		}
		return nil
	})
	return recs, err
}

// Count is the number of events that q selects, whatever its Limit.
func (j *Journal) Count(ctx context.Context, q event.Query) (n int64, err error) {
	q.Limit = 0
	if q.Text != "" {
		err = j.visit(ctx, q, columns, func(v []driver.Value) error {
			r, err := scanRow(v)
			if err == nil && q.Match(r.Record) {
				n++
			}
			return err
		})
		return n, err
	}
	if selectsAll(q) {
		first, last := j.tail.bounds()
		lo, hi := seqBounds(q, first, last)
		return max(0, hi-lo+1), ctx.Err()
	}
	err = j.visit(ctx, q, "count(*)", func(v []driver.Value) error {
		k, _ := v[0].(int64)
		n += k
		return nil
	})
	return n, err
}

// selectsAll: nothing but numbers restricts the query.
func selectsAll(q event.Query) bool {
	return q.Since.IsZero() && q.Until.IsZero() && len(q.Events) == 0 && len(q.Accounts) == 0 && len(q.Objects) == 0 && q.Text == ""
}

func seqBounds(q event.Query, first, last int64) (lo, hi int64) {
	lo, hi = max(first, q.After+1), last
	if q.Before > 0 {
		hi = min(hi, q.Before-1)
	}
	return lo, hi
}

// visit selects what from each span of events where q may be satisfied, in q's
// order; all of q but its text and limit is seen to. each ends it with errStop.
func (j *Journal) visit(ctx context.Context, q event.Query, what string, each func([]driver.Value) error) error {
	where, args := condition(q)
	sql := "SELECT " + what + " FROM events WHERE seq BETWEEN ? AND ?" + where
	if what == columns {
		sql += " ORDER BY seq" + direction(q)
	}
	stopped := false
	watch := func(v []driver.Value) error {
		err := each(v)
		stopped = stopped || err != nil
		return err
	}
	return j.read(ctx, func(c *conn) error {
		s := selection{j: j, c: c, q: q}
		if err := s.plan(ctx); err != nil {
			return err
		}
		stmt, err := c.once(sql)
		if err != nil {
			return err
		}
		defer func() { _ = stmt.Close() }()
		return s.spans(ctx, func(lo, hi int64) (bool, error) {
			all := append([]any{lo, hi}, args...)
			err := c.scan(ctx, stmt, all, watch)
			return err == nil && !stopped, err
		})
	})
}

func direction(q event.Query) string {
	if q.OldestFirst {
		return ""
	}
	return " DESC"
}
