package measure

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Arrival has the latencies at a fixed rate, counted from the scheduled time of each
// request.
type Arrival struct {
	Variant    string  `json:"variant"`
	OfCapacity float64 `json:"of_capacity"` // of the full path's, as measured in the closed loop
	PerSecond  float64 `json:"per_second"`
	P50Micros  Spread  `json:"p50_us"`
	P90Micros  Spread  `json:"p90_us"`
	P99Micros  Spread  `json:"p99_us"`
	P999Micros Spread  `json:"p999_us"`
	P50OfBare  Spread  `json:"p50_of_bare"` // ratio within each round
	P99OfBare  Spread  `json:"p99_of_bare"`
}

// LogLine has the times from a request to its log line, at a fixed rate.
type LogLine struct {
	OfCapacity float64 `json:"of_capacity"`
	PerSecond  float64 `json:"per_second"`
	P50Micros  Spread  `json:"p50_us"`
	P99Micros  Spread  `json:"p99_us"`
	// Ratios to a page's write and sync at the same rate, within each round.
	P50OfSync Spread `json:"p50_of_sync"`
	P99OfSync Spread `json:"p99_of_sync"`
}

type arrivalRound struct {
	latencies
	lines []float64 // p50 and p99, in µs
	sync  float64
}

// shares are the parts of the capacity that are measured.
func shares() []float64 { return []float64{0.1, 0.5} }

// arrivals measures both latencies with the same requests.
func (m *measurer) arrivals(ctx context.Context) error {
	if m.capacity == 0 { // the ack path isn't measured
		r, err := m.ackOnce(ctx, full, m.o.Conns[len(m.o.Conns)-1])
		if err != nil {
			return err
		}
		m.capacity = r.perSecond()
	}
	for _, share := range shares() {
		rate := share * m.capacity
		m.o.progress(fmt.Sprintf("arrivals at %.0f a second", rate))
		rounds := map[string][]arrivalRound{}
		for range m.o.Rounds {
			for _, v := range []string{bare, full} {
				r, err := m.arrivalOnce(ctx, v, rate)
				if err != nil {
					return fmt.Errorf("%s at %.0f a second: %w", v, rate, err)
				}
				rounds[v] = append(rounds[v], r)
			}
		}
		for _, v := range []string{bare, full} {
			m.report.Arrivals = append(m.report.Arrivals, arrivalOf(v, share, rate, rounds))
		}
		line := func(i int) func(arrivalRound) float64 { return func(r arrivalRound) float64 { return r.lines[i] } }
		ofSync := func(i int) func(arrivalRound) float64 {
			return func(r arrivalRound) float64 { return r.lines[i] / r.sync }
		}
		m.report.LogLines = append(m.report.LogLines, LogLine{
			OfCapacity: share, PerSecond: rate, P50Micros: over(rounds[full], line(0)), P99Micros: over(rounds[full], line(1)),
			P50OfSync: over(rounds[full], ofSync(0)), P99OfSync: over(rounds[full], ofSync(1)),
		})
	}
	return nil
}

func (m *measurer) arrivalOnce(ctx context.Context, variant string, rate float64) (r arrivalRound, err error) {
	c, err := m.startChild(ctx, variant, "")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	conns := m.o.Conns[len(m.o.Conns)-1]
	if _, err := closedLoop(ctx, c.addr, conns, m.o.Span/4, &m.next); err != nil {
		return r, err
	}
	if _, err := c.report(); err != nil { // drops the lines so far
		return r, err
	}
	span := max(m.o.Span, time.Duration(10/rate*float64(time.Second))) // long enough for ten requests
	if r.latencies, err = openLoop(ctx, c.addr, conns, rate, span, &m.next); err != nil {
		return r, err
	}
	report, err := c.report()
	if err != nil {
		return r, err
	}
	s, err := syncTime(m.base, syncSamples, time.Duration(float64(time.Second)/rate))
	r.sync, r.lines = micros(s), []float64{0, 0}
	if sorted := report.sortedLines(); len(sorted) > 0 {
		r.lines = []float64{micros(quantile(sorted, 0.5)), micros(quantile(sorted, 0.99))}
	}
	return r, err
}

func arrivalOf(v string, share, rate float64, rounds map[string][]arrivalRound) Arrival {
	at := func(q float64) func(arrivalRound) float64 {
		return func(r arrivalRound) float64 { return micros(quantile(r.times, q)) }
	}
	r := rounds[v]
	return Arrival{
		Variant: v, OfCapacity: share, PerSecond: rate,
		P50Micros: over(r, at(0.5)), P90Micros: over(r, at(0.9)), P99Micros: over(r, at(0.99)), P999Micros: over(r, at(0.999)),
		P50OfBare: ratios(r, rounds[bare], at(0.5)), P99OfBare: ratios(r, rounds[bare], at(0.99)),
	}
}
