package trial

import (
	"math/rand/v2"
	"slices"
	"time"
)

const (
	branches = 6 // accounts below the login's that may be deleted
	// margin is how long after a deletion the receiver takes a repetition for an
	// echo: Kazoo's order is not guaranteed.
	margin = time.Minute
)

// seeded says how many users each account has at the start: account 0 is the
// login's and has most of them.
func seeded(users int) [branches + 1]int {
	var n [branches + 1]int
	for i := 1; i <= branches; i++ {
		n[i] = max(1, users/100)
	}
	n[0] = max(0, users-branches*n[1])
	return n
}

// population is who exists, as the schedule is made: it depends on nothing that
// the receiver does.
type population struct {
	r       *rand.Rand
	account []int // of each user
	living  []int
	gone    []int // deleted by themselves, their account still there
	open    []int // accounts that exist, without the login's
}

// people makes the deletions and the few other things that happen to users.
func people(o Options, r *rand.Rand) []Step {
	p := &population{r: r}
	for a, n := range seeded(o.Users) {
		if a > 0 {
			p.open = append(p.open, a)
		}
		for range n {
			p.living = append(p.living, len(p.account))
			p.account = append(p.account, a)
		}
	}
	steps := p.comebacks(o)
	mean := float64(time.Minute) / o.Rate
	closing := o.For / branches
	for at := time.Duration(0); ; {
		at += time.Duration(r.ExpFloat64() * mean)
		if at >= o.For {
			return steps
		}
		if at > closing && len(p.open) > 1 {
			closing += o.For / (branches - 1)
			steps = append(steps, Step{At: at, Kind: DeleteAccount, Account: p.closeAccount()})
		}
		steps = append(steps, p.step(at))
	}
}

// step is mostly a deletion.
func (p *population) step(at time.Duration) Step {
	switch n := p.r.IntN(20); {
	case n == 0 && len(p.gone) > 0:
		return Step{At: at, Kind: SaveAgain, User: p.gone[p.r.IntN(len(p.gone))]}
	case n < 3 || len(p.living) == 0:
		a := 0
		if i := p.r.IntN(len(p.open) + 1); i > 0 {
			a = p.open[i-1]
		}
		u := len(p.account)
		p.account = append(p.account, a)
		p.living = append(p.living, u)
		return Step{At: at, Kind: Create, User: u, Account: a}
	default:
		i := p.r.IntN(len(p.living))
		u := p.living[i]
		p.living = slices.Delete(p.living, i, i+1)
		p.gone = append(p.gone, u)
		return Step{At: at, Kind: Delete, User: u}
	}
}

// comebacks are users who are deleted early, restored and, where there is time
// for it to be a deletion of its own, deleted again. Nothing else happens to
// them.
func (p *population) comebacks(o Options) []Step {
	var steps []Step
	for range min(6, o.Users/25) {
		i := p.r.IntN(seeded(o.Users)[0] - 6) // of the login's account
		u := p.living[i]
		p.living = slices.Delete(p.living, i, i+1)
		deleted := between(p.r, 0, o.For/8)
		back := deleted + between(p.r, o.For/16, o.For/8)
		again := time.Duration(0)
		if o.For > 2*margin-margin/2 {
			back = deleted + margin + between(p.r, 0, margin/4)
			again = back + between(p.r, 3*o.Resync, 4*o.Resync)
		}
		steps = append(steps, Step{At: deleted, Kind: Delete, User: u}, Step{At: back, Kind: Undelete, User: u})
		if again > 0 && again < o.For && p.r.IntN(3) > 0 {
			steps = append(steps, Step{At: again, Kind: Delete, User: u})
		}
	}
	return steps
}

// closeAccount takes an account away with all who are in it.
func (p *population) closeAccount() int {
	i := p.r.IntN(len(p.open))
	a := p.open[i]
	p.open = slices.Delete(p.open, i, i+1)
	in := func(u int) bool { return p.account[u] == a }
	p.living = slices.DeleteFunc(p.living, in)
	p.gone = slices.DeleteFunc(p.gone, in)
	return a
}
