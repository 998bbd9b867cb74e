package journal

import (
	"testing"
	"time"

	"kazoohook/internal/event"
)

// Each case runs three times: at once, with the tables up to date before every
// step, and with a restart before every step.
func TestNotSuppressed(t *testing.T) {
	t.Parallel()
	type step func(s *script)
	eachWay := func(name string, steps ...step) {
		for _, way := range []string{"memory", "tables", "restart", "crash"} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				s := newScript(t)
				for _, f := range steps {
					f(s)
					switch way {
					case "tables":
						flush(t, s.j)
					case "restart":
						s.reopen()
					case "crash":
						flush(t, s.j) // and so has what is acknowledged on disk
						s.crash()
					}
				}
			})
		}
	}
	created, edited, deleted := event.Created, event.Edited, event.Deleted
	add := func(a event.Action) step { return func(s *script) { s.new(a) } }
	pass := func(d time.Duration) step { return func(s *script) { s.after(d) } }

	eachWay("two acknowledged edits in a row", add(edited), add(edited), add(edited))
	eachWay("created, deleted, created again, deleted again", add(created), add(deleted), add(created), add(deleted))
	eachWay("deletion of an unknown object", add(deleted))
	eachWay("creation of an unknown object", add(created))
	eachWay("deleted, and created again later", add(deleted), pass(2*time.Minute), add(created), add(deleted))
	eachWay("edited long after the deletion: undeleted", add(deleted), pass(2*time.Minute), add(edited), pass(time.Second), add(deleted))
	eachWay("seen alive after the deletion", add(deleted), pass(time.Hour),
		func(s *script) { s.revive(s.c.now()) }, add(deleted))
	eachWay("late creation, deleted after the margin", add(deleted), pass(30*time.Second), add(created), pass(31*time.Second), add(deleted))
	eachWay("edit identical to one that is unanswered, long after", func(s *script) { s.appendNew(s.delivery(edited), false) },
		pass(retryWindow+time.Second), add(edited))
	eachWay("recovered deletion of an earlier life", func(s *script) {
		before := s.c.now().Add(-time.Hour)
		s.new(created)
		s.appendNew(s.recovered(deleted, "f1", before), true)
		s.new(deleted)
	})
	eachWay("recovered deletion before the one known, created in between", func(s *script) {
		before := s.c.now().Add(-time.Hour)
		s.new(created)
		s.after(time.Second).new(deleted)
		s.appendNew(s.recovered(deleted, "f1", before), true)
	})
	eachWay("recovered creation before the deletion known", func(s *script) {
		at := s.c.now()
		d := s.after(time.Minute).new(deleted)
		s.appendNew(s.recovered(created, "f1", at), true)
		s.after(time.Hour).dup(deleted, d)
	})
	eachWay("recovered creation of an earlier life", func(s *script) {
		at := s.c.now()
		s.after(time.Hour).new(deleted)
		s.after(time.Hour).new(created)
		s.appendNew(s.recovered(created, "f1", at), true)
		s.new(deleted)
	})
	eachWay("recovered re-creation", func(s *script) {
		s.new(created)
		s.after(time.Hour).new(deleted)
		at := s.after(time.Hour).c.now()
		s.after(time.Hour).appendNew(s.recovered(created, "f1", at), true)
		s.new(deleted)
	})
	eachWay("recovered edit of another time", func(s *script) {
		s.new(edited)
		s.after(time.Hour).appendNew(s.recovered(edited, "f1", s.c.now().Add(-30*time.Minute)), true)
		s.appendNew(s.recovered(edited, "f2", s.c.now().Add(-20*time.Minute)), true)
	})
	eachWay("live edit after a recovered one's window", func(s *script) {
		s.appendNew(s.recovered(edited, "f1", s.c.now()), true)
		s.after(2 * time.Minute).new(edited)
	})
	eachWay("the clock was set back after the deletion", add(created), add(deleted), pass(-time.Hour), add(created), add(deleted),
		pass(-time.Hour), add(edited), add(deleted))
}

func TestNotSuppressedInFlight(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	first := mustAppend(t, s.j, s.delivery(event.Edited))
	second := mustAppend(t, s.j, s.after(time.Second).delivery(event.Edited))
	if second.Duplicate {
		t.Error("an identical edit while the first is being answered was suppressed")
	}
	s.j.Acknowledged(s.delivery(event.Edited), first, true)
	s.j.Acknowledged(s.delivery(event.Edited), second, true)

	other := s.delivery(event.Edited)
	s.appendNew(other, false)
	other.HookID = "another hook"
	s.appendNew(other, true)

	// Each unanswered delivery absorbs one repetition at a time.
	s.after(time.Hour)
	a := s.appendNew(s.delivery(event.Edited), false)
	s.after(3 * time.Second)
	if b := mustAppend(t, s.j, s.delivery(event.Edited)); !b.Duplicate || b.Seq != a.Seq {
		t.Fatalf("repetition is %+v, want of %+v", b, a)
	}
	s.new(event.Edited)
}

func TestSuppressedLifecycle(t *testing.T) {
	t.Parallel()
	created, edited, deleted := event.Created, event.Edited, event.Deleted
	cases := map[string]func(*script){
		"created twice": func(s *script) { a := s.new(created); s.after(time.Second).dup(created, a) },
		"deleted twice, much later": func(s *script) {
			a := s.new(deleted)
			s.after(200*24*time.Hour).dup(deleted, a)
		},
		"edited within the margin after the deletion": func(s *script) {
			a := s.new(deleted)
			s.after(30 * time.Second).new(edited)
			s.after(time.Hour).dup(deleted, a)
		},
		"edited before the deletion": func(s *script) {
			s.new(edited)
			a := s.after(time.Hour).new(deleted)
			s.after(time.Hour).dup(deleted, a)
		},
		"seen alive by a listing that may be older": func(s *script) {
			a := s.new(deleted)
			s.revive(s.c.now().Add(59 * time.Second))
			s.after(time.Hour).dup(deleted, a)
		},
		"seen alive, deleted, deleted again": func(s *script) {
			s.new(deleted)
			s.revive(s.after(time.Hour).c.now())
			s.revive(s.c.now())
			a := s.new(deleted)
			s.after(time.Hour).dup(deleted, a)
		},
		"creation overtaken by the deletion": func(s *script) {
			d := s.new(deleted)
			c := s.after(30 * time.Second).new(created)
			s.after(time.Second).dup(deleted, d)
			s.dup(created, c)
		},
		"creation repeated because its answer was lost, after the deletion": func(s *script) {
			c := s.appendNew(s.delivery(created), false)
			s.after(time.Second)
			d := s.new(deleted)
			s.after(time.Second).dup(created, c)
			s.dup(deleted, d)
		},
		"recovered deletion of one that arrived": func(s *script) {
			a := s.new(deleted)
			s.appendDup(s.recovered(deleted, "f1", s.c.now().Add(-3*time.Second)), a, true)
			s.appendDup(s.recovered(deleted, "f2", s.c.now().Add(-3*time.Hour)), a, true)
			s.after(3*time.Hour).appendDup(s.recovered(deleted, "f2", s.c.now()), a, true)
		},
		"recovered deletion right before its creation by the clocks": func(s *script) {
			s.new(created)
			a := s.appendNew(s.recovered(deleted, "f1", s.c.now().Add(-time.Second)), true)
			s.after(time.Hour).dup(deleted, a)
		},
		"recovered deletion twice, and live": func(s *script) {
			s.new(created)
			at := s.after(time.Hour).c.now()
			a := s.after(time.Hour).appendNew(s.recovered(deleted, "f1", at), true)
			s.appendDup(s.recovered(deleted, "f1", at), a, true)
			s.appendDup(s.recovered(deleted, "f1", at.Add(10*time.Minute)), a, true)
			s.dup(deleted, a)
		},
		"recovered echo of an old deletion, after a new creation": func(s *script) {
			s.new(created)
			d := s.after(time.Hour).new(deleted)
			at := s.after(time.Hour).c.now()
			s.after(2 * time.Hour).new(created)
			s.appendDup(s.recovered(deleted, "f1", at), d, true)
		},
		"recovered creation of one that is known": func(s *script) {
			a := s.new(created)
			s.appendDup(s.recovered(created, "f1", s.c.now().Add(-time.Hour)), a, true)
			s.after(time.Hour).appendDup(s.recovered(created, "f2", s.c.now()), a, true)
			s.new(deleted)
			s.appendDup(s.recovered(created, "f3", s.c.now().Add(-30*time.Minute)), a, true)
		},
		"resync says what is known": func(s *script) {
			a := s.new(deleted)
			r := s.after(time.Hour).delivery(deleted)
			r.Source = event.SourceResync
			s.appendDup(r, a, true)
		},
		"live after a resync": func(s *script) {
			r := s.delivery(deleted)
			r.Source = event.SourceResync
			a := s.appendNew(r, true)
			s.after(time.Minute).dup(deleted, a)
		},
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(newScript(t))
		})
	}
}

func TestSuppressedContent(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	call := func(n int64) event.Record {
		r := content(n)
		r.ReceivedAt = s.c.now()
		return r
	}
	a := s.appendNew(call(1), true)
	b := s.appendNew(call(2), true)
	s.appendDup(call(1), a, true)
	flush(t, s.j)
	s.appendDup(call(1), a, true)
	s.after(24 * time.Hour)
	s.reopen()
	s.appendDup(call(2), b, true)
	r := call(1)
	r.Source, r.Firing = event.SourceRecovered, event.Firing{ID: "f"}
	s.appendDup(r, a, true)
	s.appendNew(call(3), true)
	s.crash()
	c := call(1)
	c.Dedupe.Key[0]++ // of the same call
	s.appendNew(c, true)
	st, err := s.j.Stats(t.Context())
	if err != nil || st.Duplicates[event.RuleContent] != 0 {
		t.Errorf("stats %+v, %v", st, err)
	}
	s.appendDup(c, event.Appended{Seq: 4, ID: get(t, s.j, 4).ID}, true)
	if st, _ := s.j.Stats(t.Context()); st.Duplicates[event.RuleContent] != 1 {
		t.Errorf("duplicates counted: %v", st.Duplicates)
	}
}

func TestSuppressedUnacknowledged(t *testing.T) {
	t.Parallel()
	edited := event.Edited
	cases := map[string]func(*script){
		"answer lost": func(s *script) {
			a := s.appendNew(s.delivery(edited), false)
			s.after(2*time.Second).appendDup(s.delivery(edited), a, true)
			s.after(time.Second).new(edited)
		},
		"answer lost again and again": func(s *script) {
			a := s.appendNew(s.delivery(edited), false)
			for range 4 {
				s.after(12*time.Second).appendDup(s.delivery(edited), a, false)
			}
			s.after(12*time.Second).dup(edited, a)
		},
		"two lost": func(s *script) {
			s.appendNew(s.delivery(edited), true)
			a := mustAppend(s.t, s.j, s.delivery(edited))
			b := mustAppend(s.t, s.j, s.delivery(edited))
			s.j.Acknowledged(s.delivery(edited), b, false)
			s.j.Acknowledged(s.delivery(edited), a, false)
			s.after(time.Second).dup(edited, a)
			s.dup(edited, b)
			s.new(edited)
		},
		"still being answered after Kazoo's pause": func(s *script) {
			a := mustAppend(s.t, s.j, s.delivery(edited))
			s.after(2*time.Second).dup(edited, a)
		},
		"refused in between": func(s *script) {
			a := s.appendNew(s.delivery(edited), false)
			for range 3 {
				s.after(40 * time.Second).j.Refused(s.delivery(edited))
			}
			s.after(40*time.Second).dup(edited, a)
		},
		"answer unknown because of a crash": func(s *script) {
			s.appendNew(s.delivery(edited), true)
			a := mustAppend(s.t, s.j, s.delivery(edited))
			s.crash()
			s.after(5*time.Second).dup(edited, a)
			s.new(edited)
		},
		"answer lost before a restart": func(s *script) {
			a := s.appendNew(s.delivery(edited), false)
			s.reopen()
			s.after(5*time.Second).dup(edited, a)
		},
		"recovered although it arrived": func(s *script) {
			a := s.new(edited)
			s.after(time.Hour)
			s.appendDup(s.recovered(edited, "f1", s.c.now().Add(-time.Hour).Add(4*time.Second)), a, true)
			flush(s.t, s.j)
			s.appendDup(s.recovered(edited, "f2", s.c.now().Add(-time.Hour).Add(-8*time.Second)), a, true)
		},
		"recovered twice": func(s *script) {
			at := s.c.now()
			a := s.after(time.Hour).appendNew(s.recovered(edited, "f1", at), true)
			s.appendDup(s.recovered(edited, "f1", at.Add(time.Minute)), a, true)
			s.reopen()
			s.appendDup(s.recovered(edited, "f1", at.Add(time.Minute)), a, true)
		},
		"arrives after it was recovered": func(s *script) {
			a := s.appendNew(s.recovered(edited, "f1", s.c.now()), true)
			s.after(time.Second).dup(edited, a)
			s.new(edited)
		},
		"in one transaction": func(s *script) {
			r := s.recovered(edited, "f1", s.c.now())
			done := make(chan event.Appended, 8)
			for range 8 {
				go func() {
					a, err := s.j.Append(s.t.Context(), r)
					if err != nil {
						s.t.Error(err)
					}
					done <- a
				}()
			}
			fresh := 0
			for range 8 {
				if a := <-done; !a.Duplicate {
					fresh++
				}
			}
			if fresh != 1 {
				s.t.Errorf("%d new events", fresh)
			}
		},
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(newScript(t))
		})
	}
}
