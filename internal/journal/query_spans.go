package journal

import (
	"context"
	"database/sql/driver"
	"slices"
	"sort"
	"strings"
)

// spans visits the ranges of numbers where the query's events may be, in the
// query's order and without overlap, until yield returns false.
func (s *selection) spans(ctx context.Context, yield func(lo, hi int64) (bool, error)) error {
	w := &walker{down: !s.q.OldestFirst, span: s.j.opt.span, yield: yield}
	cut := sort.Search(len(s.others), func(i int) bool { return s.others[i] > s.hi })
	below, above := s.others[:cut], s.others[cut:]
	steps := []func() error{
		func() error { return w.each(below) },
		func() error { return s.middle(ctx, w) },
		func() error { return w.each(above) },
	}
	if w.down {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil || w.stop {
			return err
		}
		if err := w.flush(); err != nil || w.stop {
			return err
		}
	}
	return nil
}

// middle visits lo..hi, or what the index and the pending events say of it.
func (s *selection) middle(ctx context.Context, w *walker) error {
	if s.lo > s.hi {
		return nil
	}
	if s.hashes == nil {
		return w.add(s.lo, s.hi)
	}
	steps := []func() error{
		func() error { return s.indexPages(ctx, w) },
		func() error { return w.each(s.pending) },
	}
	if w.down {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil || w.stop {
			return err
		}
	}
	return nil
}

// indexPages asks the index, page by page.
func (s *selection) indexPages(ctx context.Context, w *walker) error {
	var parts []string
	for _, h := range s.hashes {
		if h.lo == h.hi { // in order of pos by itself
			parts = append(parts, "SELECT pos FROM idx WHERE h = ? AND pos BETWEEN ? AND ?")
		} else {
			parts = append(parts, "SELECT pos FROM idx WHERE h BETWEEN ? AND ? AND pos BETWEEN ? AND ?")
		}
	}
	sql := strings.Join(parts, " UNION ") + " ORDER BY pos" + direction(s.q) + " LIMIT ?"
	hi := min(s.hi, s.indexed)
	lo := s.lo - s.lo%s.width
	for lo <= hi {
		var args []any
		for _, h := range s.hashes {
			if args = append(args, h.lo); h.lo != h.hi {
				args = append(args, h.hi)
			}
			args = append(args, lo, hi)
		}
		var page []int64
		err := s.c.adhoc(ctx, sql, append(args, int64(planPage)), func(v []driver.Value) error {
			pos, _ := v[0].(int64)
			page = append(page, pos)
			return nil
		})
		if err != nil {
			return err
		}
		for _, pos := range page {
			if err := w.add(max(pos, s.lo), min(pos+s.width-1, s.hi, s.indexed)); err != nil || w.stop {
				return err
			}
		}
		if len(page) < planPage {
			return nil
		}
		if end := page[len(page)-1]; w.down {
			hi = end - 1
		} else {
			lo = end + 1
		}
	}
	return nil
}

// walker joins neighbouring ranges and cuts long ones.
type walker struct {
	down   bool
	span   int64 // longest range
	yield  func(lo, hi int64) (bool, error)
	stop   bool
	lo, hi int64
	held   bool
}

func (w *walker) each(seqs []int64) error {
	for i := range seqs {
		seq := seqs[i]
		if w.down {
			seq = seqs[len(seqs)-1-i]
		}
		if err := w.add(seq, seq); err != nil || w.stop {
			return err
		}
	}
	return nil
}

func (w *walker) add(lo, hi int64) error {
	switch {
	case lo > hi || w.stop:
		return nil
	case w.held && w.down && hi == w.lo-1 && w.hi-lo < w.span:
		w.lo = lo
		return nil
	case w.held && !w.down && lo == w.hi+1 && hi-w.lo < w.span:
		w.hi = hi
		return nil
	}
	if err := w.flush(); err != nil || w.stop {
		return err
	}
	w.lo, w.hi, w.held = lo, hi, true
	return nil
}

// flush visits what is held.
func (w *walker) flush() error {
	for w.held && !w.stop {
		lo, hi := w.lo, w.hi
		switch {
		case hi-lo < w.span:
			w.held = false
		case w.down:
			lo = hi - w.span + 1
			w.hi = lo - 1
		default:
			hi = lo + w.span - 1
			w.lo = hi + 1
		}
		more, err := w.yield(lo, hi)
		w.stop = !more
		if err != nil {
			return err
		}
	}
	return nil
}
