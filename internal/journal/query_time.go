package journal

import (
	"context"
	"database/sql/driver"
	"slices"
	"sort"
	"time"
)

// narrowByTime finds the numbers of the events received in the query's time:
// a range, because numbers follow the time of the append, and others that were
// received at another time than that.
func (s *selection) narrowByTime(ctx context.Context, lo, hi int64) (err error) {
	if s.q.Since.IsZero() && s.q.Until.IsZero() || lo > hi {
		return nil
	}
	since, until := int64(-1<<63), int64(1<<63-1)
	if !s.q.Since.IsZero() {
		since = s.q.Since.UnixNano()
		if s.lo, err = s.seqAt(ctx, lo, hi, since); err != nil {
			return err
		}
	}
	if !s.q.Until.IsZero() {
		until = s.q.Until.UnixNano()
		end, err := s.seqAt(ctx, lo, hi, until+lateAfter+int64(time.Millisecond))
		if err != nil {
			return err
		}
		s.hi = end - 1
	}
	note := func(seq int64) {
		if lo <= seq && seq <= hi && (seq < s.lo || seq > s.hi) {
			s.others = append(s.others, seq)
		}
	}
	t := s.j.tail
	t.mu.RLock()
	for i, p := range t.pending {
		if p.late && p.received >= since && p.received < until {
			note(t.seqAt(i))
		}
	}
	t.mu.RUnlock()
	err = s.c.rows(ctx, "SELECT seq FROM late WHERE received >= ? AND received < ?", []any{since, until}, func(v []driver.Value) error {
		seq, _ := v[0].(int64)
		note(seq)
		return nil
	})
	slices.Sort(s.others)
	s.others = slices.Compact(s.others)
	return err
}

// seqAt is the first event of lo..hi that was appended at or after a time (to
// the millisecond), hi+1 if none was.
func (s *selection) seqAt(ctx context.Context, lo, hi, at int64) (int64, error) {
	ms := at / int64(time.Millisecond)
	var failed error
	n := sort.Search(int(hi-lo+1), func(i int) bool {
		if failed != nil {
			return true
		}
		r, ok, err := readRow(ctx, s.c, lo+int64(i))
		if err != nil {
			failed = err
		}
		// Gone meanwhile: it was the oldest.
		return ok && int64(r.id.Time()) >= ms
	})
	return lo + int64(n), failed
}
