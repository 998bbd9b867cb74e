// Package endurance watches a real receiver over a long time of ordinary
// traffic: a fake Kazoo in this process, the receiver as a child process that
// is restarted now and then, readers and strangers. In the end everything must
// be as large as it was at the beginning, and every event accounted for.
//
// Faults are the business of bench/chaos; here only the receiver itself goes
// away and comes back.
package endurance

import (
	"io"
	"os"
	"time"
)

// Options say how long and how hard.
type Options struct {
	Seed uint64
	For  time.Duration
	Rate float64 // deliveries a second
	// Restart is the time between two restarts in the first half of the run, one
	// in three of them by SIGKILL. In the second half one process runs on, so
	// that what grows slowly has time to show. Negative: no restarts.
	Restart time.Duration
	// Warm is left out of each half, Settle of each life, before anything is
	// compared. Settle is about how long a process takes to reach its size.
	Warm, Settle time.Duration
	Sample       time.Duration // between two looks at the process
	Heal         time.Duration // how long the last events may take to be told
	Users        int           // at the start; about as many stay
	Streams      int           // live streams at a time

	// Retention is JOURNAL_RETENTION. What is recovered from Kazoo's record is
	// compared with what the journal holds, so events must stay for longer than
	// that may take, some four minutes; else what had arrived is told again.
	// Warm must be longer than it.
	Retention time.Duration
	MaxBytes  int64   // JOURNAL_MAX_BYTES
	Speed     float64 // divides Kazoo's own waiting times

	// Slack multiplies what anything may grow by; a short run under the race
	// detector on a busy machine needs more than 1.
	Slack float64

	Receiver string   // program to run
	Environ  []string // added to its environment
	Dir      string   // where the data directory is made
	Log      io.Writer
	Output   io.Writer // gets all that the receiver prints; nil: nobody
}

func (o Options) withDefaults() Options {
	setDefault(&o.For, time.Hour)
	setDefault(&o.Rate, 500)
	setDefault(&o.Restart, 2*time.Minute)
	setDefault(&o.Settle, min(o.Restart/4, 30*time.Second))
	setDefault(&o.Sample, time.Second)
	setDefault(&o.Heal, time.Minute)
	setDefault(&o.Users, 3000)
	setDefault(&o.Streams, 4)
	setDefault(&o.Retention, 6*time.Minute)
	setDefault(&o.Warm, min(2*o.Retention, o.For/5))
	setDefault(&o.MaxBytes, 512<<20)
	setDefault(&o.Speed, 1)
	setDefault(&o.Slack, 1)
	setDefault(&o.Receiver, "kazoohook")
	setDefault(&o.Dir, os.TempDir())
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
