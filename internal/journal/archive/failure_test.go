package archive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/journaltest"
)

// countdown is a context that ends after Err and Done were called a given number of
// times. It calls asked each time.
type countdown struct {
	context.Context

	left   *atomic.Int64
	cancel context.CancelFunc
	asked  func()
}

func newCountdown(t *testing.T, n int64, asked func()) countdown {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	c := countdown{ctx, new(atomic.Int64), cancel, asked}
	c.left.Store(n)
	return c
}

func (c countdown) count() {
	if c.asked != nil {
		c.asked()
	}
	if c.left.Add(-1) == 0 {
		c.cancel()
	}
}

func (c countdown) Err() error { c.count(); return c.Context.Err() }

func (c countdown) Done() <-chan struct{} { c.count(); return c.Context.Done() }

// Wherever a backup, a restore or a salvage is stopped, the journal is unchanged, and no
// incomplete result can be mistaken for a complete one.
func TestStopped(t *testing.T) {
	t.Parallel()
	old := filled(t, 30)
	put(t, old, "hook_secret", "the-secret")
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := MakeBackup(t.Context(), old, backup); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		do func(ctx context.Context, to string) error
		ok func(to string) bool // there is no incomplete result
	}{
		"backup": {func(ctx context.Context, to string) error {
			_, err := MakeBackup(ctx, old, filepath.Join(to, "x"))
			return err
		},
			func(to string) bool { left, err := os.ReadDir(to); return len(left) == 0 && err == nil }},
		"restore": {func(ctx context.Context, to string) error { _, err := Restore(ctx, backup, to, false); return err },
			func(to string) bool { left, err := os.ReadDir(to); return len(left) <= 1 && err == nil }}, // the lock
		"salvage": {func(ctx context.Context, to string) error {
			_, err := Salvage(ctx, old, filepath.Join(to, "x"))
			return err
		},
			func(to string) bool {
				_, err := journal.OpenFile(t.Context(), filepath.Join(to, "x"))
				return err != nil || !exists(filepath.Join(to, journal.FileName))
			}},
		"check": {func(ctx context.Context, _ string) error { _, err := CheckDir(ctx, old); return err }, func(string) bool { return true }},
	} {
		before := slurp(t, old, journal.FileName)
		for n := int64(1); ; n += 1 + n/6 {
			to := journaltest.MemoryDir(t)
			ctx := newCountdown(t, n, nil)
			err := c.do(ctx, to)
			if err == nil {
				t.Logf("%s: stopped up to %d", name, n-1)
				break
			}
			if !errors.Is(err, context.Canceled) || !c.ok(to) || n > 2000 {
				t.Fatalf("%s, stopped after %d: %v", name, n, err)
			}
		}
		if slurp(t, old, journal.FileName) != before {
			t.Errorf("%s: the journal was changed", name)
		}
	}
}

// A closed database, which has no log, may be changed while it is copied. Then it is
// copied again.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	old := filled(t, 30)
	path := filepath.Join(old, journal.FileName)
	var times atomic.Int64
	touch := func() {
		if n := times.Add(1); n == 3 || n == 40 {
			if err := os.Chtimes(path, time.Time{}, time.Unix(n, 0)); err != nil {
				t.Error(err)
			}
		}
	}
	b, err := MakeBackup(newCountdown(t, -1, touch), old, filepath.Join(t.TempDir(), "x"))
	if err != nil || b.Events != 30 || times.Load() < 3 {
		t.Errorf("%+v, %v, asked %d times", b, err, times.Load())
	}
	if err := copyDatabase(t.Context(), filepath.Join(old, "none"), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("copied a missing file: %v", err)
	}
	gone := filled(t, 3)
	take := func() { _ = os.Remove(filepath.Join(gone, journal.FileName)) }
	if _, err := MakeBackup(newCountdown(t, -1, take), gone, filepath.Join(t.TempDir(), "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed meanwhile: %v", err)
	}
}

// If something prevents a backup or a restore, the error names it and nothing is
// changed.
func TestInTheWay(t *testing.T) {
	t.Parallel()
	old := filled(t, 30)
	put(t, old, "certificates/deep/a.pem", "a certificate")
	file := filepath.Join(t.TempDir(), "backup")
	if _, err := MakeBackup(t.Context(), old, file); err != nil {
		t.Fatal(err)
	}
	changed := func(sql string) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			path := filepath.Join(t.TempDir(), "changed")
			put(t, filepath.Dir(path), "changed", slurp(t, filepath.Dir(file), "backup"))
			c, err := database.Open(path, "", "journal_mode(delete)")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.Script(t.Context(), sql), c.Close()); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	for name, c := range map[string]struct {
		from  func(t *testing.T) string
		there func(t *testing.T, dir string)
		want  string
	}{
		"nothing":                {nil, func(*testing.T, string) {}, ""},
		"same file":              {nil, func(t *testing.T, dir string) { put(t, dir, "certificates/deep/a.pem", "a certificate") }, ""},
		"file for a directory":   {nil, func(t *testing.T, dir string) { put(t, dir, "certificates", "x") }, "not a directory"},
		"directory for a file":   {nil, func(t *testing.T, dir string) { put(t, dir, "certificates/deep/a.pem/x", "x") }, "is a directory"},
		"directory for newest":   {nil, func(t *testing.T, dir string) { put(t, dir, integrity.NewestName+"/x", "x") }, "is a directory"},
		"directory for the copy": {nil, func(t *testing.T, dir string) { put(t, dir, journal.FileName+".restore/x", "x") }, "not empty"},
		"directory for the lock": {nil, func(t *testing.T, dir string) { put(t, dir, database.LockName+"/x", "x") }, "is a directory"},
		"of a newer program":     {changed("PRAGMA user_version=99"), func(*testing.T, string) {}, journal.ErrNewer.Error()},
		"without objects":        {changed("DROP TABLE objects"), func(*testing.T, string) {}, "holds no journal"},
		"without gaps":           {changed("DROP TABLE gaps"), func(*testing.T, string) {}, "no such table"},
		"with a file outside":    {changed("UPDATE backup_files SET name = '../x'"), func(*testing.T, string) {}, "which no backup does"},
		"with a journal":         {changed("UPDATE backup_files SET name = 'newest'"), func(*testing.T, string) {}, "which no backup does"},
		"a moment unknown":       {changed("DROP TABLE backup; CREATE TABLE backup (x)"), func(*testing.T, string) {}, "no such column"},
		"an event is changed":    {changed("UPDATE events SET body = 'x' WHERE seq = 7"), func(*testing.T, string) {}, journal.ErrCorrupt.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, from := journaltest.MemoryDir(t), file
			if c.from != nil {
				from = c.from(t)
			}
			c.there(t, dir)
			r, err := Restore(t.Context(), from, dir, true)
			if c.want == "" {
				if err != nil || slurp(t, dir, "certificates/deep/a.pem") != "a certificate" || r.Events != 30 {
					t.Errorf("%+v, %v", r, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || exists(filepath.Join(dir, journal.FileName)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if _, err := Restore(t.Context(), file, filepath.Join(file, "x"), false); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("restored below a file: %v", err)
	}
	if _, err := MakeBackup(t.Context(), old, filepath.Join(old, "none", "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("backed up into nothing: %v", err)
	}
	if _, err := MakeBackup(t.Context(), filepath.Join(old, "none"), filepath.Join(t.TempDir(), "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("backed up nothing: %v", err)
	}
}

// Wherever the room on a file system ends, there is an error and no file under the
// final name (except from a salvage). With enough room the result is complete.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	old := filled(t, 60)
	put(t, old, "hook_secret", "the-secret")
	file := filepath.Join(t.TempDir(), "backup")
	if _, err := MakeBackup(t.Context(), old, file); err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(dir string) (events int64, err error){
		"backup": func(dir string) (int64, error) {
			b, err := MakeBackup(t.Context(), old, filepath.Join(dir, "x"))
			return b.Events, err
		},
		"salvage": func(dir string) (int64, error) {
			s, err := Salvage(t.Context(), old, filepath.Join(dir, "x"))
			return s.Events, err
		},
		"restore": func(dir string) (int64, error) { r, err := Restore(t.Context(), file, dir, true); return r.Events, err },
	} {
		for _, limit := range []string{
			"nr_inodes=1", "nr_inodes=2", "nr_inodes=3", "nr_inodes=4", "nr_inodes=5", "nr_inodes=6", "nr_inodes=7",
			"size=4k", "size=8k", "size=40k", "size=80k", "size=120k", "size=140k", "size=160k", "size=200k", "size=2m",
		} {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, limit); err != nil {
				t.Skipf("cannot mount a small file system: %v", err)
			}
			t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
			events, err := do(dir)
			if err == nil && events != 60 || limit == "size=2m" && err != nil {
				t.Errorf("%s, %s: %d events, %v", name, limit, events, err)
			}
			made := filepath.Join(dir, "x")
			if name == "restore" {
				made = filepath.Join(dir, journal.FileName)
			}
			if err != nil && name != "salvage" && exists(made) {
				t.Errorf("%s, %s: the file is there in spite of %v", name, limit, err)
			}
		}
	}
}
