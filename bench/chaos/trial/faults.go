package trial

import (
	"math/rand/v2"
	"time"

	"kazoohook/internal/crossbar/crossbartest"
)

// faults makes what breaks: a few independent lanes, in each of which one fault
// follows the other, so that faults of different sorts overlap.
func faults(o Options, r *rand.Rand) []Step {
	var steps []Step
	lane := func(pause float64, make func() Step) {
		mean := float64(o.Pause) * pause
		for at := time.Duration(r.ExpFloat64() * mean); at < o.For; {
			s := make()
			s.At = at
			s.For = min(between(r, o.Pause/8, o.Pause/2), o.For-at)
			steps = append(steps, s)
			at += s.For + time.Duration((0.25+r.ExpFloat64())*mean)
		}
	}
	lane(1, func() Step {
		if r.IntN(3) == 0 {
			return Step{Kind: Terminate}
		}
		return Step{Kind: Kill}
	})
	lane(1, func() Step { return Step{Kind: APIFault, Fault: apiFault(r)} })
	lane(1, func() Step { return Step{Kind: Delivery, Fault: deliveryFault(r)} })
	lane(4, func() Step { return Step{Kind: SwitchOff} })
	lane(3, func() Step { return Step{Kind: DiskFull} })
	lane(3, func() Step {
		offsets := []time.Duration{-26 * time.Hour, -10 * time.Minute, -90 * time.Second, 3 * time.Minute, 2 * time.Hour}
		return Step{Kind: Clock, Offset: offsets[r.IntN(len(offsets))]}
	})
	return steps
}

// apiFault is one of what a cluster under repair does. A 404 is not among them:
// it is Kazoo's word that something is gone.
func apiFault(r *rand.Rand) crossbartest.Fault {
	statuses := []int{401, 429, 500, 502, 503}
	listings := []string{"users.list", "accounts.descendants", "*.list", "attempts.list"}
	all := []crossbartest.Fault{
		{Kind: crossbartest.FaultDown},
		{Kind: crossbartest.FaultDown, Probability: 0.5},
		{Kind: crossbartest.FaultSlow, Delay: between(r, 50*time.Millisecond, 500*time.Millisecond)},
		{Kind: crossbartest.FaultStatus, Status: statuses[r.IntN(len(statuses))]},
		{Kind: crossbartest.FaultStatus, Status: statuses[r.IntN(len(statuses))], Probability: 0.5},
		{Kind: crossbartest.FaultStatus, Status: 401, Op: "login"},
		{Kind: crossbartest.FaultGarbage},
		{Kind: crossbartest.FaultGarbage, Probability: 0.3},
		{Kind: crossbartest.FaultLose, Op: "webhooks.*"},
		{Kind: crossbartest.FaultTruncate, Probability: 0.5},
		{Kind: crossbartest.FaultOmit, Op: listings[r.IntN(len(listings))]},
		{Kind: crossbartest.FaultRepeat, Op: listings[r.IntN(len(listings))]},
		{Kind: crossbartest.FaultCutList, Op: listings[r.IntN(len(listings))]},
	}
	return all[r.IntN(len(all))]
}

func deliveryFault(r *rand.Rand) crossbartest.Fault {
	errs := []string{"failed_connect: econnrefused", "failed_connect: timeout", "failed_connect: nxdomain"}
	all := []crossbartest.Fault{
		{Kind: crossbartest.FaultRefuse, ClientError: errs[r.IntN(len(errs))]},
		{Kind: crossbartest.FaultRefuse, ClientError: errs[r.IntN(len(errs))], Probability: 0.6},
		{Kind: crossbartest.FaultLoseAnswer},
		{Kind: crossbartest.FaultLoseAnswer, Probability: 0.5},
		{Kind: crossbartest.FaultSlowDelivery, Delay: between(r, 20*time.Millisecond, time.Second)},
		{Kind: crossbartest.FaultAppDown},
		{Kind: crossbartest.FaultAppDown, Probability: 0.5},
	}
	return all[r.IntN(len(all))]
}
