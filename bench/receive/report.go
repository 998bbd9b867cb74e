package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report gathers the rounds.
type report struct {
	results map[string]map[int][]result
	syncs   []time.Duration
}

func newReport() *report { return &report{results: map[string]map[int][]result{}} }

func (r *report) add(x result) {
	if r.results[x.Variant] == nil {
		r.results[x.Variant] = map[int][]result{}
	}
	r.results[x.Variant][x.Conns] = append(r.results[x.Variant][x.Conns], x)
}

// spread is the middle and the ends of what was measured in the rounds.
type spread struct{ Median, Min, Max float64 }

func spreadOf(values []float64) spread {
	slices.Sort(values)
	return spread{values[len(values)/2], values[0], values[len(values)-1]}
}

func (s spread) String() string { return fmt.Sprintf("%.3g (%.3g-%.3g)", s.Median, s.Min, s.Max) }

// row is a variant at a number of connections.
type row struct {
	Variant       string
	Conns         int
	PerSecond     spread
	MedianMicros  spread
	P99Micros     spread
	OfBare        spread // requests a second, as a ratio within each round
	OfNoJournal   spread
	SyncsPerEvent spread
	ResidentMB    spread
}

// figures is the whole result.
type figures struct {
	Machine    string
	Rows       []row
	SyncMicros spread // one append and sync of a page on the same disk
	// AckOfParts is, at one connection, the median ack with the journal as a
	// ratio of the median without it plus one sync.
	AckOfParts spread
}

func (r *report) figures() figures {
	f := figures{Machine: machine()}
	per := func(x []result, g func(int, result) float64) spread {
		v := make([]float64, len(x))
		for i := range x {
			v[i] = g(i, x[i])
		}
		return spreadOf(v)
	}
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	for _, conns := range []int{1, 16, 64} {
		for _, v := range variants {
			x := r.results[v][conns]
			f.Rows = append(f.Rows, row{
				Variant: v, Conns: conns,
				PerSecond:     per(x, func(_ int, a result) float64 { return a.PerSecond }),
				MedianMicros:  per(x, func(_ int, a result) float64 { return micros(a.Median) }),
				P99Micros:     per(x, func(_ int, a result) float64 { return micros(a.P99) }),
				OfBare:        per(x, func(i int, a result) float64 { return a.PerSecond / r.results["bare"][conns][i].PerSecond }),
				OfNoJournal:   per(x, func(i int, a result) float64 { return a.PerSecond / r.results["nojournal"][conns][i].PerSecond }),
				SyncsPerEvent: per(x, func(_ int, a result) float64 { return a.SyncsPerEvent }),
				ResidentMB:    per(x, func(_ int, a result) float64 { return float64(a.ResidentKB) / 1024 }),
			})
		}
	}
	f.SyncMicros = per(r.results["full"][1], func(i int, _ result) float64 { return micros(r.syncs[i]) })
	f.AckOfParts = per(r.results["full"][1], func(i int, a result) float64 {
		return micros(a.Median) / (micros(r.results["nojournal"][1][i].Median) + micros(r.syncs[i]))
	})
	return f
}

func (r *report) print(w io.Writer) {
	f := r.figures()
	_, _ = fmt.Fprintln(w, f.Machine) // standard output: nothing to be done if it fails
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "variant\tconns\tper s\tof bare\tof nojournal\tmedian us\tp99 us\tsyncs/event\tresident MB")
	for _, x := range f.Rows {
		_, _ = fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%.3g\t%.3g\n", x.Variant, x.Conns, x.PerSecond, x.OfBare, x.OfNoJournal, x.MedianMicros, x.P99Micros,
			x.SyncsPerEvent.Median, x.ResidentMB.Max)
	}
	_ = t.Flush()
	_, _ = fmt.Fprintf(w, "one append and sync of a page: %s us; median ack at 1 connection over (without journal + one sync): %s\n", f.SyncMicros, f.AckOfParts)
}

// machine names what was measured on.
func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(l, "model name"); ok {
				model = strings.Trim(name, " \t:\n")
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s %s/%s", model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
