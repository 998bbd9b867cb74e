package handlers

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
)

// rates answers /api/rates: the number of events of each family, over the last hour
// by minute or over the last day by ten minutes.
//
// It counts by minute in memory, and only when asked. Each answer continues where
// the last one ended, first with new events, then further back in time, for at most
// ratesWork. So a day of any size is counted in small steps while the page asks
// again, and each event is read once.
type rates struct {
	history History
	now     func() time.Time
	log     zerolog.Logger

	mu      sync.Mutex
	minutes map[int64]map[string]int // by Unix minute of the reception, by family
	// The events with low <= seq <= high that are younger than a day are counted;
	// none while high is 0.
	low, high int64
	begun     bool      // counted back to the start of the day
	reached   time.Time // counted back to here
	// names are the families with their own counts.
	names map[string]bool
}

const (
	ratesDay = 24 * time.Hour
	// ratesWork bounds the time that one answer reads events, but not the first page; the
	// browser asks again.
	ratesWork = 60 * time.Millisecond
	ratesPage = 256
	// ratesCatchUp bounds the new events to count. With more than that, counting
	// starts again at the newest event.
	ratesCatchUp = 200_000
	// maxFamilies bounds the families with their own counts, because names come
	// from outside.
	maxFamilies = 24
	otherFamily = "other"
)

func newRates(d AdminDeps) *rates {
	return &rates{history: d.History, now: d.Now, log: d.Log, minutes: map[int64]map[string]int{}, names: map[string]bool{}}
}

// Rates is the answer of /api/rates.
type Rates struct {
	Span         string       `json:"span"`          // 1h or 24h
	StepSeconds  int          `json:"step_seconds"`  // length of a step
	From         time.Time    `json:"from"`          // start of the first step
	To           time.Time    `json:"to"`            // end of the last step, which is still running
	Complete     bool         `json:"complete"`      // false: ask again, older events are still being counted
	CompleteFrom time.Time    `json:"complete_from"` // counts are complete from here on
	Total        int          `json:"total"`         // of all families and steps
	Families     []FamilyRate `json:"families"`      // most events first
}

// FamilyRate is one family's count in each step.
type FamilyRate struct {
	Family string `json:"family"` // the event's name up to the dot
	Total  int    `json:"total"`
	Counts []int  `json:"counts"`
}

func (c *rates) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	span, step := time.Hour, time.Minute
	name := r.URL.Query().Get("span")
	switch name {
	case "", "1h":
		name = "1h"
	case "24h":
		span, step = ratesDay, 10*time.Minute
	default:
		writeProblem(w, http.StatusBadRequest, "span: 1h (default) or 24h")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if err := c.advance(r.Context(), now); err != nil {
		failed(w, r, c.log, err)
		return
	}
	writeJSON(w, c.answer(name, span, step, now))
}

// answer sums the minutes up.
func (c *rates) answer(name string, span, step time.Duration, now time.Time) Rates {
	to := now.Truncate(step).Add(step)
	from := to.Add(-span)
	a := Rates{Span: name, StepSeconds: int(step / time.Second), From: from.UTC(), To: to.UTC(), Families: []FamilyRate{}}
	a.CompleteFrom = from.UTC()
	if !c.begun && c.reached.After(from) {
		a.CompleteFrom = c.reached.UTC()
	}
	a.Complete = a.CompleteFrom.Equal(a.From)
	index := map[string]int{}
	perStep := int64(step / time.Minute)
	first := from.Unix() / 60
	for i := range int64(span / time.Minute) {
		for family, n := range c.minutes[first+i] {
			at, ok := index[family]
			if !ok {
				at = len(a.Families)
				index[family] = at
				a.Families = append(a.Families, FamilyRate{Family: family, Counts: make([]int, int64(span/step))})
			}
			a.Families[at].Counts[i/perStep] += n
			a.Families[at].Total += n
			a.Total += n
		}
	}
	slices.SortFunc(a.Families, func(x, y FamilyRate) int {
		if x.Total != y.Total {
			return y.Total - x.Total
		}
		return strings.Compare(x.Family, y.Family)
	})
	return a
}

// advance counts new events, then older ones.
func (c *rates) advance(ctx context.Context, now time.Time) error {
	cutoff := now.Add(-ratesDay - 10*time.Minute)
	for minute := range c.minutes {
		if minute < cutoff.Unix()/60 {
			delete(c.minutes, minute)
		}
	}
	last, err := c.history.Last(ctx)
	if err != nil {
		return err
	}
	if last < c.high || last-c.high > ratesCatchUp || c.high == 0 {
		clear(c.minutes)
		clear(c.names)
		c.low, c.high, c.begun, c.reached = last+1, last, last == 0, now
	}
	for end := time.Now().Add(ratesWork); ; {
		records, err := c.forward(ctx, last)
		if err == nil && len(records) == 0 {
			records, err = c.backward(ctx, cutoff)
		}
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return nil
		}
		for _, r := range records {
			c.count(r, cutoff)
		}
		if !time.Now().Before(end) {
			return nil
		}
	}
}

func (c *rates) forward(ctx context.Context, last int64) ([]event.Record, error) {
	if c.high >= last {
		return nil, nil
	}
	records, err := c.history.Read(ctx, c.high, ratesPage)
	if n := len(records); n > 0 && err == nil {
		c.high = records[n-1].Seq
	}
	return records, err
}

func (c *rates) backward(ctx context.Context, cutoff time.Time) ([]event.Record, error) {
	if c.begun {
		return nil, nil
	}
	records, next, err := c.history.Query(ctx, event.Query{Since: cutoff, Before: c.low, Limit: ratesPage})
	if err != nil {
		return nil, err
	}
	c.low, c.begun = next, next == 0
	if n := len(records); n > 0 {
		// A recovered event is older than its place in the journal, so reached may
		// be too early for a moment, until the next page is counted.
		c.reached = records[n-1].ReceivedAt
	}
	return records, nil
}

func (c *rates) count(r event.Record, cutoff time.Time) {
	if r.ReceivedAt.Before(cutoff) {
		return
	}
	family, _, _ := strings.Cut(r.Event, ".")
	if !c.names[family] {
		if len(c.names) >= maxFamilies {
			family = otherFamily
		} else {
			c.names[family] = true
		}
	}
	minute := r.ReceivedAt.Unix() / 60
	m := c.minutes[minute]
	if m == nil {
		m = map[string]int{}
		c.minutes[minute] = m
	}
	m[family]++
}
