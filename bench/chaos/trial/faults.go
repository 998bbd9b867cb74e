package trial

import (
	"math/rand/v2"
	"slices"
	"time"

	"kazoohook/internal/fakekazoo"
)

// lane makes faults of one sort, one after the other; those of different lanes
// overlap. pause is the mean time between two, in units of Options.Pause.
func lane(o Options, r *rand.Rand, pause float64, one func() Step) (steps []Step) {
	mean := float64(o.Pause) * pause
	for at := time.Duration(r.ExpFloat64() * mean); at < o.For; {
		s := one()
		s.At = at
		s.For = min(between(r, o.Pause/8, o.Pause/2), o.For-at)
		steps = append(steps, s)
		at += s.For + time.Duration((0.25+r.ExpFloat64())*mean)
	}
	return steps
}

// faults makes the steps that break something around a receiver.
func faults(o Options, r *rand.Rand) []Step {
	return slices.Concat(
		lane(o, r, 1, func() Step {
			if r.IntN(3) == 0 {
				return Step{Kind: Terminate}
			}
			return Step{Kind: Kill}
		}),
		lane(o, r, 1, func() Step { return Step{Kind: APIFault, Fault: apiFault(r)} }),
		lane(o, r, 1, func() Step { return Step{Kind: Delivery, Fault: deliveryFault(r)} }),
		lane(o, r, 4, func() Step { return Step{Kind: SwitchOff} }),
		lane(o, r, 3, func() Step { return Step{Kind: DiskFull} }),
		lane(o, r, 3, func() Step {
			offsets := []time.Duration{-26 * time.Hour, -10 * time.Minute, -90 * time.Second, 3 * time.Minute, 2 * time.Hour}
			return Step{Kind: Clock, Offset: offsets[r.IntN(len(offsets))]}
		}),
	)
}

// apiFault is a fault that a Kazoo under repair may show. A 404 is not among them,
// because it means that an object is deleted.
func apiFault(r *rand.Rand) fakekazoo.Fault {
	statuses := []int{401, 429, 500, 502, 503}
	listings := []string{"users.list", "accounts.descendants", "*.list", "attempts.list"}
	all := []fakekazoo.Fault{
		{Kind: fakekazoo.FaultDown},
		{Kind: fakekazoo.FaultDown, Probability: 0.5},
		{Kind: fakekazoo.FaultSlow, Delay: between(r, 50*time.Millisecond, 500*time.Millisecond)},
		{Kind: fakekazoo.FaultStatus, Status: statuses[r.IntN(len(statuses))]},
		{Kind: fakekazoo.FaultStatus, Status: statuses[r.IntN(len(statuses))], Probability: 0.5},
		{Kind: fakekazoo.FaultStatus, Status: 401, Op: "login"},
		{Kind: fakekazoo.FaultGarbage},
		{Kind: fakekazoo.FaultGarbage, Probability: 0.3},
		{Kind: fakekazoo.FaultLose, Op: "webhooks.*"},
		{Kind: fakekazoo.FaultTruncate, Probability: 0.5},
		{Kind: fakekazoo.FaultOmit, Op: listings[r.IntN(len(listings))]},
		{Kind: fakekazoo.FaultRepeat, Op: listings[r.IntN(len(listings))]},
		{Kind: fakekazoo.FaultCutList, Op: listings[r.IntN(len(listings))]},
	}
	return all[r.IntN(len(all))]
}

func deliveryFault(r *rand.Rand) fakekazoo.Fault {
	errs := []string{"failed_connect: econnrefused", "failed_connect: timeout", "failed_connect: nxdomain"}
	all := []fakekazoo.Fault{
		{Kind: fakekazoo.FaultRefuse, ClientError: errs[r.IntN(len(errs))]},
		{Kind: fakekazoo.FaultRefuse, ClientError: errs[r.IntN(len(errs))], Probability: 0.6},
		{Kind: fakekazoo.FaultLoseAnswer},
		{Kind: fakekazoo.FaultLoseAnswer, Probability: 0.5},
		{Kind: fakekazoo.FaultSlowDelivery, Delay: between(r, 20*time.Millisecond, time.Second)},
		{Kind: fakekazoo.FaultAppDown},
		{Kind: fakekazoo.FaultAppDown, Probability: 0.5},
	}
	return all[r.IntN(len(all))]
}
