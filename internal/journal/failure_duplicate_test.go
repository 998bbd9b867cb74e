package journal

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/snapshot"
)

// commits returns options whose clock is c, and with which every commit has the error
// while fails is set.
func commits(t *testing.T, c *clock, err error) (o Options, fails *atomic.Bool) {
	fails = &atomic.Bool{}
	return Options{Dir: memoryDir(t), Now: c.now, open: failing(func(sql string) error {
		if sql == "COMMIT" && fails.Load() {
			return err
		}
		return nil
	})}, fails
}

// recovered is a firing that failed just now.
func recovered(c *clock, id string, action event.Action) event.Record {
	r := sample(2, action)
	r.Source, r.ReceivedAt = event.SourceRecovered, c.now()
	r.Firing = event.Firing{ID: id, First: c.now(), Last: c.now()}
	return r
}

// While commits fail, a duplicate succeeds only if it leaves nothing to store, and
// nothing was changed before it in its transaction. Otherwise it is refused, and what it
// does is done when it comes again.
func TestDuplicateInFailedTransaction(t *testing.T) {
	t.Parallel()
	edit := sample(2, event.Edited)
	proxied := edit
	proxied.RequestID = "p2"
	for name, tc := range map[string]struct {
		before func(j *Journal, c *clock)
		batch  func(c *clock) []event.Record // given to the journal at once
		held   bool
		after  func(t *testing.T, j *Journal, c *clock)
	}{
		"of unique content": {
			func(j *Journal, _ *clock) { mustAppend(t, j, content(1)) },
			func(*clock) []event.Record { return []event.Record{content(1)} },
			true, func(*testing.T, *Journal, *clock) {},
		},
		"a recovered firing of an unanswered request": {
			func(j *Journal, _ *clock) { j.Acknowledged(edit, mustAppend(t, j, edit), false) },
			func(c *clock) []event.Record { return []event.Record{recovered(c, "f1", event.Edited)} },
			false, func(t *testing.T, j *Journal, c *clock) {
				if a := mustAppend(t, j, recovered(c, "f2", event.Edited)); a.Duplicate {
					t.Errorf("another firing: %+v", a)
				}
			},
		},
		"a repeated request": {
			func(j *Journal, _ *clock) { j.Acknowledged(edit, mustAppend(t, j, edit), false) },
			func(*clock) []event.Record { return []event.Record{edit} },
			false, func(t *testing.T, j *Journal, c *clock) {
				c.add(30 * time.Second)
				if a := mustAppend(t, j, edit); a.Duplicate {
					t.Errorf("another edit: %+v", a)
				}
			},
		},
		"two tries of a proxy": {
			func(j *Journal, _ *clock) { j.Acknowledged(edit, mustAppend(t, j, edit), false) },
			func(*clock) []event.Record { return []event.Record{proxied, proxied} },
			false, func(t *testing.T, j *Journal, c *clock) {
				c.add(30 * time.Second)
				if a := mustAppend(t, j, edit); a.Duplicate {
					t.Errorf("another edit: %+v", a)
				}
			},
		},
		"a deletion of which Kazoo must be asked": {
			func(j *Journal, c *clock) {
				mustAppend(t, j, sample(2, event.Deleted))
				c.add(10 * time.Minute)
				mustAppend(t, j, edit)
				look := snapshot.Look{Type: "user", Account: edit.AccountID, ID: edit.ObjectID, Found: true, AsOf: j.Applied()}
				if _, err := j.Looked(t.Context(), look); err != nil {
					t.Fatal(err)
				}
			},
			func(c *clock) []event.Record { return []event.Record{recovered(c, "f1", event.Deleted)} },
			false, func(t *testing.T, j *Journal, _ *clock) {
				if list, err := j.Looks(t.Context(), "", 0, 9); err != nil || len(list) != 1 {
					t.Errorf("%d objects wait for a look-up, %v", len(list), err)
				}
			},
		},
	} {
		test := func(t *testing.T, fault error) {
			t.Parallel()
			c := newClock()
			o, fails := commits(t, c, fault)
			j := openTest(t, o)
			tc.before(j, c)
			mustAppend(t, j, content(98)) // stores the outcome of the answer
			batch := tc.batch(c)
			give := func() (list []*work) {
				// While the writer is here, it takes none of them.
				_, _ = j.do(t.Context(), &probe{run: func() {
					for _, r := range batch {
						k := &work{cmd: &request{Rec: r, Command: j.commands.Add(1)}, done: make(chan struct{}, 1)}
						if err := j.queue.push(k); err != nil {
							t.Error(err)
						}
						list = append(list, k)
					}
				}})
				for _, k := range list {
					<-k.done
				}
				return list
			}
			fails.Store(true)
			for _, k := range give() {
				if tc.held != (k.err == nil && k.appended.Duplicate && k.appended.Seq == 1) || !tc.held && !errors.Is(k.err, ErrUnavailable) {
					t.Errorf("while commits fail: %+v, %v", k.appended, k.err)
				}
			}
			fails.Store(false)
			for i, k := range give() {
				if k.err != nil || !k.appended.Duplicate {
					t.Errorf("again: %+v, %v", k.appended, k.err)
				}
				j.Acknowledged(batch[i], event.Appended{Command: k.cmd.(*request).Command}, true)
			}
			mustAppend(t, j, content(99))
			tc.after(t, j, c)
		}
		t.Run(name, func(t *testing.T) { test(t, errInjected) })
		t.Run(name+", damage", func(t *testing.T) { test(t, database.Damaged("odd")) })
	}
}

// If the transaction with the outcome of a written answer fails, the outcome is stored
// later. Otherwise an identical edit would be taken for a repeated request.
func TestOutcomeInFailedTransaction(t *testing.T) {
	t.Parallel()
	c := newClock()
	o, fails := commits(t, c, errInjected)
	j := openTest(t, o)
	edit := sample(2, event.Edited)
	a := mustAppend(t, j, edit)
	fails.Store(true)
	j.Acknowledged(edit, a, true)
	if _, err := j.Append(t.Context(), content(1)); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	fails.Store(false)
	mustAppend(t, j, content(1))
	c.add(30 * time.Second)
	if a := mustAppend(t, j, edit); a.Duplicate {
		t.Errorf("another edit: %+v", a)
	}
}
