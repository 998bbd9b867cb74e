//go:build real

package main

import (
	"testing"
	"time"

	"kazoohook/bench/chaos/trial"
)

// TestNothingIsMissed is the chaos test at small scale: users are deleted while the
// receiver (this test binary under another name) is killed and its environment breaks.
// The long form, and what counts as a violation: go run ./bench/chaos.
func TestNothingIsMissed(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]uint64{
		"deletions alone":               8, // chosen by the seed; see trial.Options
		"all about users":               7,
		"a journal replaced, all moves": 172139,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := trial.Options{
				Seed: seed, Users: 150, For: 8 * time.Second, Speed: 50, Rate: 400, Pause: 1200 * time.Millisecond,
				Resync: time.Second, Heal: 3 * time.Minute, Dir: t.TempDir(), Disk: true,
				// A tenth of so few users is deleted too quickly to wait for
				// confirmation.
				Environ: []string{"RESYNC_MAX_DELETIONS=150"},
			}
			report, err := trial.Run(t.Context(), o)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			t.Log(report)
			if len(report.Violations) > 0 || !report.Healed {
				for _, s := range trial.Schedule(o) {
					t.Log(s)
				}
				t.Errorf("seed %d: %d violations, healed %t", seed, len(report.Violations), report.Healed)
			}
			if report.Deletions < 30 || len(report.Steps) < 5 {
				t.Errorf("seed %d: hardly anything happened", seed)
			}
		})
	}
}
