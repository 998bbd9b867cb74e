package registration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/journaltest"
)

// sending is one firing of the modelled Kazoo, for our hook.
type sending struct {
	id, what, body string
	left           int // tries
	due            time.Time
	crashes        int  // of our process, before it answered
	recorded       int  // failed attempts
	over           bool // it was answered or given up, or Kazoo died
	died           bool
}

// sender is Kazoo's sender of events, our receiver with its real journal, and the
// recovery. All use one clock that only the test moves.
type sender struct {
	t       *rapid.T
	dir     string
	clock   *clock
	log     *attemptLog
	j       *journal.Journal
	r       *Recoverer
	firings []*sending
	n       int
	deleted map[int]bool
}

func (s *sender) open() {
	j, err := journal.Open(context.Background(), journal.Options{Dir: s.dir, Now: s.clock.now})
	if err != nil {
		s.t.Fatal(err)
	}
	s.j = j
	s.r = NewRecoverer(s.log, j, RecoverOptions{Secrets: testSecrets(), Now: s.clock.now})
}

func (s *sender) kazooNow() time.Time { return s.clock.now().Add(s.log.offset) }

// fire starts an event. The check at the end uses the first two words of what.
func (s *sender) fire(what, body string) {
	s.n++
	s.firings = append(s.firings, &sending{id: fmt.Sprintf("%010x", s.n), what: what, body: body, left: 3, due: s.clock.now()})
}

func (s *sender) delivery(f *sending) event.Record {
	return event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: s.clock.now().UTC(), Hook: "object", HookID: "h1", Method: "POST",
		ContentType: "application/x-www-form-urlencoded", Body: []byte(f.body)})
}

// record adds a failed attempt to Kazoo's record, where it may appear late.
func (s *sender) record(f *sending, status string) {
	body, err := json.Marshal([]any{[]any{f.body[:2]}, f.body[2:]})
	if err != nil {
		s.t.Fatal(err)
	}
	f.recorded++
	f.left--
	a := crossbar.Attempt{HookID: "h1", HookEvent: "object", EventID: f.id, URI: testURL + "/kazoo/former-secret/object", Method: "post", Body: body,
		Header: map[string]string{"content-type": "application/x-www-form-urlencoded"}, Time: s.kazooNow().Truncate(time.Second), Result: "failure"}
	a.Status, a.Last = status, status != "" || f.left == 0
	if late := rapid.SampledFrom([]time.Duration{0, 0, time.Second, 20 * time.Second}).Draw(s.t, "stored after"); late > 0 {
		s.log.visible[len(s.log.list)] = s.kazooNow().Add(late)
	}
	s.log.list = append(s.log.list, a)
	f.over = a.Last
	f.due = s.clock.now().Add(2 * time.Second)
}

// try makes one attempt of a firing, which ends as how says.
func (s *sender) try(f *sending, how string) {
	switch how {
	case "delivered", "answer lost", "crash before the answer":
		rec := s.delivery(f)
		got, err := s.j.Append(context.Background(), rec)
		if err != nil {
			s.t.Fatal(err)
		}
		switch how {
		case "delivered":
			s.j.Acknowledged(rec, got, true)
			f.over = true
			return
		case "answer lost":
			s.j.Acknowledged(rec, got, false)
		default:
			f.crashes++
			s.restart()
		}
		s.record(f, "")
	case "refused":
		s.record(f, "")
	case "answered 500":
		s.record(f, "500")
	case "asked to resend":
		s.j.Refused(s.delivery(f), event.Appended{})
		f.due = s.clock.now().Add(2 * time.Second)
	case "Kazoo dies":
		f.over, f.died = true, true
	}
}

func (s *sender) restart() {
	if err := s.j.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open()
}

func (s *sender) due() []*sending {
	var due []*sending
	for _, f := range s.firings {
		if !f.over && !s.clock.now().Before(f.due) {
			due = append(due, f)
		}
	}
	return due
}

// recover runs a recovery during which a request may arrive.
func (s *sender) recover(during *sending) {
	var wg sync.WaitGroup
	if during != nil {
		rec := s.delivery(during)
		s.log.read = sync.OnceFunc(func() { // near the turn of a month two listings are read
			wg.Go(func() {
				if got, err := s.j.Append(context.Background(), rec); err == nil {
					s.j.Acknowledged(rec, got, true)
				}
			})
		})
		during.over = true
	}
	if _, _, err := s.r.RunOnce(context.Background(), testAccount); err != nil {
		s.t.Fatal(err)
	}
	wg.Wait()
	s.log.read = nil
}

func (s *sender) step(string) {
	outcomes := []string{"delivered", "answer lost", "crash before the answer", "refused", "refused", "answered 500", "asked to resend", "Kazoo dies"}
	switch what := rapid.SampledFrom([]string{"fire", "try", "try", "try", "wait", "recover", "recover", "restart", "recover during a delivery"}).Draw(s.t, "step"); what {
	case "fire":
		s.happen()
	case "try":
		if due := s.due(); len(due) > 0 {
			s.try(rapid.SampledFrom(due).Draw(s.t, "firing"), rapid.SampledFrom(outcomes).Draw(s.t, "outcome"))
		}
	case "wait":
		// A wait is never longer than all of Kazoo's tries.
		s.clock.add(rapid.SampledFrom([]time.Duration{100 * time.Millisecond, 2 * time.Second, 5 * time.Second, 12 * time.Second}).Draw(s.t, "wait"))
		s.catchUp()
	case "recover":
		s.recover(nil)
	case "restart":
		s.restart()
	default:
		if due := s.due(); len(due) > 0 {
			s.recover(rapid.SampledFrom(due).Draw(s.t, "firing"))
		}
	}
}

// catchUp makes the overdue tries, because Kazoo doesn't wait.
func (s *sender) catchUp() {
	for _, f := range s.due() {
		if s.clock.now().Sub(f.due) > 12*time.Second {
			s.try(f, rapid.SampledFrom([]string{"delivered", "answer lost", "refused", "answered 500"}).Draw(s.t, "overdue"))
		}
	}
}

// happen makes something happen in Kazoo.
func (s *sender) happen() {
	user := rapid.IntRange(1, 3).Draw(s.t, "user")
	object := func(u int, a event.Action) string {
		return fmt.Sprintf("id=u%d&account_id=acc&action=%s&type=user", u, a)
	}
	switch rapid.SampledFrom([]string{"create", "edit", "edit", "delete", "delete again", "call"}).Draw(s.t, "event") {
	case "create":
		u := 100 + s.n
		s.fire(fmt.Sprintf("user.created u%d", u), object(u, event.Created))
	case "edit":
		s.fire(fmt.Sprintf("user.edited u%d", user), object(user, event.Edited))
	case "delete":
		u := 200 + s.n
		s.fire(fmt.Sprintf("user.deleted u%d", u), object(u, event.Deleted))
	case "delete again": // a deleted document was saved: the same event fires again
		s.fire(fmt.Sprintf("user.deleted u%d", 10+user), object(10+user, event.Deleted))
	case "call":
		s.fire(fmt.Sprintf("channel.destroy call-%d", s.n), fmt.Sprintf("hook_event=channel_destroy&call_id=call-%d&timestamp=63900000000&account_id=acc", s.n))
	}
}

// finish ends all firings and recovers until everything is found.
func (s *sender) finish() {
	for {
		open := false
		s.clock.add(2 * time.Second)
		for _, f := range s.due() {
			open = true
			s.try(f, rapid.SampledFrom([]string{"delivered", "answer lost", "refused", "refused", "answered 500"}).Draw(s.t, "last outcome"))
		}
		if !open {
			break
		}
		s.recover(nil)
	}
	for range 6 {
		s.clock.add(30 * time.Second)
		s.recover(nil)
	}
}

func (s *sender) check() {
	recs, err := s.j.Read(context.Background(), 0, 100_000)
	if err != nil {
		s.t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range recs {
		got[r.Event+" "+r.ObjectID]++
	}
	type count struct{ fired, certain, crashes int }
	want := map[string]*count{}
	for _, f := range s.firings {
		if want[f.what] == nil {
			want[f.what] = &count{}
		}
		c := want[f.what]
		c.fired++
		c.crashes += f.crashes
		// If Kazoo dies before the firing leaves a trace, nobody can know of it. The
		// trace of an edit is its last try, because identical edits look alike.
		if !f.died || f.recorded > 0 && !strings.HasPrefix(f.what, "user.edited") {
			c.certain++
		}
	}
	for what, c := range want {
		n := got[what]
		delete(got, what)
		if strings.HasPrefix(what, "user.edited") {
			if n > c.fired+c.crashes || n == 0 && c.certain > 0 {
				s.t.Errorf("%s: %d events of %d firings (%d certain)", what, n, c.fired, c.certain)
			}
			continue
		}
		if n > 1 || n == 0 && c.certain > 0 {
			s.t.Errorf("%s: %d events of %d firings (%d certain), want one", what, n, c.fired, c.certain)
		}
	}
	if len(got) > 0 {
		s.t.Errorf("events of nothing: %v", got)
	}
}

// TestEveryFiringBecomesOneEvent: faults of requests, answers, our process and Kazoo's
// record come in any order. An event that left a trace is in the journal exactly once.
// Duplicates of edits look like new edits, so an edit is there at least once, and at
// most as often as Kazoo fired, plus one for each time that the process died while it
// was answering.
func TestEveryFiringBecomesOneEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(journaltest.MemoryDir(t), "") //nolint:usetesting // one for each run, of which rapid makes many
		if err != nil {
			t.Fatal(err)
		}
		s := &sender{t: rt, dir: dir, clock: newClock(), deleted: map[int]bool{}}
		s.log = &attemptLog{now: s.clock.now, visible: map[int]time.Time{}}
		s.log.offset = rapid.SampledFrom([]time.Duration{0, 700 * time.Millisecond, time.Hour, -time.Hour}).Draw(rt, "Kazoo's clock is ahead")
		s.open()
		defer func() {
			if err := s.j.Close(); err != nil {
				t.Error(err)
			}
		}()
		s.recover(nil) // makes the baseline
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			s.step("")
		}
		s.finish()
		s.check()
	})
}
