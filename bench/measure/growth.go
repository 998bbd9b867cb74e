package measure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Growth has the figures of the whole program with a journal of some size, at the
// largest number of connections, and the time until it answers again after a SIGKILL
// under that load.
type Growth struct {
	Events      int64  `json:"events"`
	Conns       int    `json:"connections"`
	PerSecond   Spread `json:"per_second"`
	OfFirst     Spread `json:"of_smallest"` // requests a second, as a ratio within each round
	P50MS       Spread `json:"p50_ms"`
	P99MS       Spread `json:"p99_ms"`
	PeakMB      Spread `json:"peak_mb"` // resident
	AfterKillMS Spread `json:"first_200_after_kill_ms"`
}

type growthRound struct{ perSecond, p50, p99, peak, afterKill float64 }

// growth loads copies of the archives, interleaved.
func (m *measurer) growth(ctx context.Context) error {
	conns := m.o.Conns[len(m.o.Conns)-1]
	rounds := map[int64][]growthRound{}
	copies := map[int64]string{}
	for range m.o.Rounds {
		for _, n := range m.o.Events {
			if copies[n] == "" {
				a, err := m.archive(ctx, n)
				if err != nil {
					return err
				}
				if copies[n], err = m.copyOf(a.dir); err != nil {
					return err
				}
			}
			m.o.progress(fmt.Sprintf("load on %d events", n))
			r, err := m.growthOnce(ctx, copies[n], conns)
			if err != nil {
				return fmt.Errorf("load on %d events: %w", n, err)
			}
			rounds[n] = append(rounds[n], r)
		}
	}
	of := func(n int64, f func(growthRound) float64) Spread { return over(rounds[n], f) }
	perSecond := func(r growthRound) float64 { return r.perSecond }
	for _, n := range m.o.Events {
		m.report.Growth = append(m.report.Growth, Growth{
			Events: n, Conns: conns, PerSecond: of(n, perSecond), OfFirst: ratios(rounds[n], rounds[m.o.Events[0]], perSecond),
			P50MS: of(n, func(r growthRound) float64 { return r.p50 }), P99MS: of(n, func(r growthRound) float64 { return r.p99 }),
			PeakMB: of(n, func(r growthRound) float64 { return r.peak }), AfterKillMS: of(n, func(r growthRound) float64 { return r.afterKill }),
		})
	}
	return nil
}

func (m *measurer) growthOnce(ctx context.Context, dir string, conns int) (r growthRound, err error) {
	err = m.withProgram(ctx, dir, func(p *program) error {
		if _, err := closedLoop(ctx, p.public, conns, m.o.Span/4, &m.next); err != nil {
			return err
		}
		forgetPeak(p.cmd.Process.Pid)
		l, err := closedLoop(ctx, p.public, conns, m.o.Span, &m.next)
		if err != nil {
			return err
		}
		_, r.peak = residentMB(p.cmd.Process.Pid)
		r.perSecond, r.p50, r.p99 = l.perSecond(), millis(quantile(l.times, 0.5)), millis(quantile(l.times, 0.99))
		return p.kill()
	})
	if err != nil {
		return r, err
	}
	err = m.withProgram(ctx, dir, func(p *program) error {
		r.afterKill = millis(p.first)
		return nil
	})
	return r, err
}

// copyOf copies a directory of files.
func (m *measurer) copyOf(dir string) (string, error) {
	to, err := m.fresh()
	if err != nil {
		return "", err
	}
	to = filepath.Join(to, "copy")
	return to, os.CopyFS(to, os.DirFS(dir))
}
