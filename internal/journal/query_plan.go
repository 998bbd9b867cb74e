package journal

import (
	"context"
	"database/sql/driver"
	"math"
	"slices"
	"strings"

	"kazoohook/internal/event"
)

const (
	// maxHashes is up to how many names the index is asked for at once.
	maxHashes = 64
	// planPage is how many places the index is asked for at once.
	planPage = 512
	// maxSpan ends a statement now and then: while it runs, the database's log
	// can't start over.
	maxSpan = 1 << 14
)

// selection is where the events of a query may be. Time narrows the numbers:
// events are in order of their append, and the few whose received time is
// another are listed by themselves. Within that, the rarest of object, account
// and name that the query gives narrows it by the index.
type selection struct {
	j *Journal
	c *conn
	q event.Query

	lo, hi  int64   // events received when they were appended
	others  []int64 // events received long before, outside of lo..hi; ascending
	indexed int64   // above, the index is not yet right: see pending
	hashes  []hashRange
	width   int64   // events that one place in the index stands for
	pending []int64 // ascending
}

type hashRange struct{ lo, hi int64 }

func (s *selection) plan(ctx context.Context) error {
	first, last := s.j.tail.bounds()
	s.lo, s.hi = seqBounds(s.q, first, last)
	if err := s.narrowByTime(ctx, s.lo, s.hi); err != nil {
		return err
	}
	groups, err := s.groups(ctx)
	if err != nil || len(groups) == 0 {
		return err
	}
	best := groups[0]
	if len(groups) > 1 {
		least := int64(math.MaxInt64)
		for _, g := range groups {
			n, err := s.places(ctx, g)
			if err != nil {
				return err
			}
			if n < least {
				best, least = g, n
			}
		}
	}
	s.hashes, s.width = best.hashes, best.width
	s.usePending(best)
	return nil
}

// group is one way to narrow the query by the index.
type group struct {
	hashes []hashRange
	width  int64
	of     func(*pendingEntry) int64
}

func (s *selection) groups(ctx context.Context) (groups []group, err error) {
	if n := len(s.q.Objects); n > 0 && n <= maxHashes && !slices.Contains(s.q.Objects, "") {
		g := group{width: 1, of: func(p *pendingEntry) int64 { return p.identity }}
		for _, id := range s.q.Objects {
			lo, hi := objectRange(id)
			g.hashes = append(g.hashes, hashRange{lo, hi})
		}
		return append(groups, g), nil
	}
	for _, f := range []struct {
		kind     byte
		patterns []string
		hash     func(string) int64
		of       func(*pendingEntry) int64
	}{
		{'a', s.q.Accounts, accountHash, func(p *pendingEntry) int64 { return p.account }},
		{'e', s.q.Events, nameHash, func(p *pendingEntry) int64 { return p.name }},
	} {
		names, ok, err := s.names(ctx, f.kind, f.patterns)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		g := group{width: blockSize, of: f.of}
		for _, n := range names {
			g.hashes = append(g.hashes, hashRange{f.hash(n), f.hash(n)})
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// names are what patterns stand for; ok is false if the index is no help.
func (s *selection) names(ctx context.Context, kind byte, patterns []string) (names []string, ok bool, err error) {
	if len(patterns) == 0 {
		return nil, false, nil
	}
	for _, p := range patterns {
		if !isPattern(p) {
			names = append(names, p)
			continue
		}
		if p == strings.Repeat("*", len(p)) {
			return nil, false, nil
		}
		err := s.c.rows(ctx, "SELECT name FROM names WHERE kind = ? AND name GLOB ? LIMIT ?",
			[]any{string(kind), glob(p), int64(maxHashes + 1)}, func(v []driver.Value) error {
				name, _ := v[0].(string)
				names = append(names, name)
				return nil
			})
		if err != nil {
			return nil, false, err
		}
		s.j.tail.mu.RLock()
		for _, n := range s.j.tail.fresh {
			if n.kind == kind && event.Wildcard(p, n.name) {
				names = append(names, n.name)
			}
		}
		s.j.tail.mu.RUnlock()
		if event.Wildcard(p, "") {
			names = append(names, "")
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names, len(names) <= maxHashes, nil
}

// places estimates how much of the index a group has, up to a bound.
func (s *selection) places(ctx context.Context, g group) (n int64, err error) {
	const enough = 2000
	for _, h := range g.hashes {
		var k int64
		if _, err := s.c.ints(ctx, "SELECT count(*) FROM (SELECT 1 FROM idx WHERE h = ? LIMIT ?)", []any{h.lo, int64(enough)}, &k); err != nil {
			return 0, err
		}
		if n += k; n >= enough {
			break
		}
	}
	return n, nil
}

// usePending finds the events that the index doesn't know.
func (s *selection) usePending(g group) {
	t := s.j.tail
	t.mu.RLock()
	defer t.mu.RUnlock()
	s.indexed = t.indexed
	for i := range t.pending {
		h, seq := g.of(&t.pending[i]), t.seqAt(i)
		if seq >= s.lo && seq <= s.hi && slices.ContainsFunc(g.hashes, func(r hashRange) bool { return r.lo <= h && h <= r.hi }) {
			s.pending = append(s.pending, seq)
		}
	}
}
