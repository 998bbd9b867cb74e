package trial

import (
	"reflect"
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

// TestScheduleIsPossible replays the schedule: no user is deleted twice or restored
// without a deletion, and all kinds of steps occur.
func TestScheduleIsPossible(t *testing.T) {
	t.Parallel()
	seen := map[Kind]int{}
	for seed := range uint64(50) {
		o := Options{Seed: seed, Users: 150 + int(seed)*20, For: 4 * time.Minute}
		account := map[int]int{} // of each user
		alive := map[int]bool{}
		for a, n := range seeded(o.Users) {
			for range n {
				alive[len(account)] = true
				account[len(account)] = a
			}
		}
		for u := range early(o.withDefaults()) {
			alive[u] = false
		}
		closed := map[int]bool{}
		last := time.Duration(0)
		for _, s := range Schedule(o) {
			seen[s.Kind]++
			ok := s.At >= last && s.At < o.For && s.At+s.For <= o.For && !closed[s.Account]
			last = s.At
			_, known := account[s.User]
			switch s.Kind {
			case Create:
				ok = ok && !known
				account[s.User], alive[s.User] = s.Account, true
			case Delete:
				ok = ok && alive[s.User] && !closed[account[s.User]]
				alive[s.User] = false
			case Undelete, SaveAgain:
				ok = ok && known && !alive[s.User] && !closed[account[s.User]]
				alive[s.User] = s.Kind == Undelete
			case Edit: // the user may be deleted already
				ok = ok && known
			case DeleteAccount:
				closed[s.Account] = true
			default:
				ok = ok && s.For > 0
			}
			if !ok {
				t.Fatalf("seed %d: impossible: %s", seed, s)
			}
		}
	}
	for _, k := range []Kind{
		Delete, Create, Edit, SaveAgain, Undelete, DeleteAccount, Kill, Terminate, APIFault, Delivery, SwitchOff, DiskFull, Clock,
		Foreign, Offer, ViewLag, Backup, Restore,
	} {
		if seen[k] < 10 {
			t.Errorf("%d times %s", seen[k], k)
		}
	}
}
