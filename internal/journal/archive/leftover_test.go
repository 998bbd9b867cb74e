package archive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
)

// halfChanged returns what a killed process leaves beside a database that it was about
// to change: SQLite would take the database back to what was there before.
func halfChanged(t *testing.T) string {
	t.Helper()
	dir := filled(t, 300)
	path := filepath.Join(dir, journal.FileName)
	c, err := database.Open(path, "", "journal_mode(delete)", "synchronous(off)", "cache_size(1)")
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"BEGIN", "UPDATE events SET body = zeroblob(1000)", "DELETE FROM objects"} {
		if err := c.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	left := slurp(t, dir, journal.FileName+"-journal")
	if err := c.Close(); err != nil || len(left) < pageSize {
		t.Fatalf("%d bytes, %v", len(left), err)
	}
	return left
}

// leftovers are files that may be in a data directory whose database is gone.
func leftovers(t *testing.T) map[string]string {
	t.Helper()
	from := crashed(t, 300)
	return map[string]string{
		journal.FileName + "-wal":             slurp(t, from, journal.FileName+"-wal"),
		journal.FileName + "-shm":             strings.Repeat("x", 32768),
		journal.FileName + "-journal":         halfChanged(t),
		journal.FileName + ".restore-journal": halfChanged(t),
		journal.FileName + ".restore-wal":     slurp(t, from, journal.FileName+"-wal"),
		journal.FileName + ".adopted-journal": halfChanged(t),
		journal.FileName + ".adopted-wal":     slurp(t, from, journal.FileName+"-wal"),
		integrity.NewestName:                  slurp(t, from, integrity.NewestName),
	}
}

// whole checks that the journal in dir has n events and no damage, and returns its name.
func whole(t *testing.T, dir string, n int) (name string) {
	t.Helper()
	j := openTest(t, options(dir))
	seen, err := j.Read(t.Context(), 0, 1000)
	if err := errors.Join(err, j.Close()); err != nil || len(seen) != n {
		t.Errorf("%d events, want %d; %v", len(seen), n, err)
	}
	if found, err := CheckDir(t.Context(), dir); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	return j.Name()
}

// TestRestoreBesideLeftovers: what is left of another database doesn't get into the
// restored one. It is moved aside.
func TestRestoreBesideLeftovers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "backup")
	if _, err := MakeBackup(t.Context(), filled(t, 60), file); err != nil {
		t.Fatal(err)
	}
	for name, content := range leftovers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, name, content)
			r, err := Restore(t.Context(), file, dir, false)
			if name == journal.FileName+"-wal" { // it may hold the newest events of a database that somebody has
				if !errors.Is(err, ErrOccupied) || !strings.Contains(err.Error(), name) || slurp(t, dir, name) != content {
					t.Errorf("%v", err)
				}
				r, err = Restore(t.Context(), file, dir, true)
			}
			if err != nil {
				t.Fatal(err)
			}
			temporary := strings.Contains(name, ".restore-") || strings.Contains(name, ".adopted-")
			if !temporary && slurp(t, r.Aside, name) != content {
				t.Error("not moved aside")
			}
			if name := whole(t, dir, 60); name != r.Name {
				t.Errorf("journal %s, want %s", name, r.Name)
			}
		})
	}
}

// TestAdoptBesideLeftovers is the same for a copy of another node's journal.
func TestAdoptBesideLeftovers(t *testing.T) {
	t.Parallel()
	from := filled(t, 60)
	for left, content := range leftovers(t) {
		t.Run(left, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "fetched.partial")
			put(t, dir, left, content)
			if err := errors.Join(Copy(t.Context(), from, file), Adopt(t.Context(), file, dir)); err != nil {
				t.Fatal(err)
			}
			whole(t, dir, 60)
			if aside, err := filepath.Glob(filepath.Join(dir, replacedPrefix+"*", "*-wal")); err != nil || (len(aside) == 1) != (left == journal.FileName+"-wal") {
				t.Errorf("moved aside: %v, %v", aside, err)
			}
		})
	}
}

// TestNewFileBesideLeftovers: a new database gets no name beside which something of
// another one is left.
func TestNewFileBesideLeftovers(t *testing.T) {
	t.Parallel()
	dir := filled(t, 10)
	for _, suffix := range database.Beside() {
		to := filepath.Join(t.TempDir(), "new.db")
		put(t, filepath.Dir(to), "new.db"+suffix, "x")
		_, backup := MakeBackup(t.Context(), dir, to)
		_, salvage := Salvage(t.Context(), dir, to)
		for what, err := range map[string]error{"backup": backup, "salvage": salvage, "copy": Copy(t.Context(), dir, to)} {
			if err == nil || !strings.Contains(err.Error(), to+suffix+" exists already: choose a new file") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("something was made: %v", err)
		}
	}
}

// TestStartWithoutTheDatabase: SQLite would delete the newest events if there is only its
// log. A start makes no empty journal then, and says what to do.
func TestStartWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	wal := journal.FileName + "-wal"
	for name, empty := range map[string]bool{"missing": false, "empty": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := crashed(t, 60)
			path := filepath.Join(dir, journal.FileName)
			kept, before := slurp(t, dir, journal.FileName), slurp(t, dir, wal)
			remove(t, dir, journal.FileName)
			if empty {
				put(t, dir, journal.FileName, "")
			}
			o := options(dir)
			o.Import = func(context.Context, string) error {
				t.Error("an older journal is imported beside the log")
				return nil
			}
			_, err := journal.Open(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), "put "+path+" back") || errors.Is(err, journal.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			if _, err := journal.OpenReadOnly(t.Context(), options(dir)); err == nil {
				t.Error("it can be read")
			}
			if !empty && exists(path) || slurp(t, dir, wal) != before {
				t.Fatal("something was changed")
			}
			put(t, dir, journal.FileName, kept)
			j := openTest(t, options(dir))
			if last, err := j.Last(t.Context()); err != nil || last != 65 {
				t.Errorf("%d events, %v", last, err)
			}
		})
	}
}
