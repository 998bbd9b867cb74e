package measure

import (
	"fmt"
	"slices"
	"time"
)

// Spread is the median, lowest and highest of a figure over the rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf sorts values. Without values the spread is zero.
func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	slices.Sort(values)
	return Spread{values[len(values)/2], values[0], values[len(values)-1]}
}

// String is for a table: the median, and lowest and highest where they differ.
func (s Spread) String() string {
	if s.Min == s.Max {
		return figure(s.Median)
	}
	return fmt.Sprintf("%s (%s-%s)", figure(s.Median), figure(s.Min), figure(s.Max))
}

// figure formats a number with three digits, and large ones without an exponent.
func figure(f float64) string {
	if f >= 1000 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.3g", f)
}

// over returns the spread of a figure over the rounds.
func over[T any](rounds []T, f func(T) float64) Spread {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = f(r)
	}
	return spreadOf(values)
}

// ratios returns the spread of the ratios of a figure to the same figure of base,
// each within one round.
func ratios[T any](rounds, base []T, f func(T) float64) Spread {
	var values []float64
	for i := range min(len(rounds), len(base)) {
		if d := f(base[i]); d > 0 {
			values = append(values, f(rounds[i])/d)
		}
	}
	return spreadOf(values)
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// quantile of sorted times.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
