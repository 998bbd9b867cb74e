package trial

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// TestScheduleRepeats proves that a seed gives exactly one schedule.
func TestScheduleRepeats(t *testing.T) {
	t.Parallel()
	o := Options{Seed: 5, Users: 200, For: 4 * time.Minute}
	first := Schedule(o)
	if !reflect.DeepEqual(first, Schedule(o)) {
		t.Error("two schedules of one seed differ")
	}
	o.Seed = 6
	if reflect.DeepEqual(first, Schedule(o)) {
		t.Error("another seed gives the same schedule")
	}
}

// TestScheduleIsPossible replays who exists: nobody is deleted twice or comes
// back without having been away, and everything the trial promises is in it.
func TestScheduleIsPossible(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		o := Options{Seed: seed, Users: 150 + int(seed)*20, For: 4 * time.Minute}
		var account []int
		for a, n := range seeded(o.Users) {
			account = append(account, slices.Repeat([]int{a}, n)...)
		}
		alive := slices.Repeat([]bool{true}, len(account))
		closed := map[int]bool{}
		seen := map[Kind]int{}
		last := time.Duration(0)
		for _, s := range Schedule(o) {
			seen[s.Kind]++
			ok := s.At >= last && s.At < o.For && s.At+s.For <= o.For && !closed[s.Account]
			last = s.At
			switch s.Kind {
			case Create:
				ok = ok && s.User == len(account)
				account, alive = append(account, s.Account), append(alive, true)
			case Delete:
				ok = ok && alive[s.User] && !closed[account[s.User]]
				alive[s.User] = false
			case Undelete, SaveAgain:
				ok = ok && !alive[s.User] && !closed[account[s.User]]
				alive[s.User] = s.Kind == Undelete
			case DeleteAccount:
				closed[s.Account] = true
			default:
				ok = ok && s.For > 0
			}
			if !ok {
				t.Fatalf("seed %d: impossible: %s", seed, s)
			}
		}
		for _, k := range []Kind{Delete, Create, SaveAgain, Undelete, DeleteAccount, Kill, Terminate, APIFault, Delivery, SwitchOff, DiskFull, Clock} {
			if seen[k] == 0 {
				t.Errorf("seed %d: no %s", seed, k)
			}
		}
	}
}
