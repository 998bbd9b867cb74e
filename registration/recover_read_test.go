package registration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kazoohook/internal/event"
)

// fill adds n failed firings of deletions at intervals of step; the last is now.
func (r *recovery) fill(n int, step time.Duration) {
	now := r.clock.now()
	for i := range n {
		at := now.Add(-step * time.Duration(n-1-i))
		r.add(failed(fmt.Sprintf("f%d", i), fmt.Sprintf("u%d", i), event.Deleted, at, true))
	}
}

// below adds an attempt where Kazoo sorts it, by its timestamp.
func (r *recovery) below(id string, behind time.Duration) {
	a := failed(id, "user-"+id, event.Deleted, r.clock.now().Add(-behind), true)
	i := len(r.log.list)
	for i > 0 && r.log.list[i-1].Time.After(a.Time) {
		i--
	}
	r.log.list = slices.Insert(r.log.list, i, a)
}

// TestReadsDownToWhatIsKnown: a run reads until the first page without new attempts. An
// attempt below it, stamped by a slow clock, is found when the whole record is read:
// every ten minutes and after an outage.
func TestReadsDownToWhatIsKnown(t *testing.T) {
	t.Parallel()
	for name, behind := range map[string]time.Duration{"a clock 7 minutes behind": 7 * time.Minute, "an hour behind": time.Hour, "an hour ahead": -time.Hour} {
		for _, asked := range []bool{false, true} {
			t.Run(fmt.Sprint(name, asked), func(t *testing.T) {
				t.Parallel()
				r := newRecovery(t)
				r.clock.add(3 * time.Hour)
				r.fill(900, 4*time.Second) // an hour of failures
				r.once(t)
				r.log.yielded = 0
				r.clock.add(30 * time.Second)
				r.once(t)
				if r.log.yielded > 2*pageSize {
					t.Errorf("read %d attempts although all are known", r.log.yielded)
				}
				r.below("late", behind)
				r.log.yielded = 0
				if asked {
					r.ReadWhole()
				} else if behind > 0 {
					r.once(t)
					if tally(t, r.j)["user.deleted user-late"] != 0 || r.log.yielded > 2*pageSize {
						t.Errorf("read %d attempts", r.log.yielded)
					}
					r.clock.add(wholeEvery)
				}
				r.once(t)
				r.clock.add(time.Second)
				r.once(t)
				if got := tally(t, r.j); got["user.deleted user-late"] != 1 || len(got) != 901 {
					t.Errorf("%d events, of the late one %d", len(got), got["user.deleted user-late"])
				}
			})
		}
	}
}

// TestReadsAtMostSoMuchInARun: a long record is read in several runs. Nothing is
// concluded before its end, because the journal gets the oldest firings first.
func TestReadsAtMostSoMuchInARun(t *testing.T) {
	t.Parallel()
	const most, many = 4, 2*4*pageSize + 100
	r := newRecovery(t)
	r.clock.add(3 * time.Hour)
	r.fill(many, 3*time.Second)
	if err := r.j.SetState(t.Context(), checkpointKey+testAccount, ""); err != nil {
		t.Fatal(err)
	}
	if begun, err := r.Begin(t.Context(), testAccount, true); err != nil || !begun.IsZero() {
		t.Fatal(begun, err)
	}
	r.reading.most = most
	runs := 0
	for more := true; more; runs++ {
		r.log.yielded = 0
		var err error
		if _, more, err = r.RunOnce(t.Context(), testAccount); err != nil {
			t.Fatal(err)
		}
		if r.log.yielded > (most+3)*pageSize {
			t.Errorf("run %d read %d attempts", runs, r.log.yielded)
		}
		if more && len(events(t, r.j)) != 0 {
			t.Fatal("events were appended before everything was read")
		}
		if runs == 0 { // new attempts come meanwhile
			r.clock.add(time.Minute)
			r.add(failed("new", "new", event.Deleted, r.clock.now(), true))
		}
	}
	got := events(t, r.j)
	if len(got) != many+1 || runs < 3 || runs > 6 {
		t.Fatalf("%d events after %d runs", len(got), runs)
	}
	for i, e := range got[:many] {
		if want := fmt.Sprintf("u%d", i); e.ObjectID != want {
			t.Fatalf("event %d is of %s, want %s", i, e.ObjectID, want)
		}
	}
	at, err := r.lastCheckpoint(t.Context(), testAccount)
	if err != nil || r.clock.now().Sub(at.Ours) > time.Minute {
		t.Errorf("the checkpoint is %v, %v", at, err)
	}
}
