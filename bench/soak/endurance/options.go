// Package endurance observes a real receiver over a long time of ordinary traffic:
// a fake Kazoo in this process, the receiver as a child process that is restarted
// now and then, readers and strangers. In the end nothing may have grown, and every
// event must be accounted for.
//
// bench/chaos injects faults; here only the receiver itself is stopped and started.
package endurance

import (
	"io"
	"os"
	"time"
)

// Options say how long a run lasts and how much traffic it has.
type Options struct {
	Seed uint64
	For  time.Duration
	Rate float64 // requests a second
	// Restart is the time between two restarts in the first half of the run, one in
	// three of them by SIGKILL. In the second half one process runs all the time, so
	// that slow growth has time to show. Negative: no restarts.
	Restart time.Duration
	// Warm is left out at the beginning of each half, and Settle at the beginning of
	// each life. Settle is about how long a process takes to reach its size.
	Warm, Settle time.Duration
	Sample       time.Duration // between two samples
	Heal         time.Duration // how long the last events may take to be logged
	Users        int           // at the start; about as many stay
	Streams      int           // live streams at a time

	// Retention is JOURNAL_RETENTION. Recovered attempts are compared with the events
	// in the journal, so events must stay for longer than a recovery may take, some
	// four minutes. Otherwise an event that had arrived is logged again. Warm must be
	// longer than Retention.
	Retention time.Duration
	MaxBytes  int64   // JOURNAL_MAX_BYTES
	Speed     float64 // divides Kazoo's own waiting times

	// Slack multiplies all tolerances. A short run under the race detector on a busy
	// machine needs more than 1.
	Slack float64

	Receiver string   // program to run
	Environ  []string // added to its environment
	Dir      string   // where the data directory is made
	Log      io.Writer
	Output   io.Writer // gets all that the receiver prints; may be nil
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
