package endurance

import (
	"fmt"
	"slices"
	"time"
)

// tolerance is how much the later median may exceed the earlier one: a share of the
// earlier one and a fixed amount.
type tolerance struct {
	share, more float64
	object      float64 // for each object that became known
}

// measure is one thing that must not grow.
type measure struct {
	name  string
	unit  string
	scale float64 // of the unit
	of    func(sample) float64
	tolerance
}

const mebi = 1 << 20

// measures are what is compared. Their tolerances: the runtime returns memory late
// and takes it in steps of 4 MiB. The number of connections in a sample is chance.
// SQLite's log is up to 16 MiB and truncates itself. What the journal knows of an
// object (its name, and that it is deleted) outlives the object's events, some 350
// bytes each.
func measures(slack float64) []measure {
	return []measure{
		{"resident memory", "MiB", mebi, func(s sample) float64 { return s.Resident }, tolerance{share: 0.10 * slack, more: 4 * mebi * slack}},
		{"descriptors", "", 1, func(s sample) float64 { return s.Descriptors }, tolerance{share: 0.10, more: 6 * slack}},
		{"goroutines", "", 1, func(s sample) float64 { return s.Goroutines }, tolerance{share: 0.10, more: 10 * slack}},
		{"data directory", "MiB", mebi, func(s sample) float64 { return s.Disk }, tolerance{share: 0.05, more: 4 * mebi * slack, object: 400}},
	}
}

// Comparison compares the medians of the first and the last third of a span.
type Comparison struct {
	Measure, Unit  string
	Span           string // with restarts, or one life
	Samples        int
	First, Last    float64
	Limit          float64 // of Last
	Least, Highest float64 // of all in the span
	Flat           bool
}

// compare judges a measure over samples in the order of time.
func (m measure) compare(span string, samples []sample) Comparison {
	c := Comparison{Measure: m.name, Unit: m.unit, Span: span, Samples: len(samples)}
	third := len(samples) / 3
	if third == 0 {
		return c // not flat: there are too few samples
	}
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = m.of(s) / m.scale
	}
	c.First, c.Last = median(values[:third]), median(values[len(values)-third:])
	c.Least, c.Highest = slices.Min(values), slices.Max(values)
	c.Limit = c.First*(1+m.share) + (m.more+m.object*(samples[len(samples)-third/2-1].Objects-samples[third/2].Objects))/m.scale
	c.Flat = c.Last <= c.Limit
	return c
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return v[len(v)/2]
}

// flat compares samples within the half with restarts, and within the other half,
// which is one life.
func flat(samples []sample, o Options) (out []Comparison) {
	half := o.half()
	settled := func(from, to time.Duration) []sample {
		return slices.DeleteFunc(slices.Clone(samples), func(s sample) bool {
			return s.At < from+o.Warm || s.At > to || s.Age < o.Settle
		})
	}
	for _, m := range measures(o.Slack) {
		if half > 0 {
			out = append(out, m.compare("over restarts", settled(0, half)))
		}
		out = append(out, m.compare("in one life", settled(half, o.For)))
	}
	return out
}

// half is when the restarts end.
func (o Options) half() time.Duration {
	if o.Restart < 0 {
		return 0
	}
	return o.For / 2
}

// bounded reports samples in which the data directory exceeded its limit. SQLite's
// log comes on top, up to 16 MiB (journal.Options).
func bounded(samples []sample, o Options) (violations []string) {
	for _, s := range samples {
		if most := float64(o.MaxBytes) + 18*mebi; s.Disk > most {
			return []string{fmt.Sprintf("the data directory had %.1f MiB after %s, of a limit of %.1f MiB and 18 MiB", s.Disk/mebi, s.At.Round(time.Second), float64(o.MaxBytes)/mebi)}
		}
	}
	return nil
}
