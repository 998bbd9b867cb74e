package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kazoohook/internal/event"
)

// crashed returns a directory as a crash leaves it: n events, the newest of
// them in the log of changes only.
func crashed(t *testing.T, n int64) string {
	t.Helper()
	j := openTest(t, Options{})
	fill(t, j, n, func(i int64) event.Record { return sample(i, event.Edited) })
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, j.opt)
	for i := range int64(5) { // a transaction each
		mustAppend(t, j, sample(n+1+i, event.Edited))
	}
	dir := t.TempDir()
	copyFiles(t, j.opt.Dir, dir)
	return dir
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

func TestTornLogIsRepaired(t *testing.T) {
	t.Parallel()
	dir := crashed(t, 50)
	// What the last transaction wrote is half there.
	patch(t, filepath.Join(dir, fileName+"-wal"), func(b []byte) []byte { return b[:len(b)-2000] })
	j := openTest(t, Options{Dir: dir})
	if last, err := j.Last(t.Context()); last != 54 || err != nil {
		t.Errorf("last is %d, %v, want all but the torn one", last, err)
	}
	if a := mustAppend(t, j, sample(55, event.Edited)); a.Seq != 55 {
		t.Errorf("goes on at %d", a.Seq)
	}
}

func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	db, wal := fileName, fileName+"-wal"
	closed := func(t *testing.T, n int64) string {
		t.Helper()
		j := openTest(t, Options{})
		fill(t, j, n, func(i int64) event.Record { return sample(i, event.Edited) })
		if err := j.MoveCursor(t.Context(), "log", 0, n); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		return j.opt.Dir
	}
	cut := func(name string, keep func(int) int) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			patch(t, filepath.Join(dir, name), func(b []byte) []byte { return b[:keep(len(b))] })
		}
	}
	overwrite := func(name string, at func(int) int, with string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			patch(t, filepath.Join(dir, name), func(b []byte) []byte {
				copy(b[at(len(b)):], with)
				return b
			})
		}
	}
	fixed := func(n int) func(int) int { return func(int) int { return n } }
	sql := func(statement string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			c, err := openConn(filepath.Join(dir, db))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.script(t.Context(), statement), c.close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		make func(*testing.T, int64) string
		harm func(*testing.T, string)
		says string
	}{
		"cut off":                 {closed, cut(db, func(n int) int { return n - 3*pageSize }), "the file is cut off"},
		"cut off in a page":       {closed, cut(db, func(n int) int { return n - 100 }), "the file is cut off"},
		"cut off in the header":   {closed, cut(db, fixed(50)), "has only 50 bytes"},
		"cut off, with a log":     {crashed, cut(db, func(n int) int { return pageSize }), "the file is cut off"},
		"empty, with a log":       {crashed, cut(db, fixed(0)), "has only 0 bytes"},
		"another file":            {closed, overwrite(db, fixed(0), "no database at all"), "not a database"},
		"other page size":         {closed, overwrite(db, fixed(16), "\x02\x00"), "page size"},
		"schema page overwritten": {closed, overwrite(db, fixed(100), strings.Repeat("x", 1000)), "malformed"},
		"log damaged":             {crashed, overwrite(wal, func(n int) int { return n - 4*(pageSize+frameHeader) - 1000 }, "damage"), "damaged in the middle"},
		"log of other pages":      {crashed, rewriteWALPageSize, "pages of 512 bytes"},
		"newest events gone":      {closed, sql("DELETE FROM events WHERE seq > 290"), "event 300 was stored once, the newest now is 290"},
		"all events gone":         {closed, sql("DELETE FROM events"), "the newest now is 0"},
		"events missing":          {closed, sql("DELETE FROM events WHERE seq = 250"), "1 of the events 201 to 300 are missing"},
		"oldest event unreadable": {closed, sql("UPDATE events SET id = x'00' WHERE seq = 1"), "malformed id"},
		"firing unreadable":       {closed, sql("UPDATE events SET firing = 'x' WHERE seq = 300"), "malformed firing"},
		"file missing": {crashed, func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, db)); err != nil {
				t.Fatal(err)
			}
		}, "the file is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := c.make(t, 300)
			c.harm(t, dir)
			before := listing(t, dir)
			_, err := Open(t.Context(), Options{Dir: dir})
			if err == nil {
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), filepath.Join(dir, db)) {
				t.Errorf("error is %v", err)
			}
			if name != "oldest event unreadable" && name != "firing unreadable" {
				if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "backup") {
					t.Errorf("error is %v", err)
				}
			}
			if after := listing(t, dir); name != "schema page overwritten" && c.says != "" && before != after {
				t.Errorf("files changed:\n%s\n%s", before, after)
			}
		})
	}
}

func rewriteWALPageSize(t *testing.T, dir string) {
	t.Helper()
	patch(t, filepath.Join(dir, fileName+"-wal"), func(b []byte) []byte {
		b[10], b[11] = 2, 0
		sum := walSum{}.add(binary.LittleEndian, b[:24])
		binary.BigEndian.PutUint32(b[24:], sum.a)
		binary.BigEndian.PutUint32(b[28:], sum.b)
		return b
	})
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var s strings.Builder
	for _, n := range []string{fileName, fileName + "-wal"} {
		fmt.Fprintf(&s, "%s %d\n", n, fileSize(filepath.Join(dir, n)))
	}
	return s.String()
}
