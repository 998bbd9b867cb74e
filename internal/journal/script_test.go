package journal

import (
	"testing"
	"time"

	"kazoohook/internal/event"
)

// script drives deliveries of one user against a clock.
type script struct {
	t *testing.T
	c *clock
	j *Journal
	o Options
}

func newScript(t *testing.T) *script {
	s := &script{t: t, c: newClock()}
	s.o = Options{Dir: t.TempDir(), Now: s.c.now}
	s.j = openTest(t, s.o)
	return s
}

func (s *script) delivery(a event.Action) event.Record {
	r := sample(1, a)
	r.ReceivedAt = s.c.now()
	return r
}

func (s *script) after(d time.Duration) *script { s.c.add(d); return s }

// appendNew appends and answers; the outcome must be a new event.
func (s *script) appendNew(r event.Record, written bool) event.Appended {
	s.t.Helper()
	a := mustAppend(s.t, s.j, r)
	if a.Duplicate || a.Seq == 0 || a.ID == "" {
		s.t.Fatalf("%s %s at %s was suppressed as %+v", r.Source, r.Action, r.ReceivedAt, a)
	}
	s.j.Acknowledged(r, a, written)
	return a
}

// appendDup appends and answers; the outcome must be a repetition of want.
func (s *script) appendDup(r event.Record, want event.Appended, written bool) {
	s.t.Helper()
	a := mustAppend(s.t, s.j, r)
	if !a.Duplicate || a.Seq != want.Seq || a.ID != want.ID {
		s.t.Fatalf("%s %s at %s: got %+v, want a repetition of %+v", r.Source, r.Action, r.ReceivedAt, a, want)
	}
	s.j.Acknowledged(r, a, written)
}

func (s *script) new(a event.Action) event.Appended {
	s.t.Helper()
	return s.appendNew(s.delivery(a), true)
}

func (s *script) dup(a event.Action, want event.Appended) {
	s.t.Helper()
	s.appendDup(s.delivery(a), want, true)
}

// recovered is a firing read back from Kazoo's attempts.
func (s *script) recovered(a event.Action, firing string, at time.Time) event.Record {
	r := s.delivery(a)
	r.Source, r.ReceivedAt, r.RemoteAddr = event.SourceRecovered, at, ""
	r.Firing = event.Firing{ID: firing, First: at, Last: at.Add(4 * time.Second)}
	return r
}

func (s *script) reopen() {
	s.t.Helper()
	if err := s.j.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.j = openTest(s.t, s.o)
}

// crash loses what only memory knows, as the death of the process does.
func (s *script) crash() {
	s.t.Helper()
	copyTo := s.t.TempDir()
	copyFiles(s.t, s.o.Dir, copyTo)
	if err := s.j.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.o.Dir = copyTo
	s.j = openTest(s.t, s.o)
}

func (s *script) revive(since time.Time) {
	s.t.Helper()
	if err := s.j.Revive(s.t.Context(), "user", sample(1, event.Deleted).ObjectID, since); err != nil {
		s.t.Fatal(err)
	}
}
