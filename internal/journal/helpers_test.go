package journal

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/internal/event"
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func openTest(t testing.TB, o Options) *Journal {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	j, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func mustAppend(t testing.TB, j *Journal, r event.Record) event.Appended {
	t.Helper()
	a, err := j.Append(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// settle waits until the tables know everything.
func settle(t testing.TB, j *Journal) {
	t.Helper()
	waitFor(t, "the index to be up to date", func() bool {
		s, err := j.Stats(t.Context())
		return err == nil && s.Unindexed == 0
	})
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// flush brings the tables up to date now, like a quiet second does.
func flush(t testing.TB, j *Journal) {
	t.Helper()
	for range 2 { // the second is carried out after the rest
		err := j.do(t.Context(), func(*txn) error {
			j.w.restNow = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	settle(t, j)
}

func get(t testing.TB, j *Journal, seq int64) event.Record {
	t.Helper()
	r, err := j.Get(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func copyFiles(t testing.TB, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(filepath.Join(from, fileName+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, fileName+suffix), b, 0o600); err != nil { //nolint:gosec // directories of the test
			t.Fatal(err)
		}
	}
}

// numbers hands out 1..n to several workers.
type numbers struct {
	n    int64
	next atomic.Int64
}

func newRange(n int64) *numbers { return &numbers{n: n} }

func (r *numbers) each(workers int, do func(int64)) <-chan struct{} {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := r.next.Add(1); i <= r.n; i = r.next.Add(1) {
				do(i)
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	return done
}

// memoryDir is a directory whose syncs cost nothing, where there is one: for
// tests of what happens, not of what lasts.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "journal-test-") //nolint:usetesting // it is elsewhere
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
