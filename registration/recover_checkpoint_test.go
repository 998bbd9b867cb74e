package registration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

func TestClocksThatJump(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(*recovery){
		"Kazoo's forward":  func(r *recovery) { r.log.offset += time.Hour },
		"Kazoo's back":     func(r *recovery) { r.log.offset -= time.Hour },
		"ours forward":     func(r *recovery) { r.clock.add(time.Hour); r.log.offset -= time.Hour },
		"ours back":        func(r *recovery) { r.clock.add(-time.Hour); r.log.offset += time.Hour },
		"both back":        func(r *recovery) { r.clock.add(-time.Hour) },
		"nobody's":         func(*recovery) {},
		"Kazoo's ahead":    func(r *recovery) { r.log.offset = 30 * time.Second },
		"ours long wrong":  func(r *recovery) { r.clock.add(40 * 24 * time.Hour); r.log.offset -= 40 * 24 * time.Hour },
		"ours long behind": func(r *recovery) { r.clock.add(-40 * 24 * time.Hour); r.log.offset += 40 * 24 * time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecovery(t)
			r.once(t)
			move(r)
			r.clock.add(20 * time.Second)
			r.add(failed("f1", "u1", event.Deleted, r.clock.now().Add(r.log.offset), true))
			r.clock.add(20 * time.Minute) // we were down
			r.restart()
			r.once(t)
			recs := events(t, r.j)
			if len(recs) != 1 {
				t.Fatalf("%d events, want 1; asked for %v", len(recs), r.log.asked)
			}
			if ago := r.clock.now().Sub(recs[0].ReceivedAt); ago < 20*time.Minute-2*time.Second || ago > 20*time.Minute+2*time.Second {
				t.Errorf("the event happened %s ago, want 20m", ago)
			}
		})
	}
}

func TestArchivedMonths(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	r.clock.add(time.Date(2027, 3, 10, 12, 0, 0, 0, time.UTC).Sub(r.clock.now()))
	r.once(t)
	r.log.list = nil
	r.clock.add(70 * 24 * time.Hour) // until the 19th of May
	missing := map[time.Month]error{
		time.April: &crossbar.Error{Op: "attempts", Status: http.StatusServiceUnavailable, Message: "datastore missing view"},
		time.March: &crossbar.Error{Op: "attempts", Status: http.StatusNotFound, Message: "not found"},
	}
	r.log.fail = func(from, _ time.Time) error { return missing[from.Month()] }
	r.add(failed("f1", "u1", event.Deleted, r.clock.now().Add(-time.Hour), true))

	r.once(t) // Kazoo may still build the views
	if r.Stats().ArchivedGaps != 0 || tally(t, r.j)["user.deleted u1"] != 1 {
		t.Errorf("at first: %+v, %v", r.Stats(), tally(t, r.j))
	}
	missing[time.April] = nil // April's was built
	r.add(failed("f2", "u2", event.Deleted, time.Date(2027, 4, 10, 0, 0, 0, 0, time.UTC), true))
	r.clock.add(archiveGrace)
	r.once(t)
	if s := r.Stats(); s.ArchivedGaps != 1 || tally(t, r.j)["user.deleted u2"] != 1 {
		t.Errorf("after the grace: %+v, %v", s, tally(t, r.j))
	}
	if n := strings.Count(r.logged.String(), "Kazoo has no record of the failed attempts"); n != 1 {
		t.Errorf("%d lines about archived months:\n%s", n, &r.logged)
	}
	r.log.asked = nil
	r.once(t)
	if len(r.log.asked) != 1 {
		t.Errorf("asked for %v, but one request is enough if nothing fails", r.log.asked)
	}

	// The current month has no record before the first failure in it.
	missing[time.May] = missing[time.March]
	since := r.clock.now()
	for range 3 {
		r.clock.add(time.Hour)
		r.once(t)
	}
	missing[time.May] = nil
	r.add(failed("f3", "u3", event.Deleted, since.Add(10*time.Minute), true))
	r.once(t)
	if s := r.Stats(); s.ArchivedGaps != 1 || tally(t, r.j)["user.deleted u3"] != 1 {
		t.Errorf("the current month: %+v, %v", s, tally(t, r.j))
	}
}

func TestTransientFailuresHoldTheCheckpoint(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	r.clock.add(time.Date(2027, 3, 10, 12, 0, 0, 0, time.UTC).Sub(r.clock.now()))
	r.once(t)
	r.log.list = nil
	r.clock.add(70 * 24 * time.Hour)
	broken := true
	r.log.fail = func(from, _ time.Time) error {
		if broken && from.Month() == time.April {
			return &crossbar.Error{Op: "attempts", Status: http.StatusInternalServerError, Message: "datastore fault"}
		}
		return nil
	}
	r.add(failed("f1", "u1", event.Deleted, time.Date(2027, 4, 10, 0, 0, 0, 0, time.UTC), true))
	r.add(failed("f2", "u2", event.Deleted, time.Date(2027, 5, 10, 0, 0, 0, 0, time.UTC), true))
	for range 3 {
		if _, _, err := r.RunOnce(t.Context(), testAccount); err == nil || !strings.Contains(err.Error(), "datastore fault") {
			t.Fatalf("no error: %v", err)
		}
		r.clock.add(time.Hour)
	}
	if got := tally(t, r.j); got["user.deleted u2"] != 1 || len(got) != 1 {
		t.Errorf("while April can't be read: %v", got)
	}
	broken = false
	r.once(t)
	if got := tally(t, r.j); got["user.deleted u1"] != 1 || len(got) != 2 {
		t.Errorf("afterwards: %v", got)
	}
	if s := r.Stats(); s.Failures != 3 || s.ArchivedGaps != 0 {
		t.Errorf("stats: %+v", s)
	}
	// If Kazoo doesn't answer at all, not every month is tried.
	r.clock.add(200 * 24 * time.Hour)
	r.log.asked = nil
	r.log.fail = func(time.Time, time.Time) error {
		return &crossbar.Error{Op: "attempts", Err: errors.New("connection refused")}
	}
	if _, _, err := r.RunOnce(t.Context(), testAccount); err == nil || len(r.log.asked) != 2 {
		t.Errorf("%v, asked %d times", err, len(r.log.asked))
	}
}

func TestVeryOldOrDamagedCheckpoint(t *testing.T) {
	t.Parallel()
	for name, saved := range map[string]string{"old": `{"kazoo":"2001-01-01T00:00:00Z","ours":"2001-01-01T00:00:00Z"}`, "damaged": "?", "empty": "{}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecovery(t)
			if err := r.j.SetState(t.Context(), checkpointKey+testAccount, saved); err != nil {
				t.Fatal(err)
			}
			r.add(failed("f1", "u1", event.Deleted, r.clock.now().Add(-300*24*time.Hour), true))
			r.once(t)
			if n := len(r.log.asked); n < 12 || n > 14 || tally(t, r.j)["user.deleted u1"] != 1 {
				t.Errorf("asked %d times, events %v", n, tally(t, r.j))
			}
			if !strings.Contains(r.logged.String(), "very long ago") {
				t.Errorf("log: %s", &r.logged)
			}
		})
	}
}

func TestRecoveringCutShort(t *testing.T) {
	t.Parallel()
	for n := range int64(8) {
		r := newRecovery(t)
		for _, u := range []string{"u1", "u2", "u3"} {
			r.add(failed("f-"+u, u, event.Deleted, r.clock.now(), true))
		}
		r.clock.add(time.Minute)
		store := &flaky{Journal: r.j}
		store.left.Store(n)
		r.Recoverer = NewRecoverer(r.log, store, RecoverOptions{Secrets: testSecrets(), Now: r.clock.now, OurHooks: func() ([]string, bool) { return []string{"h1"}, true }})
		if _, _, err := r.RunOnce(t.Context(), testAccount); (err == nil) != (n >= 5) {
			t.Errorf("cut short after %d writes: %v", n, err)
		}
		store.left.Store(-1)
		r.restart()
		r.clock.add(time.Minute)
		r.once(t)
		if got := tally(t, r.j); len(got) != 3 || len(events(t, r.j)) != 3 {
			t.Errorf("cut short after %d writes: %v", n, got)
		}
	}
}

// stubborn is a journal that never stores the events of one user.
type stubborn struct {
	*journal.Journal
	user string
	why  error
}

func (s *stubborn) Append(ctx context.Context, r event.Record) (event.Appended, error) {
	if r.ObjectID == s.user {
		return event.Appended{}, s.why
	}
	return s.Journal.Append(ctx, r)
}

// TestTooLargeIsUnrecoverable: an event that a cluster's log can never take fails no run,
// and is reported once. The next runs begin after it.
func TestTooLargeIsUnrecoverable(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	for _, u := range []string{"u1", "u2"} {
		r.add(failed("f-"+u, u, event.Deleted, r.clock.now(), true))
	}
	r.clock.add(time.Minute)
	store := &stubborn{Journal: r.j, user: "u1", why: fmt.Errorf("%w: 1400000 bytes", journal.ErrTooLarge)}
	r.Recoverer = NewRecoverer(r.log, store, RecoverOptions{Secrets: testSecrets(), Now: r.clock.now, Log: r.opts.Log})
	for range 3 {
		r.once(t)
		r.clock.add(time.Minute)
	}
	if got := tally(t, r.j); got["user.deleted u2"] != 1 || len(got) != 1 {
		t.Errorf("recovered %v", got)
	}
	if s := r.Stats(); s.Unrecoverable != 1 || s.Failures != 0 {
		t.Errorf("stats: %+v", s)
	}
	if n := strings.Count(r.logged.String(), "can't be recovered"); n != 1 {
		t.Errorf("%d lines about it:\n%s", n, &r.logged)
	}
}

// TestOneStuckFiringHoldsUpNoOther: an event that can't be stored delays no other.
func TestOneStuckFiringHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	for _, u := range []string{"u1", "u2", "u3", "u4", "u5"} {
		r.add(failed("f-"+u, u, event.Deleted, r.clock.now(), true))
	}
	r.clock.add(time.Minute)
	store := &stubborn{Journal: r.j, user: "u1", why: errCrash}
	r.Recoverer = NewRecoverer(r.log, store, RecoverOptions{Secrets: testSecrets(), Now: r.clock.now})
	for range 2 {
		if _, _, err := r.RunOnce(t.Context(), testAccount); !errors.Is(err, errCrash) {
			t.Errorf("no error: %v", err)
		}
		if got := tally(t, r.j); len(got) != 4 || len(events(t, r.j)) != 4 {
			t.Errorf("recovered %v", got)
		}
	}
	store.user = ""
	r.once(t)
	if got := tally(t, r.j); len(got) != 5 || len(events(t, r.j)) != 5 {
		t.Errorf("recovered %v", got)
	}
}

func TestRecoveringNeedsTheJournal(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := r.RunOnce(ctx, testAccount); err == nil {
		t.Error("no error without the checkpoint")
	}
	store := &unreadable{Journal: r.j, key: hooksKey + testAccount}
	r.Recoverer = NewRecoverer(r.log, store, RecoverOptions{Secrets: testSecrets()})
	if _, _, err := r.RunOnce(t.Context(), testAccount); !errors.Is(err, errCrash) {
		t.Errorf("no error without our hooks: %v", err)
	}
}

// unreadable is a journal in which one state can't be read.
type unreadable struct {
	*journal.Journal
	key string
}

func (u *unreadable) State(ctx context.Context, key string) (string, error) {
	if key == u.key {
		return "", errCrash
	}
	return u.Journal.State(ctx, key)
}

func TestWindows(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		v, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var got []string
	for w := range windows(at("2026-11-30 23:58:00").Add(300*time.Millisecond), at("2027-02-01 00:00:01")) {
		got = append(got, w.from.Format(time.DateTime)+" to "+w.to.Format(time.DateTime))
		if w.to.Sub(w.from) > crossbar.MaxWindow {
			t.Errorf("longer than Crossbar accepts: %v", w)
		}
	}
	want := []string{"2026-11-30 23:58:00 to 2026-11-30 23:59:59", "2026-12-01 00:00:00 to 2026-12-31 23:59:59",
		"2027-01-01 00:00:00 to 2027-01-31 23:59:59", "2027-02-01 00:00:00 to 2027-02-01 00:00:01"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("windows:\n%s", strings.Join(got, "\n"))
	}
	for range windows(at("2027-01-01 00:00:00"), at("2027-03-01 00:00:00")) {
		break // the loop may end early
	}
	for range windows(at("2027-01-01 00:00:00"), at("2026-03-01 00:00:00")) {
		t.Error("a window that ends before it begins")
	}
}

// TestSlowRecordDelaysNoPass: a pass over the hooks calls Begin, which doesn't wait for a
// reading of Kazoo's record.
func TestSlowRecordDelaysNoPass(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	began := 0
	r.log.fail = func(time.Time, time.Time) error { // the record is being read
		done := make(chan error)
		go func() {
			_, err := r.Begin(t.Context(), testAccount, true)
			done <- err
		}()
		began++
		return <-done
	}
	r.once(t)
	if began == 0 {
		t.Error("the record was not read")
	}
}
