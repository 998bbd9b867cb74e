package archive

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
)

// describe returns the name, the numbers and the counts of a directory's journal.
func describe(t *testing.T, dir string) contents {
	t.Helper()
	c, err := look(t.Context(), filepath.Join(dir, journal.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A copy of a journal in use becomes the journal of another directory, whatever was
// there. It has the same name, numbers and events.
func TestAdopt(t *testing.T) {
	t.Parallel()
	const n = 40
	for name, c := range map[string]struct {
		there func(t *testing.T, source, dir string)
		aside bool
	}{
		"an empty directory":     {func(*testing.T, string, string) {}, false},
		"the journal of another": {func(t *testing.T, _, dir string) { copyDir(t, filled(t, 3), dir) }, true},
		"an empty journal":       {func(t *testing.T, _, dir string) { copyDir(t, filled(t, 0), dir) }, false},
		"an earlier state":       {func(t *testing.T, source, dir string) { copyDir(t, source, dir) }, false},
		"an earlier state under another name": {func(t *testing.T, source, dir string) {
			copyDir(t, source, dir)
			db, err := database.Open(filepath.Join(dir, journal.FileName), "")
			if err == nil {
				err = errors.Join(db.Exec("UPDATE journal SET name = 'earlier1'"), db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}, false},
		"files without a journal": {func(t *testing.T, _, dir string) { put(t, dir, integrity.NewestName, "{}") }, false},
		"a damaged journal":       {func(t *testing.T, _, dir string) { put(t, dir, journal.FileName, strings.Repeat("x", 8192)) }, true},
		"a file without tables":   {func(t *testing.T, _, dir string) { put(t, dir, journal.FileName, "") }, false},
		"a fork of an earlier state": {func(t *testing.T, source, dir string) {
			copyDir(t, source, dir)
			j := openTest(t, options(dir))
			fill(t, j, n+1, n+5)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}, true},
		"more than the copy has": {func(t *testing.T, source, dir string) {
			copyDir(t, source, dir)
			j := openTest(t, options(dir))
			fill(t, j, n+1, n+20)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}, true},
		"a copy that was cut short": {func(t *testing.T, _, dir string) { put(t, dir, journal.FileName+".adopted", "x") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, dir := filled(t, n), t.TempDir()
			c.there(t, source, dir)
			j := openTest(t, options(source))
			fill(t, j, n+1, n+10)
			file := filepath.Join(dir, "copy.partial")
			if err := Copy(t.Context(), source, file); err != nil {
				t.Fatal(err)
			}
			readable := name != "a damaged journal"
			if other, err := Contradicts(t.Context(), file, dir); err != nil || other != (c.aside && readable) {
				t.Errorf("it contradicts what is there: %v, %v", other, err)
			}
			fill(t, j, n+11, n+12) // after the copy
			if err := Adopt(t.Context(), file, dir); err != nil {
				t.Fatal(err)
			}
			got := describe(t, dir)
			if got.Journal != j.Name() || got.Last != n+10 || got.Events != n+10 || got.number != j.Applied()-2 {
				t.Errorf("adopted was %+v", got)
			}
			files, err := filepath.Glob(filepath.Join(dir, replacedPrefix+"*"))
			if err != nil || (len(files) > 0) != c.aside {
				t.Errorf("moved aside: %v, %v", files, err)
			}
			if rest, _ := filepath.Glob(filepath.Join(dir, "*.partial")); len(rest) > 0 {
				t.Errorf("left over: %v", rest)
			}
			if len(follow(t, openTest(t, options(dir)))) != n+10 {
				t.Error("the adopted journal can't be read whole")
			}
		})
	}
}

// A damaged copy isn't adopted, and the journal that was there stays.
func TestAdoptDamage(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, file string){
		"a page": func(t *testing.T, file string) {
			harm(t, file, harms()["zeros"], pages(t, file, "events")...)
		},
		"the end":         func(t *testing.T, file string) { patch(t, file, func(b []byte) []byte { return b[:len(b)/2] }) },
		"another format":  func(t *testing.T, file string) { patch(t, file, func([]byte) []byte { return []byte("no database") }) },
		"it is not there": func(t *testing.T, file string) { remove(t, filepath.Dir(file), filepath.Base(file)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t, 2)
			before := describe(t, dir)
			file := filepath.Join(t.TempDir(), "copy")
			if err := Copy(t.Context(), filled(t, 200), file); err != nil {
				t.Fatal(err)
			}
			change(t, file)
			if err := Adopt(t.Context(), file, dir); err == nil {
				t.Error("the damaged copy was adopted")
			}
			if after := describe(t, dir); after != before {
				t.Errorf("there was %+v, and is %+v", before, after)
			}
		})
	}
}

func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "copy")
	if err := Copy(t.Context(), t.TempDir(), file); err == nil {
		t.Error("a directory without a journal was copied")
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is left over: %v", err)
	}
	put(t, filepath.Dir(file), "copy", "precious")
	if err := Copy(t.Context(), filled(t, 1), file); err == nil || slurp(t, filepath.Dir(file), "copy") != "precious" {
		t.Errorf("an existing file: %v", err)
	}
	dir := filled(t, 1)
	openTest(t, options(dir))
	if err := Adopt(t.Context(), file, dir); !errors.Is(err, journal.ErrInUse) {
		t.Errorf("a directory in use: %v", err)
	}
}

// If a file can't be removed, Adopt fails and names it.
func TestAdoptWhereSomethingStays(t *testing.T) {
	t.Parallel()
	source, dir := filled(t, 3), t.TempDir()
	copyDir(t, source, dir)
	stays := filepath.Join(dir, integrity.NewestName)
	remove(t, dir, integrity.NewestName)
	if err := os.MkdirAll(filepath.Join(stays, "not empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "copy.partial")
	if err := Copy(t.Context(), source, file); err != nil {
		t.Fatal(err)
	}
	if err := Adopt(t.Context(), file, dir); err == nil || !strings.Contains(err.Error(), stays) {
		t.Errorf("error %v", err)
	}
}

// A directory without a journal holds nothing.
func TestLookAtNothing(t *testing.T) {
	t.Parallel()
	if c, err := look(t.Context(), filepath.Join(t.TempDir(), journal.FileName)); err != nil || c != (contents{}) {
		t.Errorf("%+v, %v", c, err)
	}
}
