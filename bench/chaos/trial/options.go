// Package trial puts a real receiver through everything that can go wrong
// around it, and judges: a fake Kazoo in this process, the receiver as a child
// process, and a schedule of deletions and faults that a seed determines.
package trial

import (
	"io"
	"os"
	"time"
)

// Options say how large, how long and how fast a trial is.
type Options struct {
	Seed   uint64 // determines the schedule and Kazoo's ids and names
	Users  int    // that exist at the start
	For    time.Duration
	Speed  float64       // divides Kazoo's own waiting times; see crossbartest.Options
	Rate   float64       // deletions a minute; besides, a few users come, come back or are saved again
	Pause  time.Duration // mean time between two faults of one sort
	Heal   time.Duration // how long the receiver may take after the last fault
	Resync time.Duration // RESYNC_INTERVAL; RECONCILE_INTERVAL is the least there is, 1 s
	Hooks  string        // HOOKS
	Kazoo  string        // version, "4.3" or "5"

	// Receiver is the program to run; `serve` and `events` are its arguments.
	Receiver string
	// Environ is added to the receiver's environment.
	Environ []string
	// Dir is where the data directory, or the small file system for it, is made.
	Dir string
	// Disk asks for a small file system of its own, to fill it. Where mounting is
	// not permitted the trial goes on without, and the report says so.
	Disk bool
	// Log gets a line for every step and every death of the receiver; nil: none.
	Log io.Writer
	// Output gets all that the receiver prints; nil: nobody.
	Output io.Writer
}

func (o Options) withDefaults() Options {
	setDefault(&o.Users, 3000)
	setDefault(&o.For, 2*time.Minute)
	setDefault(&o.Speed, 20)
	setDefault(&o.Rate, 200)
	setDefault(&o.Pause, 8*time.Second)
	setDefault(&o.Heal, 3*time.Minute)
	setDefault(&o.Resync, 10*time.Second)
	setDefault(&o.Hooks, "object:user:doc_deleted,object:account:doc_deleted")
	setDefault(&o.Kazoo, "4.3")
	setDefault(&o.Receiver, "kazoohook")
	setDefault(&o.Dir, os.TempDir())
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Output == nil {
		o.Output = io.Discard
	}
	return o
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
