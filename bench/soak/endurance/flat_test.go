package endurance

import (
	"strings"
	"testing"
	"time"
)

// TestFlat proves that growth is distinguished from noise, and that samples that must
// not be compared are left out.
func TestFlat(t *testing.T) {
	t.Parallel()
	o := Options{For: 20 * time.Minute, Restart: time.Minute, Warm: time.Minute, Settle: 10 * time.Second}.withDefaults()
	// run makes a sample each second. size returns the memory in MiB at a time, in
	// minutes, and at an age of the process, in seconds.
	run := func(size func(minutes, age float64) float64) (samples []sample) {
		age := time.Duration(0)
		for at := time.Duration(0); at < o.For; at += time.Second {
			if age += time.Second; at < o.half() && at%o.Restart == 0 {
				age = 0
			}
			noise := float64(at/time.Second%7) - 3
			samples = append(samples, sample{At: at, Age: age, Resident: mebi * (size(at.Minutes(), age.Seconds()) + noise), Descriptors: 40, Goroutines: 50 + noise, Disk: 9 * mebi})
		}
		return samples
	}
	for name, test := range map[string]struct {
		size  func(minutes, age float64) float64
		grows string // spans that are not flat
	}{
		"steady":                 {func(_, _ float64) float64 { return 40 }, ""},
		"grows in one life":      {func(_, age float64) float64 { return 40 + age/30 }, "in one life"},
		"grows with the journal": {func(minutes, _ float64) float64 { return 40 + min(2*minutes, 20) }, "over restarts"},
		"large at its start":     {func(_, age float64) float64 { return 40 + max(0, 90-10*age) }, ""},
		"large at first":         {func(minutes, _ float64) float64 { return 40 + max(0, 90-100*minutes) }, ""},
		"shrinks":                {func(minutes, _ float64) float64 { return 80 - 2*minutes }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var grows []string
			for _, c := range flat(run(test.size), o) {
				if !c.Flat {
					grows = append(grows, c.Span)
				}
				if c.Samples < 300 {
					t.Errorf("%s %s: %d samples", c.Measure, c.Span, c.Samples)
				}
			}
			if got := strings.Join(grows, " "); got != test.grows {
				t.Errorf("grows: %q, want %q", got, test.grows)
			}
		})
	}
}

// TestKnownObjectsTakeRoom: the data directory may grow only by what is known of new
// objects.
func TestKnownObjectsTakeRoom(t *testing.T) {
	t.Parallel()
	grown := func(each float64) bool {
		var samples []sample
		for i := range 900 {
			objects := float64(1000 * i)
			samples = append(samples, sample{Objects: objects, Disk: 500*mebi + each*objects})
		}
		for _, m := range measures(1) {
			if m.name == "data directory" {
				return !m.compare("in one life", samples).Flat
			}
		}
		return false
	}
	if grown(350) || !grown(600) {
		t.Errorf("350 bytes each are growth: %t; 600 are: %t", grown(350), grown(600))
	}
}

// TestTooFewLooks: a comparison of too few samples is not flat.
func TestTooFewLooks(t *testing.T) {
	t.Parallel()
	rep := &Report{Comparisons: []Comparison{measures(1)[0].compare("in one life", make([]sample, 2))}}
	if rep.Passed() || len(rep.Grown()) > 0 {
		t.Errorf("%+v", rep.Comparisons)
	}
}

// TestBounded finds a data directory beyond its limit.
func TestBounded(t *testing.T) {
	t.Parallel()
	o := Options{MaxBytes: 10 * mebi}
	if got := bounded([]sample{{Disk: 27 * mebi}}, o); len(got) > 0 {
		t.Error(got)
	}
	if got := bounded([]sample{{Disk: 29 * mebi}}, o); len(got) != 1 {
		t.Error(got)
	}
}
