package trial

import (
	"math/rand/v2"
	"time"

	"kazoohook/internal/fakekazoo"
)

// strangers makes the steps that change our hooks, Kazoo and the journal.
func strangers(o Options, r *rand.Rand) []Step {
	steps := lane(o, r, 2, func() Step {
		changes := []Change{ChangeDeadAddress, ChangeOtherAddress, ChangeType, ChangeDisabled, ChangeDeleted, ChangeHarmless}
		s := Step{Kind: Foreign, Change: changes[r.IntN(len(changes))]}
		s.Undo = s.Change != ChangeDeleted && r.IntN(2) == 0
		return s
	})
	// The offer matters at a start, so the receiver is restarted.
	for _, s := range lane(o, r, 4, func() Step { return Step{Kind: Offer, Offer: offer(r)} }) {
		steps = append(steps, s, Step{At: s.At + s.For/4, Kind: Terminate, For: s.For / 4})
	}
	for i, s := range lane(o, r, 4, func() Step { return Step{Kind: ViewLag} }) {
		// One lag is longer than the minute in which the receiver expects echoes.
		if s.Offset = between(r, time.Second, 5*time.Second); i == 0 && o.For > 3*margin/2 {
			s.Offset = between(r, margin, margin+10*time.Second)
			s.For = min(s.Offset+5*time.Second, o.For-s.At)
		}
		steps = append(steps, s)
	}
	return append(steps, restores(o, r)...)
}

func offer(r *rand.Rand) fakekazoo.Offer {
	all := []fakekazoo.Offer{
		{State: fakekazoo.OfferEmpty},
		{State: fakekazoo.OfferFailed},
		{State: fakekazoo.OfferPartial, Missing: []string{"object"}},
		{State: fakekazoo.OfferPartial, Missing: []string{"object:user"}},
		{State: fakekazoo.OfferPartial, Missing: []string{"object:doc_deleted", "object:account"}},
	}
	return all[r.IntN(len(all))]
}

// restores replaces the journal once in some trials: by an earlier copy, or by
// nothing, as after damage.
func restores(o Options, r *rand.Rand) []Step {
	at := between(r, o.For/2, o.For*3/4)
	away := min(time.Second, o.For/20)
	switch r.IntN(4) {
	case 0:
		return []Step{{At: between(r, o.For/8, o.For/4), Kind: Backup, For: away}, {At: at, Kind: Restore, For: away}}
	case 1:
		return []Step{{At: at, Kind: Restore, For: away}}
	}
	return nil
}
