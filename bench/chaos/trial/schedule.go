package trial

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/crossbar/crossbartest"
)

// Kind is what a step does.
type Kind string

// The steps that change who exists in Kazoo.
const (
	Delete        Kind = "delete"         // a living user
	Create        Kind = "create"         // a user
	SaveAgain     Kind = "save_again"     // a deleted user's document: doc_deleted fires once more
	Undelete      Kind = "undelete"       // a deleted user
	DeleteAccount Kind = "delete_account" // with all who are in it
)

// The steps that break something, for a time.
const (
	Kill      Kind = "kill"       // SIGKILL the receiver; it stays away for the time
	Terminate Kind = "terminate"  // SIGTERM, likewise
	APIFault  Kind = "api"        // a fault of Kazoo's API
	Delivery  Kind = "delivery"   // a fault of Kazoo's webhooks application or of the way to us
	SwitchOff Kind = "switch_off" // our hooks, as Kazoo does by itself after a few refusals
	DiskFull  Kind = "disk_full"
	Clock     Kind = "clock" // Kazoo's clock is wrong
)

// Step is one thing that happens.
type Step struct {
	At      time.Duration // after the start
	Kind    Kind
	User    int                // of Delete, Create, SaveAgain, Undelete
	Account int                // of Create and DeleteAccount
	For     time.Duration      // of what breaks: how long
	Fault   crossbartest.Fault // of APIFault and Delivery
	Offset  time.Duration      // of Clock
}

// String is the step in one line.
func (s Step) String() string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%8.3fs %s", s.At.Seconds(), s.Kind)
	switch s.Kind {
	case Delete, SaveAgain, Undelete:
		fmt.Fprintf(b, " user %d", s.User)
	case Create:
		fmt.Fprintf(b, " user %d in account %d", s.User, s.Account)
	case DeleteAccount:
		fmt.Fprintf(b, " account %d", s.Account)
	case SwitchOff:
	case Clock:
		fmt.Fprintf(b, " by %s", s.Offset)
	case APIFault, Delivery:
		fmt.Fprintf(b, " %s %s", s.Fault.Kind, s.Fault.Op)
		if s.Fault.Kind == crossbartest.FaultStatus {
			fmt.Fprintf(b, " %d", s.Fault.Status)
		}
		if s.Fault.Probability > 0 {
			fmt.Fprintf(b, " p=%.2f", s.Fault.Probability)
		}
		if s.Fault.Delay > 0 {
			fmt.Fprintf(b, " delay=%s", s.Fault.Delay)
		}
	}
	if s.For > 0 {
		fmt.Fprintf(b, " for %.3fs", s.For.Seconds())
	}
	return b.String()
}

// Schedule is all that happens, in order. It depends on the options alone.
func Schedule(o Options) []Step {
	o = o.withDefaults()
	r := rand.New(rand.NewPCG(o.Seed, 0x6368616f73)) //nolint:gosec // repeatable on purpose
	steps := slices.Concat(faults(o, r), people(o, r))
	slices.SortStableFunc(steps, func(a, b Step) int { return int(a.At - b.At) })
	return steps
}

// between is a random time.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Float64()*float64(most-least))
}
