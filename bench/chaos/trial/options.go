// Package trial runs a real receiver while everything around it fails, and judges the
// result. It has a fake Kazoo in this process, the receiver as a child process, and
// a schedule of deletions and faults that a seed determines.
package trial

import (
	"fmt"
	"io"
	"os"
	"time"
)

// Options say how large a trial is, how long it runs and what breaks.
type Options struct {
	Seed   uint64 // determines the schedule and Kazoo's ids and names
	Users  int    // that exist at the start
	For    time.Duration
	Speed  float64       // divides Kazoo's own waiting times; see fakekazoo.Options
	Rate   float64       // deletions a minute; a few users are also created, restored or saved again
	Pause  time.Duration // mean time between two faults of one sort
	Heal   time.Duration // how long the receiver may take after the last fault
	Resync time.Duration // RESYNC_INTERVAL; RECONCILE_INTERVAL is the shortest possible, 1 s
	Hooks  string        // HOOKS; default by the seed: deletions only, or all events of users
	Kazoo  string        // version, "4.3" or "5"; default by the seed

	// Nodes is the number of receivers: 3 or 5 make a cluster behind a balancer.
	// Default 1.
	Nodes int
	// Power asks for power cuts of nodes. The program that runs the trial must call
	// power.Become at its start.
	Power bool
	// Jumps asks for jumps of the nodes' wall clocks, for which Receiver must be
	// built by BuildWithClock.
	Jumps bool

	// HAProxy is the path of the documentation's configuration for a cluster. With it,
	// a HAProxy of this machine is the balancer. Default: package balancer.
	HAProxy string

	// Addrs are the listeners, AddrsOf(Nodes) of them; default free ones.
	Addrs []string
	// Receiver is the program to run; `serve` and `events` are its arguments.
	Receiver string
	// Environ is added to the receiver's environment.
	Environ []string
	// Dir is where the data directory, or the small file system for it, is made.
	Dir string
	// Disk asks for a small file system of its own, to fill it. Where mounting is not
	// permitted, the trial runs without it, and the report says so.
	Disk bool
	// Brokers adds destinations that need a server: amqp, nats and postgres. The
	// trial starts the servers, with directories of their own.
	Brokers bool
	// NATS is the program that serves nats; see BuildNATS.
	NATS string
	// Log gets a line for every step and every end of the receiver; may be nil.
	Log io.Writer
	// Output gets all that the receiver prints; may be nil.
	Output io.Writer
}

func (o Options) withDefaults() Options {
	setDefault(&o.Nodes, 1)
	setDefault(&o.Users, 3000)
	setDefault(&o.For, 2*time.Minute)
	setDefault(&o.Speed, 20)
	setDefault(&o.Rate, 200)
	setDefault(&o.Pause, 8*time.Second)
	setDefault(&o.Heal, 3*time.Minute)
	setDefault(&o.Resync, 10*time.Second)
	setDefault(&o.Hooks, []string{"object:user:doc_deleted,object:account:doc_deleted", "object:user,object:account:doc_deleted"}[o.Seed%2])
	setDefault(&o.Kazoo, []string{"4.3", "4.3", "5"}[o.Seed/2%3])
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

// String describes the trial in one line.
func (o Options) String() string {
	among := ""
	if o.Nodes > 1 {
		among = fmt.Sprintf("%d nodes, ", o.Nodes)
		if o.HAProxy != "" {
			among = fmt.Sprintf("%d nodes behind HAProxy, ", o.Nodes)
		}
		if o.plain() {
			among += "nothing else breaks, "
		}
	}
	return among + fmt.Sprintf("%d users, %.0f changes a minute for %s, Kazoo %s at %g times its speed, HOOKS=%s", o.Users, o.Rate, o.For, o.Kazoo, o.Speed, o.Hooks)
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
