package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// TestRedeliverDead: redelivered dead letters come before waiting events of their keys.
func TestRedeliverDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.fake("d")
		refused := func(m *Message) Result {
			if m.Object == "x" && m.Seq < 10 {
				return failing(m)
			}
			return Result{}
		}
		f.set(refused)
		w.run(dest(t, "d", func(s *Settings) { s.Retry = []time.Duration{100 * time.Millisecond} }))
		for range 3 { // 1, 3 and 5 are refused
			w.edits("x", "y")
			pass(time.Second)
		}
		if s := w.status("d"); s.Dead != 3 || s.Waiting != 0 {
			t.Fatalf("%+v", s)
		}
		if err := w.e.Pause(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		for range 5 { // our own events about the dead letters come in between
			w.edits("x")
		}
		n := len(f.all())
		dry, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", Dead: true, DryRun: true})
		if err != nil || len(dry.Events) != 3 || w.status("d").Dead != 3 {
			t.Fatalf("a dry run: %+v, %v", dry, err)
		}
		list, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", Dead: true})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "redelivered", list, dry)
		f.set(nil)
		if err := w.e.Resume(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		got := f.all()[n:]
		if len(got) != 8 {
			t.Fatalf("%+v", got)
		}
		for i, s := range got {
			if s.redelivered != (i < 3) || s.attempt != 1 || i > 0 && s.seq < got[i-1].seq {
				t.Errorf("attempt %d: %+v", i, s)
			}
		}
		if s := w.status("d"); s.Dead != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestRedeliverForALeavingCaller: once an order has begun, it is carried out whole, also
// if its caller leaves.
func TestRedeliverForALeavingCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many = 600 // several commands
		w := newWorld(t)
		seen := w.watch(dest(t, "d"))
		for i := range many {
			w.edits(fmt.Sprint(i))
		}
		pass(time.Minute)
		same(t, "delivered", len(w.delivered("d")), many)
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		seen.whenCalled(leave)
		list, err := w.e.Redeliver(ctx, Redelivery{Destination: "d", From: time.Now().Add(-time.Hour)})
		if err != nil || len(list.Events) != many || list.Count != many {
			t.Errorf("%d of %d, %v", list.Count, len(list.Events), err)
		}
		pass(time.Minute)
		same(t, "delivered again", len(w.delivered("d")), 2*many)
		same(t, "waiting", w.status("d").Waiting, int64(0))
	})
}

// TestRedeliverThatSeemsToFail: whatever of an order reached the journal is delivered,
// although the order failed and nothing could be read right then.
func TestRedeliverThatSeemsToFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := dest(t, "d")
		seen := &unread{watched: watched{Journal: w.j}}
		w.runOn(seen, d)
		w.edits("a", "b")
		pass(time.Minute)
		seen.failing(1)
		seen.reads = 1
		if _, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", From: time.Now().Add(-time.Hour)}); err == nil {
			t.Error("it didn't fail")
		}
		pass(time.Minute)
		same(t, "delivered again", len(w.delivered("d")), 4)
	})
}

// unread is a journal whose waiting deliveries can't be read for some calls.
type unread struct {
	watched
	reads int // how many calls fail
}

func (u *unread) WaitingDeliveries(ctx context.Context, name string, upto int64, limit int) ([]journal.Delivery, error) {
	if u.reads > 0 {
		u.reads--
		return nil, journal.ErrUnavailable
	}
	return u.Journal.WaitingDeliveries(ctx, name, upto, limit)
}

func TestRedeliverSelection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(dest(t, "d", func(s *Settings) { s.Events = []string{"user.deleted", "user.edited"} }))
		w.append("a", event.Created)
		time.Sleep(time.Hour)
		from := time.Now()
		w.append("a", event.Edited)
		w.append("b", event.Created)
		w.append("b", event.Deleted)
		time.Sleep(time.Hour)
		to := time.Now()
		w.append("c", event.Edited)
		pass(time.Second)
		id := func(seq int64) string {
			recs, _, err := w.j.Kept(t.Context(), []int64{seq})
			if err != nil || len(recs) != 1 {
				t.Fatal(recs, err)
			}
			return recs[0].ID
		}
		for name, tt := range map[string]struct {
			what Redelivery
			want []int64
			err  string
		}{
			"a span":                {Redelivery{From: from, To: to}, []int64{2, 4}, ""},
			"from then on":          {Redelivery{From: from}, []int64{2, 4, 5}, ""},
			"a pattern":             {Redelivery{From: from.Add(-9 * time.Hour), Event: "*.edited"}, []int64{2, 5}, ""},
			"one, whatever filters": {Redelivery{EventID: id(1)}, []int64{1}, ""},
			"dead, none":            {Redelivery{Dead: true}, nil, ""},
			"nothing":               {Redelivery{}, nil, "say either"},
			"two ways":              {Redelivery{Dead: true, EventID: id(1)}, nil, "say either"},
			"id and pattern":        {Redelivery{EventID: id(1), Event: "x"}, nil, "its id alone"},
			"backwards":             {Redelivery{From: to, To: from}, nil, "ends before it begins"},
			"no such event":         {Redelivery{EventID: "01KJMMA2G0P91ZY7ME5FV286XE"}, nil, "no such event"},
			"no id":                 {Redelivery{EventID: "x"}, nil, "is not an event id"},
			"no such destination":   {Redelivery{Destination: "e", Dead: true}, nil, `no such destination: "e"; configured are d`},
		} {
			if tt.what.Destination == "" {
				tt.what.Destination = "d"
			}
			n := len(w.fake("d").all())
			list, err := w.e.Redeliver(t.Context(), tt.what)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%s: %v, want %s", name, err, tt.err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			pass(time.Second)
			var reported, got []int64
			for _, one := range list.Events {
				reported = append(reported, one.Seq)
			}
			for _, s := range w.fake("d").all()[n:] {
				if got = append(got, s.seq); !s.redelivered {
					t.Errorf("%s: not marked: %+v", name, s)
				}
			}
			slices.Sort(got)
			same(t, name+", what is said", reported, tt.want)
			same(t, name+", what is done", got, tt.want)
		}
	})
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(dest(t, "d", func(s *Settings) { s.Body = `{{if .data.n}}{{index .data.n "x" "y"}}{{end}}x` }))
		w.append("a", event.Created)
		w.edits("a", "b", "c")
		pass(time.Second)
		dead, err := w.j.DeadLetters(t.Context(), "d", 0, 9)
		if err != nil || len(dead) != 4 {
			t.Fatalf("%+v, %v", dead, err)
		}
		for _, tt := range []struct {
			what Discarding
			want int
		}{
			{Discarding{EventID: dead[2].EventID}, 1},
			{Discarding{EventID: dead[2].EventID}, 0},
			{Discarding{Event: "user.created"}, 1},
			{Discarding{}, 2},
		} {
			tt.what.Destination = "d"
			if n, err := w.e.Discard(t.Context(), tt.what); err != nil || n != tt.want {
				t.Errorf("%+v: %d, %v", tt.what, n, err)
			}
		}
		if _, err := w.e.Discard(t.Context(), Discarding{Destination: "x"}); !errors.Is(err, ErrUnknown) {
			t.Errorf("%v", err)
		}
	})
}

// TestRedeliverGivenUp: an event that was given up for a destination can't be
// redelivered to it, also while it is still in the journal. Every kind of order says so.
func TestRedeliverGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(dest(t, "d"))
		if err := w.e.Pause(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		w.edits("a", "b", "c")
		pass(time.Second)
		if err := w.e.giveUpThrough(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if s := w.status("d"); s.Dead != 2 || s.Waiting != 1 {
			t.Fatalf("%+v", s)
		}
		recs, err := w.j.Read(t.Context(), 0, 3)
		if err != nil || len(recs) != 3 {
			t.Fatal(recs, err)
		}
		for name, tt := range map[string]struct {
			what    Redelivery
			skipped []bool
			count   int
		}{
			"dead":         {Redelivery{Dead: true}, []bool{true, true}, 0},
			"one":          {Redelivery{EventID: recs[1].ID}, []bool{true}, 0},
			"another":      {Redelivery{EventID: recs[2].ID}, []bool{false}, 1},
			"from then on": {Redelivery{From: time.Now().Add(-time.Hour)}, []bool{true, true, false}, 1},
		} {
			for _, dry := range []bool{true, false} {
				tt.what.Destination, tt.what.DryRun = "d", dry
				list, err := w.e.Redeliver(t.Context(), tt.what)
				if err != nil || list.Count != tt.count {
					t.Errorf("%s, dry %t: %d, %v", name, dry, list.Count, err)
				}
				var skipped []bool
				for _, one := range list.Events {
					skipped = append(skipped, one.Skipped != "")
				}
				same(t, name+", skipped", skipped, tt.skipped)
			}
		}
	})
}

// TestRedeliverManyDead: an order takes the oldest dead letters that there is room for and
// says how many are left, and the same order again takes those. Those without a body
// take no room. A time and a name select among all.
func TestRedeliverManyDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.most = 2
		w.fake("d").set(func(m *Message) Result {
			if m.Event == "user.created" {
				return Result{}
			}
			return failing(m)
		})
		w.run(dest(t, "d", func(s *Settings) {
			s.Retry, s.Events = []time.Duration{100 * time.Millisecond}, []string{"user.*"}
		}))
		var times []time.Time
		for i := range 8 { // 1, 3, 5, ... 15 become dead letters
			times = append(times, time.Now())
			w.append(fmt.Sprint("dead", i), []event.Action{event.Edited, event.Deleted}[i%2])
			w.append(fmt.Sprint("taken", i), event.Created)
			pass(time.Hour)
		}
		if err := w.e.Pause(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		recs, err := w.j.Read(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var users []int64 // number of each event about a dead letter's user
		for i := range recs {
			if recs[i].Event == "user.edited" || recs[i].Event == "user.deleted" {
				users = append(users, recs[i].Seq)
			}
		}
		if len(users) != 8 || w.status("d").Dead != 8 {
			t.Fatalf("%v, %+v", users, w.status("d"))
		}
		if _, err := w.j.GiveUp(t.Context(), users[2], "too much"); err != nil {
			t.Fatal(err)
		}
		of := func(list Redeliveries) (which []int) {
			for _, one := range list.Events {
				if one.Skipped == "" {
					which = append(which, slices.Index(users, one.Seq))
				}
			}
			return which
		}
		for name, tt := range map[string]struct {
			what Redelivery
			want []int
			left int
		}{
			"all":           {Redelivery{}, []int{3, 4}, 3},
			"from":          {Redelivery{From: times[6]}, []int{6, 7}, 0},
			"from and to":   {Redelivery{From: times[4], To: times[5]}, []int{4}, 0},
			"to":            {Redelivery{To: times[4]}, []int{3}, 0},
			"a name":        {Redelivery{Event: "user.edited"}, []int{4, 6}, 0},
			"name and time": {Redelivery{Event: "*.deleted", From: times[4]}, []int{5, 7}, 0},
		} {
			tt.what.Destination, tt.what.Dead, tt.what.DryRun = "d", true, true
			list, err := w.e.Redeliver(t.Context(), tt.what)
			if err != nil || list.Left != tt.left || list.Count != len(tt.want) {
				t.Errorf("%s: %+v, %v", name, list, err)
			}
			same(t, name, of(list), tt.want)
		}
		for _, want := range [][]int{{3, 4}, {5, 6}, {7}, nil} {
			list, err := w.e.Redeliver(t.Context(), Redelivery{Destination: "d", Dead: true})
			if err != nil || len(list.Events)+list.More != len(want)+3 {
				t.Errorf("%+v, %v", list, err)
			}
			same(t, "redelivered", of(list), want)
		}
		if s := w.status("d"); s.Dead != 3 || s.Waiting != 5 {
			t.Errorf("%+v", s)
		}
	})
}
