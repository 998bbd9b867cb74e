package search

import (
	"context"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
)

const (
	// MaxLooks is how many events one search looks at, at most.
	MaxLooks = 20_000
	// maxRuns is how many runs of an index a search reads at most. A search that would
	// need more looks at every event.
	maxRuns = 2000
	// runPage is how many numbers of each run are read at first.
	runPage = 128
)

// Visit calls each for the events from first to last that q selects, in q's order,
// until each returns false. It returns the number of the last event it looked at, 0
// if there is nothing more. It looks at MaxLooks events at most. Events that can't be
// read are left out and noted in the ledger.
func Visit(ctx context.Context, c *database.Conn, l *integrity.Ledger, q event.Query, first, last int64, each func(*event.Record) bool) (next int64, err error) {
	s := search{c: c, l: l, q: q, lo: max(first, q.After+1), hi: last}
	if q.Before > 0 {
		s.hi = min(s.hi, q.Before-1)
	}
	if err := s.around(s.plan(ctx)); err != nil {
		return 0, err
	}
	page := runPage
	if q.Limit > 0 {
		page = min(runPage, max(16, q.Limit))
	}
	for looked := 0; looked < MaxLooks; page = min(2*page, MaxLooks-looked) {
		seqs, err := s.page(ctx, page)
		if database.IsDamage(err) {
			_ = s.around(err)
			continue
		}
		for _, seq := range seqs {
			s.pass(seq)
			next = seq
			r, ok, err := tables.Read(ctx, c, l, "events", seq)
			switch {
			case database.IsDamage(err):
				l.Unreadable(seq, err)
			case err != nil:
				return next, err
			case ok && q.Match(r.Record) && !each(&r.Record):
				return next, nil
			}
		}
		if looked += len(seqs); err != nil || len(seqs) < page {
			return 0, err
		}
	}
	return next, nil
}

// search finds the numbers of the events that a query may select, in its order. It
// merges runs of an index; in each run the events are in order. A span of time becomes
// a range of numbers, because events are ordered by the time of their append. The few
// with another received time have an index of their own.
type search struct {
	c      *database.Conn
	l      *integrity.Ledger
	q      event.Query
	runs   []run
	lo, hi int64 // numbers that are still to be looked at
}

// run is a part of an index, or all numbers.
type run struct {
	where  string // index and condition; "" for all numbers, also those of no event
	args   []any
	lo, hi int64
}

// page returns the next numbers of all runs.
func (s *search) page(ctx context.Context, n int) (seqs []int64, err error) {
	order := " DESC"
	if s.q.OldestFirst {
		order = ""
	}
	for _, r := range s.runs {
		lo, hi := max(r.lo, s.lo), min(r.hi, s.hi)
		for i := 0; r.where == "" && i < n && lo <= hi; i++ {
			if s.q.OldestFirst {
				seqs, lo = append(seqs, lo), lo+1
			} else {
				seqs, hi = append(seqs, hi), hi-1
			}
		}
		if r.where == "" || lo > hi {
			continue
		}
		sql := "SELECT seq FROM events " + r.where + " AND seq BETWEEN ? AND ? ORDER BY seq" + order + " LIMIT ?"
		err := s.c.Rows(ctx, sql, append(slices.Clone(r.args), lo, hi, int64(n)), func(v database.Row) error {
			seqs = append(seqs, v.Int(0))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(seqs)
	if !s.q.OldestFirst {
		slices.Reverse(seqs)
	}
	return seqs[:min(n, len(seqs))], ctx.Err()
}

// pass notes that an event was looked at.
func (s *search) pass(seq int64) {
	if s.q.OldestFirst {
		s.lo = seq + 1
	} else {
		s.hi = seq - 1
	}
}

// around continues without the indexes if one of them is damaged: it takes all
// numbers that are still to be looked at.
func (s *search) around(err error) error {
	if !database.IsDamage(err) {
		return err
	}
	s.l.Lookup(err)
	s.runs = []run{{lo: s.lo, hi: s.hi}}
	return nil
}

// plan chooses the runs: events that were appended in the query's time, and events
// that were received then but appended at another time.
func (s *search) plan(ctx context.Context) (err error) {
	lo, hi := s.lo, s.hi
	since, until := int64(-1<<63), int64(1<<63-1)
	if !s.q.Since.IsZero() {
		since = s.q.Since.UnixNano()
		if lo, err = SeqAt(ctx, s.c, s.lo, s.hi, s.q.Since); err != nil {
			return err
		}
	}
	if !s.q.Until.IsZero() {
		until = s.q.Until.UnixNano()
		if hi, err = SeqAt(ctx, s.c, s.lo, s.hi, s.q.Until.Add(tables.LateAfter+time.Millisecond)); err != nil {
			return err
		}
		hi--
	}
	if s.runs, err = s.choose(ctx); err != nil {
		return err
	}
	for i := range s.runs {
		s.runs[i].lo, s.runs[i].hi = lo, hi
	}
	const late = "INDEXED BY events_late WHERE late > 0 AND late = ? AND received >= ? AND received < ?"
	s.runs = append(s.runs, run{late, []any{int64(tables.ReceivedAhead), since, until}, s.lo, lo - 1},
		run{late, []any{int64(tables.ReceivedBefore), since, until}, hi + 1, s.hi})
	return nil
}

// choose takes the first index that the query can use: of objects, of accounts or of
// events. There is a run for each key, event name and source. If no index is useful,
// one run has all numbers.
func (s *search) choose(ctx context.Context) (runs []run, err error) {
	all := []run{{where: "NOT INDEXED WHERE true"}} // a restore skips 100,000 numbers
	where, keys := "INDEXED BY events_event WHERE ", [][]any{nil}
	switch {
	case len(s.q.Objects) > 0 && !slices.Contains(s.q.Objects, ""):
		where, keys = "INDEXED BY events_object WHERE object_id = ? AND ", nil
		for _, id := range slices.Compact(slices.Sorted(slices.Values(s.q.Objects))) {
			keys = append(keys, []any{tables.PackID(id)})
		}
	case len(s.q.Accounts) > 0:
		where = "INDEXED BY events_account WHERE account = ? AND "
		if keys, err = s.accounts(ctx); err != nil {
			return nil, err
		}
	case len(s.q.Events)+len(s.q.Sources) == 0:
		return all, nil
	}
	kinds, err := s.kinds(ctx)
	if err != nil || len(keys)*len(kinds) > maxRuns {
		return all, err
	}
	for _, key := range keys {
		for _, kind := range kinds {
			runs = append(runs, run{where: where + "event = ? AND source = ?", args: append(slices.Clone(key), kind[0], kind[1])})
		}
	}
	return runs, nil
}

// kinds returns the event names, by id, and sources that the query may select.
func (s *search) kinds(ctx context.Context) (list [][2]int64, err error) {
	const there = "SELECT n.id, s.column1, n.name FROM (SELECT id, name FROM names WHERE kind = 'e' UNION ALL SELECT 0, '') n, " +
		"(VALUES (0), (1), (2), (3), (4)) s WHERE EXISTS (SELECT 1 FROM events INDEXED BY events_event WHERE event = n.id AND source = s.column1)"
	err = s.c.Rows(ctx, there, nil, func(v database.Row) error {
		named := func(pattern string) bool { return event.Wildcard(pattern, v.Text(2)) }
		from := func(source event.Source) bool { return tables.SourceCode(source) == v.Int(1) }
		if (len(s.q.Events) == 0 || slices.ContainsFunc(s.q.Events, named)) && (len(s.q.Sources) == 0 || slices.ContainsFunc(s.q.Sources, from)) {
			list = append(list, [2]int64{v.Int(0), v.Int(1)})
		}
		return nil
	})
	return list, err
}

// accounts returns the ids of the accounts that the query names, or of the first
// accounts if there are too many.
func (s *search) accounts(ctx context.Context) (keys [][]any, err error) {
	const all = "SELECT id FROM (SELECT id, name FROM names WHERE kind = 'a' UNION ALL SELECT 0, '') WHERE name "
	seen := map[int64]bool{}
	for _, p := range s.q.Accounts {
		sql := all + "= ?"
		if strings.ContainsAny(p, "*?") {
			sql, p = all+"GLOB ?", strings.ReplaceAll(p, "[", "[[]") // special in SQLite, but not in our patterns
		}
		err := s.c.Rows(ctx, sql+" LIMIT ?", []any{p, int64(maxRuns + 1)}, func(v database.Row) error {
			if id := v.Int(0); !seen[id] {
				seen[id] = true
				keys = append(keys, []any{id})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// SeqAt returns the number of the first event of lo..hi that was appended at or after
// a time (to the millisecond), hi+1 if there is none.
func SeqAt(ctx context.Context, c *database.Conn, lo, hi int64, at time.Time) (int64, error) {
	ms := at.UnixMilli()
	var failed error
	n := sort.Search(int(max(0, hi-lo+1)), func(i int) bool {
		found, ok := int64(0), false
		// Take the next event: numbers may have gaps.
		err := c.Rows(ctx, "SELECT id FROM events WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT 1", []any{lo + int64(i), hi}, func(v database.Row) error {
			var id ulid.ULID
			ok = copy(id[:], v.Blob(0)) == len(id)
			found = int64(id.Time())
			return database.ErrStop
		})
		if err != nil && !database.IsDamage(err) {
			failed = err
		}
		return !ok || found >= ms
	})
	return lo + int64(n), failed
}
