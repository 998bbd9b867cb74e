package trial

import (
	"math/rand/v2"
	"slices"
	"time"

	"kazoohook/internal/fakekazoo"
)

const (
	branches = 6 // accounts below the login's that may be deleted
	// margin is how long after a deletion the receiver takes another one for an
	// echo, because Kazoo guarantees no order.
	margin = time.Minute
)

// seeded returns how many users each account has at the start. Account 0 is the
// login's and has most of them.
func seeded(users int) [branches + 1]int {
	var n [branches + 1]int
	for i := 1; i <= branches; i++ {
		n[i] = max(1, users/100)
	}
	n[0] = max(0, users-branches*n[1])
	return n
}

// population tracks the existing users while the schedule is made. It doesn't depend
// on the receiver.
type population struct {
	r       *rand.Rand
	account []int // of each user
	living  []int
	deleted []int // deleted users whose account still exists
	open    []int // accounts that exist, without the login's
}

// people makes the deletions and the few other changes of users.
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
	p.living = p.living[early(o):] // those are deleted during the first starts
	steps := slices.Concat(p.comebacks(o), p.youngsters(o))
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
		s := p.step(at)
		steps = append(steps, s)
		if s.Kind == Edit && p.r.IntN(2) == 0 { // once more, with identical bytes
			s.At = min(at+between(p.r, 100*time.Millisecond, 3*time.Second), o.For-1)
			steps = append(steps, s)
		}
	}
}

// early is the number of users that are deleted during the receiver's first starts:
// the first ones of the login's account.
func early(o Options) int { return min(8, o.Users/20) }

func (p *population) newUser(account int) int {
	u := len(p.account)
	p.account = append(p.account, account)
	return u
}

// step makes one change, mostly a deletion.
func (p *population) step(at time.Duration) Step {
	switch n := p.r.IntN(20); {
	case n == 0 && len(p.deleted) > 0:
		return Step{At: at, Kind: SaveAgain, User: p.deleted[p.r.IntN(len(p.deleted))]}
	case n < 3 || len(p.living) == 0:
		a := 0
		if i := p.r.IntN(len(p.open) + 1); i > 0 {
			a = p.open[i-1]
		}
		u := p.newUser(a)
		p.living = append(p.living, u)
		return Step{At: at, Kind: Create, User: u, Account: a}
	case n < 8:
		return Step{At: at, Kind: Edit, User: p.living[p.r.IntN(len(p.living))]}
	default:
		i := p.r.IntN(len(p.living))
		u := p.living[i]
		p.living = slices.Delete(p.living, i, i+1)
		p.deleted = append(p.deleted, u)
		return Step{At: at, Kind: Delete, User: u}
	}
}

// comebacks are users that are deleted early, restored and, if enough time is left
// for a separate deletion, deleted again. Nothing else happens to them.
func (p *population) comebacks(o Options) []Step {
	var steps []Step
	for range min(6, o.Users/25) {
		i := p.r.IntN(seeded(o.Users)[0] - early(o) - 6) // of the login's account
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

// youngsters are users that are created and, a moment later, deleted while no hook
// fires. Only the event of their creation shows that they existed. For half of them
// Kazoo's API is down meanwhile, so that nothing can be looked up.
func (p *population) youngsters(o Options) []Step {
	var steps []Step
	for range max(2, int(o.For/o.Pause)) {
		at := between(p.r, 0, o.For*7/8)
		u := p.newUser(0)
		steps = append(steps, Step{At: at, Kind: Create, User: u})
		off := at + between(p.r, 20*time.Millisecond, o.Pause/8)
		deleted := off + between(p.r, 100*time.Millisecond, 500*time.Millisecond)
		if deleted >= o.For {
			continue // it is not deleted
		}
		away := min(o.Pause/2, o.For-off)
		if p.r.IntN(2) == 0 {
			steps = append(steps, Step{At: max(0, at-50*time.Millisecond), Kind: APIFault, For: deleted - at, Fault: fakekazoo.Fault{Kind: fakekazoo.FaultDown}})
		}
		steps = append(steps, Step{At: deleted, Kind: Delete, User: u})
		switch p.r.IntN(3) {
		case 0:
			steps = append(steps, Step{At: off, Kind: Kill, For: away})
		case 1:
			steps = append(steps, Step{At: off, Kind: SwitchOff, For: away})
		default:
			steps = append(steps, Step{At: off, Kind: Foreign, Change: ChangeDisabled, For: away, Undo: true})
		}
	}
	return steps
}

// closeAccount removes an account with all its users.
func (p *population) closeAccount() int {
	i := p.r.IntN(len(p.open))
	a := p.open[i]
	p.open = slices.Delete(p.open, i, i+1)
	in := func(u int) bool { return p.account[u] == a }
	p.living = slices.DeleteFunc(p.living, in)
	p.deleted = slices.DeleteFunc(p.deleted, in)
	return a
}
