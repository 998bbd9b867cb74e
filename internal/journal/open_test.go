package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

func TestFilesAreOwnersOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "data")
	j := openTest(t, Options{Dir: dir})
	mustAppend(t, j, sample(1, event.Edited))
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", st.Mode(), err)
	}
	for _, name := range []string{FileName, FileName + "-wal", FileName + "-shm", database.LockName, integrity.NewestName} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

func TestSecondProcess(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	for name, open := range map[string]func() (*Journal, error){
		"open":      func() (*Journal, error) { return Open(t.Context(), Options{Dir: j.opt.Dir}) },
		"read only": func() (*Journal, error) { return OpenReadOnly(t.Context(), Options{Dir: j.opt.Dir}) },
	} {
		_, err := open()
		want := fmt.Sprintf("journal in use: another kazoohook (process %d) is using the data directory %s; stop it or choose another directory",
			os.Getpid(), j.opt.Dir)
		if !errors.Is(err, ErrInUse) || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "flock", "-n", filepath.Join(j.opt.Dir, database.LockName), "true").CombinedOutput() //nolint:gosec // our own directory
	if err == nil {
		t.Errorf("another process could lock the directory: %s", out)
	}
}

func TestOpenReadOnly(t *testing.T) {
	t.Parallel()
	if _, err := OpenReadOnly(t.Context(), Options{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "there is none in") {
		t.Errorf("no journal: %v", err)
	}
	dir := crashed(t, 30)
	j, err := OpenReadOnly(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	recs, _, err := j.Query(t.Context(), event.Query{Objects: []string{sample(35, event.Edited).ObjectID}})
	if err != nil || len(recs) != 1 || recs[0].Seq != 35 {
		t.Errorf("query: %v, %v", recs, err)
	}
	if _, err := j.Append(t.Context(), sample(99, event.Edited)); !errors.Is(err, ErrReadOnly) {
		t.Errorf("append: %v", err)
	}
	if err := j.MoveCursor(t.Context(), "c", 0, 1); !errors.Is(err, ErrReadOnly) {
		t.Errorf("move: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	openTest(t, Options{Dir: dir})
}

// TestBlankDatabase is what a kill leaves between the creation of the database and its
// first transaction: there is no journal yet, and a start begins one.
func TestBlankDatabase(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(path string) error{
		"an empty file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a database without tables": func(path string) error {
			c, err := database.Open(path, "", tables.WriterPragmas()...)
			if err == nil {
				err = errors.Join(c.Script(t.Context(), "BEGIN IMMEDIATE; COMMIT"), c.Close())
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, FileName)
			if err := leave(path); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenReadOnly(t.Context(), Options{Dir: dir}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "no journal in it yet") {
				t.Errorf("read only: %v", err)
			}
			if _, err := OpenFile(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the file: %v", err)
			}
			mustAppend(t, openTest(t, Options{Dir: dir}), sample(1, event.Edited))
		})
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: file}); err == nil {
		t.Error("opened a file as a directory")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir}); err == nil {
		t.Error("opened a directory as a file")
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, database.LockName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir}); err == nil {
		t.Error("locked a directory")
	}
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := database.Open(j.path, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Script(t.Context(), "PRAGMA user_version=99"), c.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), j.opt)
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "its schema is 99") {
		t.Errorf("got %v", err)
	}
}

func TestMigrationFails(t *testing.T) {
	t.Parallel()
	c, err := database.Open(filepath.Join(t.TempDir(), FileName), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Script(t.Context(), "CREATE TABLE names (x)"); err != nil {
		t.Fatal(err)
	}
	if err := tables.Migrate(t.Context(), c); err == nil || !strings.Contains(err.Error(), "migrate from schema 0") {
		t.Errorf("got %v", err)
	}
	var left int64
	if _, err := c.Ints(t.Context(), "SELECT count(*) FROM sqlite_schema", nil, &left); err != nil || left != 1 {
		t.Errorf("a failed migration left %d tables, %v", left, err)
	}
}

// After a crash everything is found.
func TestCrash(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Now: c.now})
	rec := func(i int64) event.Record { r := content(i); r.ReceivedAt = c.now(); return r }
	fill(t, j, 20, rec)
	d := sample(1, event.Deleted)
	mustAppend(t, j, d)
	dir := t.TempDir()
	copyFiles(t, j.opt.Dir, dir)
	name := j.Name()
	j = openTest(t, Options{Dir: dir, Now: c.now})
	for _, r := range []event.Record{rec(3), rec(20), d} {
		if a := mustAppend(t, j, r); !a.Duplicate {
			t.Errorf("%s is new after a crash", r.Event)
		}
	}
	if recs, _, err := j.Query(t.Context(), event.Query{Events: []string{"user.*"}}); err != nil || len(recs) != 1 {
		t.Errorf("query: %d, %v", len(recs), err)
	}
	if recs, _, err := j.Query(t.Context(), event.Query{Events: []string{"channel.*"}}); err != nil || len(recs) != 20 {
		t.Errorf("query: %d, %v", len(recs), err)
	}
	if j.Name() != name || len(name) != 8 {
		t.Errorf("the journal was called %q, and is %q", name, j.Name())
	}
}

// The journal's clock advances by the time between two processes, also if the wall clock
// was once ahead. The times in events' ids don't go back, so they don't show that time.
func TestClockThatWasAhead(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{0, 24 * time.Hour} {
		c := newClock()
		j := openTest(t, Options{Dir: memoryDir(t), Now: c.now})
		c.add(ahead)
		mustAppend(t, j, content(1))
		c.add(-ahead)
		c.add(time.Minute)
		mustAppend(t, j, sample(2, event.Deleted))
		c.add(5 * time.Minute)
		mustAppend(t, j, sample(2, event.Edited)) // restored, and not looked up yet
		dir := t.TempDir()
		copyFiles(t, j.opt.Dir, dir) // a power cut
		c.add(2 * time.Hour)
		j = openTest(t, Options{Dir: dir, Now: c.now})
		if a := mustAppend(t, j, sample(2, event.Deleted)); a.Duplicate {
			t.Errorf("%v ahead: %+v", ahead, a)
		}
	}
}

// In an older journal the row of the table journal may be older than the newest event, or
// have its number, but not its time.
func TestEndOfJournal(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Dir: memoryDir(t), Now: c.now})
	c.add(time.Hour)
	mustAppend(t, j, content(1))
	number, clock, wall := j.Applied(), j.w.clock.last.Clock, c.now()
	dir := t.TempDir()
	copyFiles(t, j.opt.Dir, dir)
	for name, row := range map[string]struct {
		number int64
		clock  snapshot.Clock
		wall   time.Time
		want   snapshot.At
	}{
		"older":               {number - 1, clock - 1, wall.Add(-time.Hour), snapshot.At{Number: number, Clock: clock, Wall: wall}},
		"with another time":   {number, clock, wall.Add(-time.Minute), snapshot.At{Number: number, Clock: clock, Wall: wall.Add(-time.Minute)}},
		"newer":               {number + 1, clock + 1, wall.Add(time.Minute), snapshot.At{Number: number + 1, Clock: clock + 1, Wall: wall.Add(time.Minute)}},
		"restored from older": {number + 9, clock - 1, wall.Add(-time.Hour), snapshot.At{Number: number + 9, Clock: clock, Wall: wall}},
	} {
		k, err := database.Open(filepath.Join(dir, FileName), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Exec("UPDATE journal SET number = ?, clock = ?, wall = ?", row.number, int64(row.clock), row.wall.UnixNano()); err != nil {
			t.Fatal(err)
		}
		end, err := prepare(Options{Dir: dir}, true).load(t.Context(), k)
		if err := errors.Join(err, k.Close()); err != nil || end.at.Number != row.want.Number || end.at.Clock != row.want.Clock || !end.at.Wall.Equal(row.want.Wall) {
			t.Errorf("%s: %+v, want %+v, %v", name, end.at, row.want, err)
		}
	}
}
