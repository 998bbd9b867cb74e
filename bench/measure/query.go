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

// Query has the time of a query to a journal, with up to 100 events in the answer.
type Query struct {
	Events   int64  `json:"events"`
	Kind     string `json:"kind"`
	MedianMS Spread `json:"median_ms"`
	P99MS    Spread `json:"p99_ms"`
	Found    int    `json:"found"`              // events of an answer, on average
	OfFirst  Spread `json:"median_of_smallest"` // to that of the smallest journal; ratio within each round
}

type queryRound struct{ median, p99 float64 }

// queries measures queries to journals of all sizes, interleaved.
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

// ask makes queries of every kind, each time with other values.
func (a archive) ask(ctx context.Context, times int, report func(kind string, times []time.Duration, events int)) error {
	j, err := journal.OpenReadOnly(ctx, journal.Options{Dir: a.dir})
	if err != nil {
		return err
	}
	defer func() { _ = j.Close() }() // read only
	for _, q := range a.questions() {
		took, found := make([]time.Duration, times), 0
		for i := range took {
			query := q.next()
			start := time.Now()
			recs, _, err := j.Query(ctx, query)
			if took[i] = time.Since(start); err != nil {
				return fmt.Errorf("query %s: %w", q.kind, err)
			}
			found += len(recs)
		}
		report(q.kind, took, found)
	}
	return nil
}

// question is one kind of query; next returns one with other values each time.
type question struct {
	kind string
	next func() event.Query
}

// questions are the newest page of everything, of each condition, and of any two.
func (a archive) questions() []question {
	any := func() int64 { return rand.Int64N(a.events) + 1 } //nolint:gosec // which one is of no importance
	at := func() time.Time { return a.start.Add(time.Duration(any()) * archiveEvery) }
	conditions := []struct {
		name string
		add  func(*event.Query)
	}{
		{"event", func(q *event.Query) { q.Events = []string{"channel.answer"} }},
		{"rare event", func(q *event.Query) { q.Events = []string{"user.deleted"} }},
		{"account", func(q *event.Query) { q.Accounts = []string{a.account(any())} }},
		{"object", func(q *event.Query) { q.Objects = []string{a.object(any())} }},
		{"source", func(q *event.Query) { q.Sources = []event.Source{event.SourceWebhook} }},
		{"rare source", func(q *event.Query) { q.Sources = []event.Source{event.SourceRecovered} }},
		{"minute", func(q *event.Query) { q.Since = at(); q.Until = q.Since.Add(time.Minute) }},
		{"until", func(q *event.Query) { q.Until = at() }},
	}
	list := []question{{"newest", func() event.Query { return event.Query{} }}}
	for i, c := range conditions {
		list = append(list, question{c.name, func() (q event.Query) { c.add(&q); return q }})
		for _, d := range conditions[i+1:] {
			if d.name == "rare "+c.name || c.name == "minute" { // they exclude each other
				continue
			}
			list = append(list, question{c.name + ", " + d.name, func() (q event.Query) { c.add(&q); d.add(&q); return q }})
		}
	}
	return list
}
