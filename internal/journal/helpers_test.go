package journal

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
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

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// onWriter runs f on the writer's goroutine, between two commands.
func onWriter(t testing.TB, j *Journal, f func()) {
	t.Helper()
	if _, err := j.do(t.Context(), &probe{run: f}); err != nil {
		t.Fatal(err)
	}
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
	for _, name := range []string{FileName, FileName + "-wal", integrity.NewestName} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil { //nolint:gosec // directories of the test
			t.Fatal(err)
		}
	}
}

// numbers gives the numbers 1..n to several workers.
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

// memoryDir returns a directory in memory, if the system has one: syncs there cost
// nothing. It is for tests whose journal need not last.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "journal-test-") //nolint:usetesting // it is elsewhere
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// failing opens connections, before whose statements fault is called: it may fail them.
func failing(fault func(sql string) error) func(path, options string, pragmas ...string) (*conn, error) {
	return func(path, options string, pragmas ...string) (*conn, error) {
		c, err := database.Open(path, options, pragmas...)
		if err == nil {
			c.Fault = fault
		}
		return c, err
	}
}
