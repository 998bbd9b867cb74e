package journal

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

var errInjected = errors.New("injected fault")

// faults fails one statement: the n-th after left was set to n.
type faults struct{ left atomic.Int64 }

func (f *faults) fault(string) error {
	if f.left.Add(-1) == 0 {
		return errInjected
	}
	return nil
}

// life returns the steps of the fault test. A step that failed is repeated, as Kazoo
// and the callers do.
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
		_, err := j.do(t.Context(), &probe{})
		return err
	}
	maintain := func(j *Journal) error {
		_, err := j.do(t.Context(), &probe{run: func() { j.w.pruner.busy = true }})
		return err
	}
	cursor := int64(0)
	observed := sample(6, event.Deleted)
	observed.Source = event.SourceResync
	query := func(q event.Query) func(*Journal) error {
		return func(j *Journal) error {
			_, _, err := j.Query(t.Context(), q)
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
		func(j *Journal) error {
			_, err := j.Listed(t.Context(), snapshot.Page{
				Type: "user", Account: "a", Pass: 1, AsOf: j.Applied(), Report: true, Objects: []snapshot.Listed{{ID: "u", Name: "U"}},
			})
			return err
		},
		func(j *Journal) error {
			_, err := j.Looked(t.Context(), snapshot.Look{Type: "user", Account: "a", ID: "u", AsOf: j.Applied(), Found: true, Name: "V"})
			return err
		},
		func(j *Journal) error {
			_, err := j.Missing(t.Context(), snapshot.Missing{Type: "user", Account: "a", ID: "u", AsOf: j.Applied(), Report: true})
			return err
		},
		func(j *Journal) error { _, err := j.Append(t.Context(), at(observed)); return err },
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
			_, _, oerr := j.Object(t.Context(), "user", "a", "u")
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

// Whichever statement fails once, the caller gets an error and nothing is half done.
// After the step is repeated, everything is as without the failure.
func TestEveryStatementFails(t *testing.T) {
	t.Parallel()
	const wantLast = 11
	stride := int64(3) // all statements take long
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
		o := Options{Dir: memoryDir(t), Now: c.now, Retention: 24 * time.Hour, open: failing(f.fault)}
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
