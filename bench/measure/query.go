package measure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// Query is what a question to a journal takes, up to 100 events of an answer
// included.
type Query struct {
	Events   int64  `json:"events"`
	Kind     string `json:"kind"`
	MedianMS Spread `json:"median_ms"`
	P99MS    Spread `json:"p99_ms"`
	Found    int    `json:"found"`              // events of an answer, on average
	OfFirst  Spread `json:"median_of_smallest"` // ratio within each round: that of the smallest journal
}

type queryRound struct{ median, p99 float64 }

// queries asks journals of all sizes, interleaved.
func (m *measurer) queries(ctx context.Context) error {
	rounds := map[int64]map[string][]queryRound{}
	found := map[int64]map[string]int{}
	var kinds []string
	for range m.o.Rounds {
		for _, n := range m.o.Events {
			a, err := m.archive(ctx, n)
			if err != nil {
				return err
			}
			m.o.progress(fmt.Sprintf("queries over %d events", n))
			if rounds[n] == nil {
				rounds[n], found[n] = map[string][]queryRound{}, map[string]int{}
			}
			kinds = kinds[:0]
			err = a.ask(ctx, m.o.Queries, func(kind string, times []time.Duration, events int) {
				slices.Sort(times)
				kinds = append(kinds, kind)
				rounds[n][kind] = append(rounds[n][kind], queryRound{millis(quantile(times, 0.5)), millis(quantile(times, 0.99))})
				found[n][kind] = events / len(times)
			})
			if err != nil {
				return err
			}
		}
	}
	median := func(r queryRound) float64 { return r.median }
	for _, kind := range kinds {
		for _, n := range m.o.Events {
			m.report.Queries = append(m.report.Queries, Query{
				Events: n, Kind: kind, Found: found[n][kind],
				MedianMS: over(rounds[n][kind], median), P99MS: over(rounds[n][kind], func(r queryRound) float64 { return r.p99 }),
				OfFirst: ratios(rounds[n][kind], rounds[m.o.Events[0]][kind], median),
			})
		}
	}
	return nil
}

// ask puts every kind of question, each time about something else.
func (a archive) ask(ctx context.Context, times int, tell func(kind string, times []time.Duration, events int)) error {
	j, err := journal.OpenReadOnly(ctx, journal.Options{Dir: a.dir})
	if err != nil {
		return err
	}
	defer func() { _ = j.Close() }()                         // read only
	any := func() int64 { return rand.Int64N(a.events) + 1 } //nolint:gosec // which one is of no importance
	at := func() time.Time { return a.start.Add(time.Duration(any()) * archiveEvery) }
	for _, q := range []struct {
		kind string
		next func() event.Query
	}{
		{"newest", func() event.Query { return event.Query{} }},
		{"of an account", func() event.Query { return event.Query{Accounts: []string{a.account(any())}} }},
		{"of an object", func() event.Query { return event.Query{Objects: []string{a.object(any())}} }},
		{"of a minute", func() event.Query { t := at(); return event.Query{Since: t, Until: t.Add(time.Minute)} }},
		{"of an account before a time", func() event.Query { return event.Query{Accounts: []string{a.account(any())}, Until: at()} }},
		{"of a rare name", func() event.Query { return event.Query{Events: []string{"user.deleted"}} }},
	} {
		took, found := make([]time.Duration, times), 0
		for i := range took {
			query := q.next()
			start := time.Now()
			recs, err := j.Query(ctx, query)
			if took[i] = time.Since(start); err != nil {
				return fmt.Errorf("query %s: %w", q.kind, err)
			}
			found += len(recs)
		}
		tell(q.kind, took, found)
	}
	return nil
}
