package journal

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/internal/event"
)

var errInjected = errors.New("injected fault")

// faults fails one statement, the n-th from when it is armed.
type faults struct{ left atomic.Int64 }

func (f *faults) fault(string) error {
	if f.left.Add(-1) == 0 {
		return errInjected
	}
	return nil
}

// life is what happens in the fault test, step by step. A step that failed is
// repeated, as Kazoo and the callers do.
func life(t *testing.T, c *clock) []func(*Journal) error {
	at := func(r event.Record) event.Record { r.ReceivedAt = c.now(); return r }
	add := func(r event.Record, dup bool) func(*Journal) error {
		return func(j *Journal) error {
			a, err := j.Append(t.Context(), at(r))
			if err == nil {
				if a.Duplicate != dup {
					t.Errorf("%s: %+v", r.Event, a)
				}
				j.Acknowledged(r, a, true)
			}
			return err
		}
	}
	recovered := sample(4, event.Edited)
	recovered.Source, recovered.Firing = event.SourceRecovered, event.Firing{ID: "f"}
	recoveredAgain := func(j *Journal) error {
		r := recovered
		r.ReceivedAt = c.now().Add(-time.Minute)
		r.Firing.ID = fmt.Sprint("g", c.now())
		a, err := j.Append(t.Context(), r)
		if err == nil && a.Duplicate {
			t.Errorf("recovered: %+v", a)
		}
		return err
	}
	rest := func(j *Journal) error {
		return j.do(t.Context(), func(*txn) error { j.w.restNow = true; return nil })
	}
	maintain := func(j *Journal) error {
		return j.do(t.Context(), func(*txn) error { j.w.maintainNow = true; return nil })
	}
	cursor := int64(0)
	observed := sample(6, event.Deleted)
	observed.Source = event.SourceResync
	user := event.SnapshotObject{Type: "user", ID: "u", LastSeen: c.now()}
	query := func(q event.Query) func(*Journal) error {
		return func(j *Journal) error {
			_, err := j.Query(t.Context(), q)
			_, cerr := j.Count(t.Context(), q)
			return errors.Join(err, cerr)
		}
	}
	return []func(*Journal) error{
		add(sample(1, event.Created), false),
		add(sample(1, event.Deleted), false),
		add(sample(2, event.Edited), false),
		add(content(3), false),
		rest,
		add(content(3), true),
		add(sample(1, event.Deleted), true),
		add(recovered, false),
		func(j *Journal) error { c.add(time.Hour); return nil },
		recoveredAgain,
		rest,
		func(*Journal) error { c.add(time.Hour); return nil },
		recoveredAgain,
		func(j *Journal) error { return j.UpsertObjects(t.Context(), []event.SnapshotObject{user}) },
		func(j *Journal) error { _, err := j.AppendObserved(t.Context(), at(observed), user); return err },
		func(j *Journal) error { return j.MarkGone(t.Context(), "user", "u", c.now()) },
		func(j *Journal) error {
			return j.Revive(t.Context(), "user", sample(1, event.Deleted).ObjectID, c.now())
		},
		add(sample(1, event.Deleted), false),
		func(j *Journal) error {
			err := j.MoveCursor(t.Context(), "c", cursor, 2)
			if err == nil {
				cursor = 2
			}
			return err
		},
		func(j *Journal) error { return j.SetState(t.Context(), "k", "v") },
		rest,
		query(event.Query{Objects: []string{sample(2, event.Edited).ObjectID}}),
		query(event.Query{Accounts: []string{"0*"}, Events: []string{"*"}, Since: c.now().Add(-time.Hour), Until: c.now()}),
		query(event.Query{Accounts: []string{"0*"}, Events: []string{"user.*"}}),
		query(event.Query{Text: "user"}),
		func(j *Journal) error {
			_, err := j.Get(t.Context(), 1)
			_, cerr := j.Consumers(t.Context())
			_, kerr := j.Cursor(t.Context(), "c")
			_, serr := j.State(t.Context(), "k")
			_, _, oerr := j.Object(t.Context(), "user", "u")
			_, nerr := j.CountObjects(t.Context(), "user", "")
			return errors.Join(err, cerr, kerr, serr, oerr, nerr)
		},
		func(j *Journal) error {
			for _, err := range j.Objects(t.Context(), "user", "") {
				if err != nil {
					return err
				}
			}
			return nil
		},
		func(j *Journal) error { c.add(48 * time.Hour); return nil },
		maintain, rest,
		add(content(7), false),
		maintain,
	}
}

// Whatever statement fails, once: the caller is told, nothing is half done, and
// repeating what failed leads to where it would have without.
func TestEveryStatementFails(t *testing.T) {
	t.Parallel()
	const wantLast = 10
	stride := int64(3) // all of them take long
	switch {
	case os.Getenv("KAZOOHOOK_TEST_ALL_FAULTS") != "":
		stride = 1
	case slow:
		stride = 11
	}
	for n := int64(1); ; n += stride {
		c := newClock()
		f := &faults{}
		f.left.Store(n)
		o := Options{Dir: memoryDir(t), Now: c.now, Retention: 24 * time.Hour, fault: f.fault}
		j := openDespite(t, o)
		for i, step := range life(t, c) {
			for try := 0; ; try++ {
				err := step(j)
				if err == nil {
					break
				}
				if !errors.Is(err, errInjected) || !errors.Is(err, ErrUnavailable) || try > 2 {
					t.Fatalf("fault %d, step %d: %v", n, i, err)
				}
			}
			if i%7 == 6 {
				_ = j.Close() // may report the fault
				j = openDespite(t, o)
			}
		}
		if err := j.Close(); err != nil && !errors.Is(err, errInjected) {
			t.Errorf("fault %d: close: %v", n, err)
		}
		hit := f.left.Load() <= 0
		f.left.Store(0)
		j = openDespite(t, o)
		if last, err := j.Last(t.Context()); last != wantLast || err != nil {
			t.Errorf("fault %d: %d events, %v", n, last, err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		if !hit {
			t.Logf("up to %d statements", n-1)
			return
		}
		if t.Failed() {
			return
		}
	}
}

func openDespite(t *testing.T, o Options) *Journal {
	t.Helper()
	j, err := Open(t.Context(), o)
	if errors.Is(err, errInjected) {
		j, err = Open(t.Context(), o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestIndexThatCannotBeWritten: a step of the merge shares the transaction of the
// events that come; where it fails they are taken without it.
func TestIndexThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	const n = 110 // fewer than hold up the appends until the merge is through
	var failed atomic.Int64
	var broken atomic.Bool
	broken.Store(true)
	j := openTest(t, Options{Dir: memoryDir(t), mergeAt: 64, fault: func(sql string) error {
		if broken.Load() && strings.HasPrefix(sql, "INSERT OR IGNORE INTO idx") {
			failed.Add(1)
			return errInjected
		}
		return nil
	}})
	for i := range int64(n) {
		if a := mustAppend(t, j, content(i+1)); a.Seq != i+1 || a.Duplicate {
			t.Fatalf("event %d: %+v", i+1, a)
		}
	}
	if failed.Load() == 0 {
		t.Fatal("no step of the merge was due")
	}
	broken.Store(false)
	flush(t, j)
	for i := range int64(n) {
		if recs, err := j.Query(t.Context(), event.Query{Objects: []string{content(i + 1).ObjectID}}); err != nil || len(recs) != 1 {
			t.Errorf("event %d is found %d times: %v", i+1, len(recs), err)
		}
		if a := mustAppend(t, j, content(i+1)); !a.Duplicate {
			t.Errorf("a repetition of event %d is taken for a new one", i+1)
		}
	}
}
