package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Ack is the cost of the receive path at a number of connections, in a closed
// loop: every connection sends its next request when the previous one is answered.
type Ack struct {
	Variant       string `json:"variant"`
	Conns         int    `json:"connections"`
	PerSecond     Spread `json:"per_second"`
	OfBare        Spread `json:"of_bare"`      // requests a second, as a ratio within each round
	OfNoJournal   Spread `json:"of_nojournal"` // likewise
	OfIdeal       Spread `json:"of_ideal"`     // likewise
	OfBefore      Spread `json:"of_before"`    // likewise, to Options.Against
	MedianMicros  Spread `json:"median_us"`    // as the client sees it
	P99Micros     Spread `json:"p99_us"`
	ServerCPU     Spread `json:"server_cpu_us"`      // processor time of the server for each request
	CPUOfBare     Spread `json:"server_cpu_of_bare"` // likewise, as a ratio
	SyncsPerEvent Spread `json:"syncs_per_event"`
	PeakMB        Spread `json:"peak_mb"`
}

// AckFloor compares, at one connection, the median answer of the full path with that
// of a bare handler that writes and syncs a page before it answers: the least that a
// durable receiver must do.
type AckFloor struct {
	OfBareWithSync Spread `json:"of_bare_with_sync"`
	// SyncMicros is how much longer that handler takes than one without a sync.
	SyncMicros Spread `json:"sync_us"`
	// TightSyncMicros is the same write and sync repeated without pauses. In the
	// pauses of a receiver, processors and disks fall asleep.
	TightSyncMicros Spread `json:"tight_sync_us"`
}

type ackRound struct {
	latencies
	cpu           time.Duration // of the server, for each request
	syncsPerEvent float64
	peakMB        float64
}

func (r ackRound) median() float64 { return micros(quantile(r.times, 0.5)) }

// ack measures all variants at all numbers of connections.
func (m *measurer) ack(ctx context.Context) error {
	for _, conns := range m.o.Conns {
		variants := []string{bare, noJournal, ideal, full}
		if conns == 1 {
			variants = slices.Insert(variants, 1, bareSync)
		}
		if m.o.Against != "" {
			variants = append(variants, before)
		}
		m.o.progress(fmt.Sprintf("ack path, %d connections", conns))
		rounds := map[string][]ackRound{}
		var syncs []float64
		for round := range m.o.Rounds + 1 {
			for _, v := range variants {
				r, err := m.ackOnce(ctx, v, conns)
				if err != nil {
					return fmt.Errorf("%s at %d connections: %w", v, conns, err)
				}
				if round > 0 || m.o.Rounds == 1 { // the first warms up
					rounds[v] = append(rounds[v], r)
				}
			}
			s, err := syncTime(m.base, syncSamples, 0)
			if err != nil {
				return err
			}
			if round > 0 || m.o.Rounds == 1 {
				syncs = append(syncs, micros(s))
			}
			if m.o.Rounds == 1 {
				break
			}
		}
		for _, v := range variants {
			m.report.Ack = append(m.report.Ack, ackOf(v, conns, rounds))
		}
		if conns == 1 {
			m.report.AckFloor = floorOf(rounds, syncs)
		}
		m.capacity = over(rounds[full], ackRound.perSecond).Median
		m.report.SyncMicros = spreadOf(syncs)
	}
	return nil
}

const syncSamples = 300

func (m *measurer) ackOnce(ctx context.Context, variant string, conns int) (r ackRound, err error) {
	c, err := m.startChild(ctx, variant, m.o.Profile)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	// The journal's log allocates its space while it is filled for the first time.
	if _, err := closedLoop(ctx, c.addr, conns, m.o.Span/4, &m.next); err != nil {
		return r, err
	}
	before, err := c.report()
	if err != nil {
		return r, err
	}
	if r.latencies, err = closedLoop(ctx, c.addr, conns, m.o.Span, &m.next); err != nil {
		return r, err
	}
	after, err := c.report()
	if err != nil {
		return r, err
	}
	r.cpu = (after.CPU - before.CPU) / time.Duration(len(r.times))
	if n := after.Appends - before.Appends; n > 0 {
		r.syncsPerEvent = float64(after.Transactions-before.Transactions) / float64(n)
	}
	_, r.peakMB = c.resident()
	return r, nil
}

func ackOf(v string, conns int, rounds map[string][]ackRound) Ack {
	r := rounds[v]
	return Ack{
		Variant: v, Conns: conns,
		PerSecond:     over(r, ackRound.perSecond),
		OfBare:        ratios(r, rounds[bare], ackRound.perSecond),
		OfNoJournal:   ratios(r, rounds[noJournal], ackRound.perSecond),
		OfIdeal:       ratios(r, rounds[ideal], ackRound.perSecond),
		OfBefore:      ratios(r, rounds[before], ackRound.perSecond),
		MedianMicros:  over(r, ackRound.median),
		P99Micros:     over(r, func(r ackRound) float64 { return micros(quantile(r.times, 0.99)) }),
		ServerCPU:     over(r, func(r ackRound) float64 { return micros(r.cpu) }),
		CPUOfBare:     ratios(r, rounds[bare], func(r ackRound) float64 { return micros(r.cpu) }),
		SyncsPerEvent: over(r, func(r ackRound) float64 { return r.syncsPerEvent }),
		PeakMB:        over(r, func(r ackRound) float64 { return r.peakMB }),
	}
}

func floorOf(rounds map[string][]ackRound, syncs []float64) AckFloor {
	var longer []float64
	for i, r := range rounds[bareSync] {
		longer = append(longer, r.median()-rounds[bare][i].median())
	}
	return AckFloor{ratios(rounds[full], rounds[bareSync], ackRound.median), spreadOf(longer), spreadOf(append([]float64(nil), syncs...))}
}
