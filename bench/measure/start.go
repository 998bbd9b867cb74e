package measure

import (
	"context"
	"fmt"
)

// Start has times since the start of the receiver's process, on a journal whose files
// may be in the system's cache.
type Start struct {
	Events   int64  `json:"events"`
	ListenMS Spread `json:"listening_ms"` // journal open, listeners bound
	FirstMS  Spread `json:"first_200_ms"` // the first request answered
	ReadyMS  Spread `json:"ready_ms"`     // hooks registered with a fake Kazoo
	OfFirst  Spread `json:"ready_of_smallest"`
	IdleMB   Spread `json:"idle_mb"` // resident, once ready
}

type startRound struct{ listens, first, ready, idle float64 }

// starts opens journals of all sizes, interleaved.
func (m *measurer) starts(ctx context.Context) error {
	rounds := map[int64][]startRound{}
	for round := range m.o.Rounds + 1 { // the first fills the system's cache
		for _, n := range m.o.Events {
			a, err := m.archive(ctx, n)
			if err != nil {
				return err
			}
			m.o.progress(fmt.Sprintf("start with %d events", n))
			err = m.withProgram(ctx, a.dir, func(p *program) error {
				idle, _ := residentMB(p.cmd.Process.Pid)
				if round > 0 {
					rounds[n] = append(rounds[n], startRound{millis(p.listens), millis(p.first), millis(p.ready), idle})
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	for _, n := range m.o.Events {
		ready := func(r startRound) float64 { return r.ready }
		m.report.Starts = append(m.report.Starts, Start{
			Events: n, ReadyMS: over(rounds[n], ready), OfFirst: ratios(rounds[n], rounds[m.o.Events[0]], ready),
			ListenMS: over(rounds[n], func(r startRound) float64 { return r.listens }),
			FirstMS:  over(rounds[n], func(r startRound) float64 { return r.first }),
			IdleMB:   over(rounds[n], func(r startRound) float64 { return r.idle }),
		})
	}
	return nil
}
