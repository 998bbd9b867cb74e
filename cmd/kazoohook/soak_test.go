package main

import (
	"testing"
	"time"

	"kazoohook/bench/soak/endurance"
)

// TestNothingGrows is the soak at small scale: the receiver, this test binary
// under another name, is restarted and then left alone under mixed traffic. The
// long form, and what is looked at: go run ./bench/soak.
func TestNothingGrows(t *testing.T) {
	if testing.Short() {
		t.Skip("takes twenty seconds")
	}
	t.Parallel()
	report, err := endurance.Run(t.Context(), endurance.Options{
		Seed: 1, For: 18 * time.Second, Rate: 60, Restart: 2 * time.Second, Warm: time.Second, Settle: time.Second,
		Sample: 200 * time.Millisecond, Users: 300, Streams: 2, Retention: 12 * time.Second, MaxBytes: 4 << 20, Speed: 20,
		// Under the race detector memory is several times as large, and takes
		// longer than this to settle.
		Slack: 6, Dir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	// A machine that is too busy to look is no reason to fail.
	if grown := report.Grown(); report.Violated > 0 || len(grown) > 0 {
		t.Errorf("%d violations, grown: %v", report.Violated, grown)
	}
	if report.Lives < 2 || report.Firings < 100 || report.Streamed == 0 || report.Queries == 0 {
		t.Error("hardly anything happened")
	}
}
