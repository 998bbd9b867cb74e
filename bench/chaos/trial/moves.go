package trial

import (
	"math/rand/v2"
	"slices"
	"time"
)

// The steps that break nodes of a cluster or the links between them. So do Kill,
// Terminate and DiskFull.
const (
	Freeze   Kind = "freeze"   // SIGSTOP a node, and SIGCONT after the time
	Isolate  Kind = "isolate"  // nothing passes between a node and the others
	Mute     Kind = "mute"     // what a node sends to the others waits
	Deafen   Kind = "deafen"   // what the others send to a node waits
	Split    Kind = "split"    // nothing passes between two nodes; both reach the others
	Jump     Kind = "jump"     // a node's wall clock is wrong
	Exchange Kind = "exchange" // a node loses its directory and joins with an empty one
	Roll     Kind = "roll"     // one node after the other is restarted
	Power    Kind = "power"    // SIGKILL, and only what was synced is kept
)

// The values of Step.Node besides a number.
const (
	TheLeader = -1
	AllNodes  = -2
)

// plain reports that only nodes and the links between them break: then Kazoo must
// count no failure.
func (o Options) plain() bool { return o.Nodes > 1 && o.Seed%3 == 0 }

// moves makes the steps that break nodes of a cluster. The first one breaks the
// leader.
func moves(o Options, r *rand.Rand) []Step {
	first := true
	node := func() int {
		if first || r.IntN(2) == 0 {
			first = false
			return TheLeader
		}
		return 1 + r.IntN(o.Nodes)
	}
	pick := func(kinds ...Kind) func() Step {
		return func() Step {
			s := Step{Kind: kinds[r.IntN(len(kinds))], Node: node()}
			offsets := []time.Duration{-26 * time.Hour, -10 * time.Minute, -3 * time.Second, 3 * time.Second, 5 * time.Minute, 30 * time.Hour}
			switch {
			case s.Kind == Jump:
				s.Offset = offsets[r.IntN(len(offsets))]
			case s.Kind == Split:
				s.Other = 1 + r.IntN(o.Nodes)
			case (s.Kind == Kill || s.Kind == Power) && r.IntN(4) == 0:
				s.Node = AllNodes
			}
			return s
		}
	}
	ends := []Kind{Kill, Kill, Terminate, Freeze, Freeze}
	if o.Power {
		ends = append(ends, Power, Power)
	}
	steps := []Step{{At: between(r, o.For/40, o.For/20), Kind: Kill, Node: TheLeader, For: min(o.Pause/2, o.For/8)}}
	steps = append(steps, lane(o, r, 1, pick(ends...))...)
	steps = append(steps, lane(o, r, 1.5, pick(Isolate, Isolate, Mute, Deafen, Split))...)
	steps = append(steps, lane(o, r, 3, pick(DiskFull))...)
	if o.Jumps {
		steps = append(steps, lane(o, r, 2, pick(Jump))...)
	}
	one, another := Exchange, Roll
	if r.IntN(2) == 0 {
		one, another = another, one
	}
	at := between(r, o.For/4, o.For/2)
	steps = append(steps, Step{At: at, Kind: one, Node: node()})
	if o.For >= 30*time.Second {
		steps = append(steps, Step{At: at + o.For/3, Kind: another, Node: node()})
	}
	return steps
}

// clustered makes the schedule of a cluster from that of a single receiver.
func clustered(o Options, r *rand.Rand, world []Step) []Step {
	var steps []Step
	for _, s := range world {
		switch s.Kind {
		case Kill, Terminate:
			s.Node = AllNodes // as if it were a single receiver
		case DiskFull, Backup, Restore:
			continue
		case APIFault, Delivery, SwitchOff, Clock, Foreign, Offer, ViewLag:
			if o.plain() {
				continue
			}
		}
		steps = append(steps, s)
	}
	return append(steps, moves(o, r)...)
}

// breaksNodes reports whether a step breaks nodes or links.
func (s Step) breaksNodes() bool {
	return slices.Contains([]Kind{Kill, Terminate, Freeze, Isolate, Mute, Deafen, Split, Jump, Exchange, Roll, Power, DiskFull}, s.Kind)
}
