package registration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/journaltest"
)

const (
	testURL     = "http://hooks.example.com"
	testAccount = "acc"
)

func testSecrets() []string { return []string{"former-secret"} }

// attemptLog is Kazoo's record of failed attempts, in memory.
type attemptLog struct {
	list    []crossbar.Attempt // Kazoo's clock, any order
	visible map[int]time.Time  // when an entry becomes readable, by Kazoo's clock; absent: at once
	offset  time.Duration
	fail    func(from, to time.Time) error
	read    func() // called when a listing was read, before its reader continues
	asked   []window
	yielded int // attempts that were read
	now     func() time.Time
}

func (l *attemptLog) ClockOffset() (time.Duration, bool) { return l.offset, true }

func (l *attemptLog) Attempts(_ context.Context, account, hookID string, from, to time.Time) iter.Seq2[crossbar.Attempt, error] {
	return func(yield func(crossbar.Attempt, error) bool) {
		l.asked = append(l.asked, window{from, to})
		if account != testAccount || hookID != "" || to.Sub(from) > crossbar.MaxWindow || to.Before(from) {
			yield(crossbar.Attempt{}, errors.New("bad request"))
			return
		}
		if l.fail != nil {
			if err := l.fail(from, to); err != nil {
				yield(crossbar.Attempt{}, err)
				return
			}
		}
		for i := len(l.list) - 1; i >= 0; i-- {
			a := l.list[i]
			if at, late := l.visible[i]; late && l.now().Add(l.offset).Before(at) {
				continue
			}
			if a.Time.IsZero() || !a.Time.Before(from.Truncate(time.Second)) && !a.Time.After(to) {
				l.yielded++
				if !yield(a, nil) {
					return
				}
			}
		}
		if l.read != nil {
			l.read()
		}
	}
}

// failed is an attempt of a user's hook at a time of Kazoo's clock.
func failed(firingID, user string, action event.Action, at time.Time, last bool) crossbar.Attempt {
	body, _ := json.Marshal([]any{[]any{"id", "=", user}, "&account_id=acc&", []any{"action", []any{"="}, action, "&type=user"}})
	return crossbar.Attempt{HookID: "h1", HookEvent: "object", EventID: firingID, URI: testURL + "/kazoo/former-secret/object", Method: "post",
		Header: map[string]string{"content-type": "application/x-www-form-urlencoded", "x-account-id": testAccount, "x-hook-id": "h1"},
		Body:   body, Time: at.Truncate(time.Second), Result: "failure", ClientError: "failed_connect: econnrefused", Last: last}
}

func answered(a crossbar.Attempt, status string) crossbar.Attempt {
	a.Status, a.ClientError, a.Last = status, "", true
	return a
}

// recovery is a Recoverer over a real journal and a record of attempts.
type recovery struct {
	*Recoverer
	log    *attemptLog
	clock  *clock
	j      *journal.Journal
	dir    string
	logged bytes.Buffer
}

func newRecovery(t *testing.T) *recovery {
	t.Helper()
	r := &recovery{clock: newClock()}
	r.log = &attemptLog{now: r.clock.now}
	r.dir = journaltest.MemoryDir(t)
	r.j = openJournal(t, r.dir, r.clock.now)
	r.restart()
	if _, err := r.Begin(t.Context(), testAccount, false); err != nil {
		t.Fatal(err)
	}
	r.clock.add(10 * time.Minute)
	return r
}

func (r *recovery) restart() {
	r.Recoverer = NewRecoverer(r.log, r.j, RecoverOptions{Secrets: testSecrets(), Log: zerolog.New(&r.logged), Now: r.clock.now})
}

func (r *recovery) once(t *testing.T) []crossbar.Attempt {
	t.Helper()
	seen, _, err := r.RunOnce(t.Context(), testAccount)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func (r *recovery) add(a crossbar.Attempt) { r.log.list = append(r.log.list, a) }

func TestFirstRunIsTheBaseline(t *testing.T) {
	t.Parallel()
	r := &recovery{clock: newClock()}
	r.log = &attemptLog{now: r.clock.now}
	r.j = openJournal(t, journaltest.MemoryDir(t), r.clock.now)
	r.restart()
	r.add(failed("f0", "u0", event.Deleted, r.clock.now().Add(-3*time.Hour), true))
	if begun, err := r.Begin(t.Context(), testAccount, false); err != nil || !begun.Equal(r.clock.now()) {
		t.Fatalf("begun %s, %v", begun, err)
	}
	r.clock.add(time.Minute)
	r.once(t)
	if n := len(events(t, r.j)); n != 0 {
		t.Errorf("%d events from before the first run", n)
	}
}

func TestLostEventsAreRecoveredOnce(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	at := r.clock.now().Add(-4 * time.Minute)
	for i := range 3 {
		r.add(failed("f1", "u1", event.Deleted, at.Add(time.Duration(2*i)*time.Second), i == 2))
	}
	r.add(answered(failed("f2", "u2", event.Deleted, at, true), "404"))                           // our own, for a former secret
	r.add(answered(failed("f3", "u3", event.Deleted, at, true), "413"))                           // our own: too large
	r.add(failed("f4", "u4", event.Edited, at, false))                                            // perhaps answered by a later try
	r.add(failed("f5", "u5", event.Deleted, at, false))                                           // likewise, or Kazoo died: keeping it does no harm
	r.add(failed("f6", "u6", event.Deleted, r.clock.now().Add(-5*time.Second), false))            // still under way
	r.add(crossbar.Attempt{HookID: "other", EventID: "f7", URI: "http://elsewhere/", Last: true}) // not ours
	success := answered(failed("f8", "u8", event.Deleted, at, true), "200")
	success.Result = "success"
	r.add(success)
	get := answered(failed("f9", "u9", event.Deleted, at, true), "500")
	get.Body, get.Method = json.RawMessage(`""`), "get"
	r.add(get)
	odd := answered(failed("f10", "u10", event.Deleted, at, true), "500")
	odd.Body = json.RawMessage(`{"not":"an iolist"}`)
	r.add(odd)

	for _, n := range []int{11, 0, 0} {
		if seen := r.once(t); len(seen) != n {
			t.Errorf("%d new attempts, want %d", len(seen), n)
		}
	}
	want := []string{"user.deleted u1", "user.deleted u2", "user.deleted u3"}
	got := tally(t, r.j)
	for _, w := range want {
		if got[w] != 1 {
			t.Errorf("%s: %d events", w, got[w])
		}
	}
	if len(got) != len(want) {
		t.Errorf("events: %v", got)
	}
	for _, rec := range events(t, r.j) {
		if rec.Source != event.SourceRecovered || rec.Hook != "object" || rec.HookID != "h1" || rec.AccountID != testAccount || rec.Method != http.MethodPost {
			t.Errorf("recovered: %+v", rec)
		}
		if rec.ObjectID == "u1" && !rec.ReceivedAt.Equal(at.Add(4*time.Second).Truncate(time.Second)) {
			t.Errorf("time of u1's deletion: %s, the last attempt's is %s", rec.ReceivedAt, at.Add(4*time.Second))
		}
	}
	if s := r.Stats(); s.Recovered != 3 || s.Unrecoverable != 2 || s.Held != 0 || s.Runs != 3 || s.Failures != 0 {
		t.Errorf("stats: %+v", s)
	}
	if n := strings.Count(r.logged.String(), "can't be recovered"); n != 2 {
		t.Errorf("%d lines about unrecoverable events, want 2:\n%s", n, &r.logged)
	}

	// The unfinished firings have ended without a last try. A new process decides only
	// after it has known their newest tries for firingOver.
	r.clock.add(firingOver)
	r.restart()
	r.once(t)
	if n := len(events(t, r.j)); n != 3 {
		t.Errorf("%d events right after the restart, want 3", n)
	}
	r.clock.add(firingOver)
	r.once(t)
	if got := tally(t, r.j); got["user.deleted u6"] != 1 || len(events(t, r.j)) != 5 {
		t.Errorf("after the restart: %v", got)
	}
}

func TestWhatArrivedIsNotRecovered(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	live := func(user string, a event.Action) {
		rec := event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: r.clock.now().UTC(), Hook: "object", HookID: "h1", Method: "POST",
			ContentType: "application/x-www-form-urlencoded", Body: []byte("id=" + user + "&account_id=acc&action=" + string(a) + "&type=user")})
		got, err := r.j.Append(t.Context(), rec)
		if err != nil {
			t.Fatal(err)
		}
		r.j.Acknowledged(rec, got, false)
	}
	// Every answer was lost, so Kazoo believes that all tries failed.
	live("u1", event.Deleted)
	live("u1", event.Edited)
	for i, a := range []event.Action{event.Deleted, event.Edited} {
		r.add(failed("f"+string(a), "u1", a, r.clock.now(), false))
		r.add(failed("f"+string(a), "u1", a, r.clock.now().Add(2*time.Second), true))
		_ = i
	}
	r.clock.add(time.Minute)
	// Two more arrive between our reading and our storing of them.
	r.add(failed("f3", "u3", event.Deleted, r.clock.now(), true))
	r.add(failed("f4", "u4", event.Edited, r.clock.now(), true))
	r.log.read = func() { live("u3", event.Deleted); live("u4", event.Edited) }
	r.once(t)
	r.log.read = nil
	// And a proxy brings two after we have recovered them. The firing of the edit
	// has ended, so what comes then is another edit.
	r.add(failed("f5", "u5", event.Deleted, r.clock.now(), true))
	r.add(failed("f6", "u6", event.Edited, r.clock.now(), true))
	r.once(t)
	if n := tally(t, r.j)["user.edited u6"]; n != 0 {
		t.Error("an edit was recovered before its earlier tries can be known")
	}
	r.clock.add(storedLate)
	r.once(t)
	live("u5", event.Deleted)
	live("u6", event.Edited)
	r.once(t)
	got := tally(t, r.j)
	for _, w := range []string{"user.deleted u1", "user.edited u1", "user.deleted u3", "user.edited u4", "user.deleted u5"} {
		if got[w] != 1 {
			t.Errorf("%s: %d events", w, got[w])
		}
	}
	if got["user.edited u6"] != 2 {
		t.Errorf("%d edits of u6, want the recovered one and the one that came later", got["user.edited u6"])
	}
	if s := r.Stats(); s.Held != 4 || s.Recovered != 2 {
		t.Errorf("stats: %+v", s)
	}
}

// TestWhatArrivedBeforeALongStop: the answer to a request was lost, and then the receiver
// is stopped for longer than the journal's own clock counts (a day).
func TestWhatArrivedBeforeALongStop(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]time.Duration{"an hour": time.Hour, "three days": 72 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecovery(t)
			rec := event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: r.clock.now().UTC(), Hook: "object", HookID: "h1", Method: "POST",
				ContentType: "application/x-www-form-urlencoded", Body: []byte("id=u1&account_id=acc&action=doc_edited&type=user")})
			got, err := r.j.Append(t.Context(), rec)
			if err != nil {
				t.Fatal(err)
			}
			r.j.Refused(rec, got)
			r.add(failed("f1", "u1", event.Edited, r.clock.now(), true))
			r.add(failed("f2", "u1", event.Edited, r.clock.now().Add(2*time.Hour), true)) // the receiver was stopped
			if err := r.j.Close(); err != nil {
				t.Fatal(err)
			}
			r.clock.add(2*time.Hour + away)
			r.j = openJournal(t, r.dir, r.clock.now)
			r.restart()
			for range 3 {
				r.once(t)
				r.clock.add(time.Minute)
			}
			if n := tally(t, r.j)["user.edited u1"]; n != 2 {
				t.Errorf("%d edits, want the one that came and the one that did not", n)
			}
		})
	}
}

// TestTwoFiringsAlike: of two edits with the same bytes one was answered 200 and one
// failed. They are two events.
func TestTwoFiringsAlike(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	rec := event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: r.clock.now().UTC(), Hook: "object", HookID: "h1", Method: "POST",
		ContentType: "application/x-www-form-urlencoded", Body: []byte("id=u1&account_id=acc&action=doc_edited&type=user")})
	got, err := r.j.Append(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	r.j.Acknowledged(rec, got, true)
	r.add(failed("f1", "u1", event.Edited, r.clock.now().Add(1500*time.Millisecond), true))
	for range 3 {
		r.clock.add(time.Minute)
		r.once(t)
	}
	if n := tally(t, r.j)["user.edited u1"]; n != 2 {
		t.Errorf("%d edits, want 2", n)
	}
}

func TestAttemptsWithoutIDOrTime(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	for _, user := range []string{"u1", "u2"} {
		a := failed("", user, event.Deleted, r.clock.now(), true)
		a.URI, a.HookEvent = "%zz", "object"
		r.add(a)
	}
	timeless := failed("", "u3", event.Deleted, r.clock.now(), true)
	timeless.Time = time.Time{}
	r.add(timeless)
	r.Recoverer.opts.OurHooks = func() ([]string, bool) { return []string{"", "h1"}, true }
	for range 3 {
		r.once(t)
		r.clock.add(time.Minute)
	}
	if got := tally(t, r.j); len(got) != 3 || len(events(t, r.j)) != 3 {
		t.Errorf("events: %v", got)
	}
	for _, rec := range events(t, r.j) {
		if rec.ReceivedAt.After(r.clock.now()) || rec.ReceivedAt.Before(r.clock.now().Add(-time.Hour)) {
			t.Errorf("time of the event: %s", rec.ReceivedAt)
		}
	}
}

func TestLateAttemptsAreSeen(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	r.add(failed("f1", "u1", event.Deleted, r.clock.now(), false))
	r.add(failed("f1", "u1", event.Deleted, r.clock.now().Add(2*time.Second), true))
	r.log.visible = map[int]time.Time{1: r.clock.now().Add(3 * time.Minute)}
	for range 8 {
		r.once(t)
		r.clock.add(30 * time.Second)
	}
	if got := tally(t, r.j); got["user.deleted u1"] != 1 {
		t.Errorf("events: %v", got)
	}
}
