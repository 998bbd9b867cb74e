package trial

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/fakekazoo"
)

// Kind is the kind of a step.
type Kind string

// The steps that change users and accounts in Kazoo.
const (
	Delete        Kind = "delete"         // a living user
	Create        Kind = "create"         // a user
	Edit          Kind = "edit"           // a living user
	SaveAgain     Kind = "save_again"     // a deleted user's document: doc_deleted fires once more
	Undelete      Kind = "undelete"       // a deleted user
	DeleteAccount Kind = "delete_account" // with all its users
)

// The steps that break something, for a time.
const (
	Kill      Kind = "kill"       // SIGKILL the receiver, and start it after the time
	Terminate Kind = "terminate"  // SIGTERM, likewise
	APIFault  Kind = "api"        // a fault of Kazoo's API
	Delivery  Kind = "delivery"   // a fault of Kazoo's webhooks application or of the network to us
	SwitchOff Kind = "switch_off" // our hooks, as Kazoo does after six failures
	DiskFull  Kind = "disk_full"
	Clock     Kind = "clock"   // Kazoo's clock is wrong
	Foreign   Kind = "foreign" // another client changes our hooks; with Undo, it undoes that after the time
	Offer     Kind = "offer"   // Kazoo offers no hooks, or not all
	ViewLag   Kind = "lag"     // listings of users lag behind the documents
	Backup    Kind = "backup"  // the journal is copied
	Onward    Kind = "onward"  // a destination fails; not in the schedule: see onwards.disturb
	Restore   Kind = "restore" // the journal is replaced by the copy, or by nothing where there is none
)

// Step is one step of a schedule.
type Step struct {
	At      time.Duration // after the start
	Kind    Kind
	User    int             // of Delete, Create, Edit, SaveAgain, Undelete
	Account int             // of Create and DeleteAccount
	For     time.Duration   // of steps that break something: how long
	Node    int             // of steps that break nodes of a cluster: from 1, or TheLeader, AllNodes
	Other   int             // of Split: the other node
	Fault   fakekazoo.Fault // of APIFault and Delivery
	Offset  time.Duration   // of Clock and ViewLag
	Change  Change          // of Foreign
	Undo    bool            // of Foreign
	Mode    mode            // of Onward
	Offer   fakekazoo.Offer
}

// Change is what another client does to our hooks.
type Change string

// The changes. After the harmless ones a hook fires as before.
const (
	ChangeDeadAddress  Change = "dead_address"  // nothing listens there
	ChangeOtherAddress Change = "other_address" // another server takes the events
	ChangeType         Change = "type"          // another type of objects
	ChangeDisabled     Change = "disabled"
	ChangeDeleted      Change = "deleted"
	ChangeHarmless     Change = "harmless" // the name
)

// String describes the step in one line.
func (s Step) String() string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%8.3fs %s", s.At.Seconds(), s.Kind)
	switch s.Kind {
	case Delete, Edit, SaveAgain, Undelete:
		fmt.Fprintf(b, " user %d", s.User)
	case Create:
		fmt.Fprintf(b, " user %d in account %d", s.User, s.Account)
	case DeleteAccount:
		fmt.Fprintf(b, " account %d", s.Account)
	case Clock, ViewLag, Jump:
		fmt.Fprintf(b, " by %s", s.Offset)
	case Foreign:
		fmt.Fprintf(b, " %s, undone: %t", s.Change, s.Undo)
	case Offer:
		fmt.Fprintf(b, " %s %v", s.Offer.State, s.Offer.Missing)
	case APIFault, Delivery:
		fmt.Fprintf(b, " %s %s", s.Fault.Kind, s.Fault.Op)
		if s.Fault.Kind == fakekazoo.FaultStatus {
			fmt.Fprintf(b, " %d", s.Fault.Status)
		}
		if s.Fault.Probability > 0 {
			fmt.Fprintf(b, " p=%.2f", s.Fault.Probability)
		}
		if s.Fault.Delay > 0 {
			fmt.Fprintf(b, " delay=%s", s.Fault.Delay)
		}
	}
	switch {
	case s.Node == TheLeader:
		b.WriteString(" the leader")
	case s.Node == AllNodes:
		b.WriteString(" all nodes")
	case s.Node > 0:
		fmt.Fprintf(b, " node %d", s.Node)
	}
	if s.For > 0 {
		fmt.Fprintf(b, " for %.3fs", s.For.Seconds())
	}
	return b.String()
}

// Schedule returns all steps, in order. It depends on the options alone.
func Schedule(o Options) []Step {
	o = o.withDefaults()
	r := rand.New(rand.NewPCG(o.Seed, 0x6368616f73)) //nolint:gosec // repeatable on purpose
	steps := slices.Concat(faults(o, r), strangers(o, r), people(o, r))
	if o.Nodes > 1 {
		steps = clustered(o, r, steps)
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return int(a.At - b.At) })
	return steps
}

// between is a random time.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Float64()*float64(most-least))
}
