package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/journaltest"
)

// options returns the options of a journal in dir.
func options(dir string) journal.Options { return journal.Options{Dir: dir} }

func openTest(t *testing.T, o journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// sample is the n-th deletion of a user.
func sample(n int64) event.Record {
	id := fmt.Sprintf("%016x%016x", uint64(n)*0x9e3779b97f4a7c15, n)
	const account = "0123456789abcdef0123456789abcdef"
	return event.Record{
		Request: event.Request{
			Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object", HookID: "5f1e6f0c2a3b4c5d6e7f8091a2b3c4d5",
			HookAccountID: account, Method: "POST", ContentType: "application/x-www-form-urlencoded", RemoteAddr: "192.0.2.7:41234",
			Body: []byte("id=" + id + "&account_id=" + account + "&action=doc_deleted&type=user&cluster_id=c1"),
		},
		Event: "user.deleted", AccountID: account, ObjectType: "user", ObjectID: id, Action: event.Deleted,
		Dedupe: event.Dedupe{Rule: event.RuleLifecycle, Key: event.LifecycleKey(account, "user", id)},
	}
}

func mustAppend(t *testing.T, j *journal.Journal, r event.Record) event.Appended {
	t.Helper()
	a, err := j.Append(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fill appends samples, several at once.
func fill(t *testing.T, j *journal.Journal, first, last int64) {
	t.Helper()
	next := first
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i > last {
					return
				}
				if _, err := j.Append(t.Context(), sample(i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// filled returns the directory of a closed journal of n events.
func filled(t *testing.T, n int64) (dir string) {
	t.Helper()
	dir = journaltest.MemoryDir(t)
	j := openTest(t, options(dir))
	fill(t, j, 1, n)
	if err := errors.Join(j.MoveCursor(t.Context(), "log", 0, 7), j.SetState(t.Context(), "k", "v"), j.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// crashed returns a directory as a crash leaves it: n events, and five more only in
// SQLite's log.
func crashed(t *testing.T, n int64) string {
	t.Helper()
	from := filled(t, n)
	j := openTest(t, options(from))
	for i := range int64(5) {
		mustAppend(t, j, sample(n+1+i))
	}
	dir := t.TempDir()
	for _, name := range []string{journal.FileName, journal.FileName + "-wal", integrity.NewestName} {
		put(t, dir, name, slurp(t, from, name))
	}
	return dir
}

// follow reads as a consumer does, until it has seen the newest event.
func follow(t *testing.T, j *journal.Journal) (seen map[int64]event.Record) {
	t.Helper()
	seen = map[int64]event.Record{}
	last, err := j.Last(t.Context())
	for after := int64(0); after < last; {
		page, rerr := j.Read(t.Context(), after, 37)
		if err = errors.Join(err, rerr); err != nil || len(page) == 0 {
			t.Fatalf("after %d: %d, %v", after, len(page), err)
		}
		for _, r := range page {
			seen[r.Seq] = r
		}
		after = page[len(page)-1].Seq
	}
	return seen
}

const pageSize = 4096

// pages returns the numbers of the leaf pages of a table or an index.
func pages(t *testing.T, path, name string) (list []int64) {
	t.Helper()
	c, err := database.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Once(t.Context(), "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno", []any{name}, func(v database.Row) error {
		list = append(list, v.Int(0))
		return nil
	})
	if err := errors.Join(err, c.Close()); err != nil || len(list) < 4 {
		t.Fatalf("%d pages of %s: %v", len(list), name, err)
	}
	return list
}

// harms returns ways to damage a page.
func harms() map[string]func(page []byte) {
	return map[string]func([]byte){
		"zeros":   func(p []byte) { clear(p) },
		"ones":    func(p []byte) { copy(p, bytes.Repeat([]byte{0xff}, len(p))) },
		"text":    func(p []byte) { copy(p[8:], bytes.Repeat([]byte("x"), len(p)-8)) },
		"one bit": func(p []byte) { p[len(p)-100] ^= 4 },
		"rows":    func(p []byte) { p[4]-- }, // the page seems to have one row less
	}
}

// harm changes pages of a file.
func harm(t *testing.T, path string, how func([]byte), pages ...int64) {
	t.Helper()
	patch(t, path, func(b []byte) []byte {
		for _, page := range pages {
			how(b[(page-1)*pageSize : page*pageSize])
		}
		return b
	})
}

func patch(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
