//go:build real

package main

import (
	"testing"
	"time"

	"kazoohook/bench/soak/endurance"
)

// TestNothingGrows is the soak test at small scale. The receiver (this test binary
// under another name) is restarted and then runs under mixed traffic, for longer where a
// busy machine does hardly anything in that time. The long form, and what is measured:
// go run ./bench/soak.
func TestNothingGrows(t *testing.T) {
	t.Parallel()
	for span := 18 * time.Second; ; span *= 2 {
		report, err := endurance.Run(t.Context(), endurance.Options{
			Seed: 1, For: span, Rate: 60, Restart: 2 * time.Second, Warm: time.Second, Settle: time.Second,
			Sample: 200 * time.Millisecond, Users: 300, Streams: 2, Retention: 12 * time.Second, MaxBytes: 4 << 20, Speed: 20,
			// With the race detector, memory is several times larger and takes longer to
			// settle.
			Slack: 6, Dir: t.TempDir(),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(report)
		// If the machine is too busy to measure, the test doesn't fail.
		if grown := report.Grown(); report.Violated > 0 || len(grown) > 0 {
			t.Errorf("%d violations, grown: %v", report.Violated, grown)
		}
		if report.Lives >= 2 && report.Firings >= 100 && report.Streamed > 0 && report.Queries > 0 {
			return
		}
		if span > 2*time.Minute {
			t.Fatal("hardly anything happened")
		}
	}
}
