package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/integrity"
)

// The file newest shows that events are missing at the end, and that is logged. The
// journal gets a new name, and goes on with numbers that were never given.
func TestLostEvents(t *testing.T) {
	t.Parallel()
	const held = 30 // see crashed: SQLite's log has five more
	wal := FileName + "-wal"
	for name, c := range map[string]struct {
		harm   func(t *testing.T, dir string)
		lost   int64
		rename bool
		skips  bool
	}{
		"nothing":  {func(*testing.T, string) {}, 0, false, false},
		"log lost": {func(t *testing.T, dir string) { remove(t, dir, wal) }, 5, true, true},
		"log cut off": {func(t *testing.T, dir string) {
			patch(t, filepath.Join(dir, wal), func(b []byte) []byte { return b[:len(b)/2] })
		}, 1, true, true},
		"log damaged": {func(t *testing.T, dir string) {
			patch(t, filepath.Join(dir, wal), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}, 1, true, true},
		"newest lost": {func(t *testing.T, dir string) { remove(t, dir, integrity.NewestName) }, 0, true, false},
		"newest empty": {func(t *testing.T, dir string) {
			patch(t, filepath.Join(dir, integrity.NewestName), func([]byte) []byte { return nil })
		}, 0, true, false},
		"newest behind": {func(t *testing.T, dir string) {
			patch(t, filepath.Join(dir, integrity.NewestName), func(b []byte) []byte { return bytes.Replace(b, []byte("35 "), []byte("34 "), 1) })
		}, 0, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := crashed(t, held)
			said, ok, err := integrity.ReadNewest(filepath.Join(dir, integrity.NewestName))
			if err != nil || !ok || said.Seq != held+5 || said.Closed {
				t.Fatalf("%+v, %v, %v", said, ok, err)
			}
			c.harm(t, dir)
			var log bytes.Buffer
			j := openTest(t, Options{Dir: dir, Log: zerolog.New(zerolog.SyncWriter(&log))})
			d := j.Damage()
			if (j.Name() != said.Name) != c.rename || d.Lost < c.lost || (c.lost == 0 && d.Lost > 0) {
				t.Errorf("the name is %q, was %q; %+v", j.Name(), said.Name, d)
			}
			if (log.Len() > 0) != c.rename || (c.lost > 0) != strings.Contains(log.String(), "lost_at_least") {
				t.Errorf("log: %s", log.String())
			}
			a := mustAppend(t, j, sample(1000, event.Deleted))
			if want := int64(held + 6); c.skips != (a.Seq > held+5+integrity.SkipAtLeast) || !c.skips && a.Seq != want {
				t.Errorf("goes on with %d", a.Seq)
			}
			if got := follow(t, j); int64(len(got)) != held+6-d.Lost {
				t.Errorf("%d events, %d lost", len(got), d.Lost)
			}
			name := j.Name()
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j = openTest(t, Options{Dir: dir})
			if d := j.Damage(); j.Name() != name || d.Lost != 0 || d.Err() != nil {
				t.Errorf("opened again: %q, was %q, %+v", j.Name(), name, d)
			}
			if b := mustAppend(t, j, sample(1001, event.Deleted)); b.Seq != a.Seq+1 || len(follow(t, j)) != int(held+7-d.Lost) {
				t.Errorf("%d follows %d", b.Seq, a.Seq)
			}
		})
	}
}

// If the log held only hidden events, no number of an event shows that they are lost.
func TestLostHiddenEvents(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	mustAppend(t, j, sample(1, event.Deleted))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, j.opt)
	name := j.Name()
	for i := range int64(5) {
		r := sample(100+i, event.Created)
		r.Hidden = true
		mustAppend(t, j, r)
	}
	dir := t.TempDir()
	copyFiles(t, j.opt.Dir, dir)
	remove(t, dir, FileName+"-wal")
	var log bytes.Buffer
	k := openTest(t, Options{Dir: dir, Log: zerolog.New(zerolog.SyncWriter(&log))})
	// The sixth began the process.
	if k.Name() == name || !strings.Contains(log.String(), `"lost_commands_at_least":6,`) {
		t.Errorf("%q after %q: %s", k.Name(), name, log.String())
	}
	name = k.Name()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if k = openTest(t, Options{Dir: dir}); k.Name() != name {
		t.Errorf("opened again: %q after %q", k.Name(), name)
	}
	// A cursor need not survive a power cut.
	mustAppend(t, j, sample(2, event.Deleted))
	dir = t.TempDir()
	copyFiles(t, j.opt.Dir, dir)
	if err := j.MoveCursor(t.Context(), "log", 0, 2); err != nil {
		t.Fatal(err)
	}
	newest, err := os.ReadFile(filepath.Join(j.opt.Dir, integrity.NewestName))
	if err != nil {
		t.Fatal(err)
	}
	patch(t, filepath.Join(dir, integrity.NewestName), func([]byte) []byte { return newest })
	if k = openTest(t, Options{Dir: dir}); k.Name() != j.Name() {
		t.Errorf("a lost cursor: %q after %q", k.Name(), j.Name())
	}
}

// The first days of a journal may be in SQLite's log alone. Without that log the database
// is empty, like a new one. If all of it was moved away, a new one is wanted.
func TestLostWhole(t *testing.T) {
	t.Parallel()
	const wal = FileName + "-wal"
	for name, c := range map[string]struct {
		hidden bool
		harm   func(t *testing.T, dir string)
		want   string // in the log; "" nothing is logged
	}{
		"log lost":           {false, func(t *testing.T, dir string) { remove(t, dir, wal) }, `"lost_at_least":3,`},
		"log lost, no event": {true, func(t *testing.T, dir string) { remove(t, dir, wal) }, `"lost_commands_at_least":4,`},
		"log empty":          {false, func(t *testing.T, dir string) { patch(t, filepath.Join(dir, wal), func([]byte) []byte { return nil }) }, `"lost_at_least":3,`},
		"begin of log damaged": {false, func(t *testing.T, dir string) {
			patch(t, filepath.Join(dir, wal), func(b []byte) []byte { b[40] ^= 1; return b })
		}, `"lost_at_least":3,`},
		"all of it, moved away": {false, func(t *testing.T, dir string) { remove(t, dir, wal); remove(t, dir, FileName) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := openTest(t, Options{})
			for i := range int64(3) {
				r := sample(i, event.Created)
				r.Hidden = c.hidden
				mustAppend(t, j, r)
			}
			dir := t.TempDir()
			copyFiles(t, j.opt.Dir, dir)
			c.harm(t, dir)
			var log bytes.Buffer
			k := openTest(t, Options{Dir: dir, Log: zerolog.New(zerolog.SyncWriter(&log))})
			if k.Name() == j.Name() || !strings.Contains(log.String(), c.want) || (log.Len() > 0) != (c.want != "") {
				t.Errorf("%q after %q: %s", k.Name(), j.Name(), log.String())
			}
			skips := c.want != "" && !c.hidden
			if a := mustAppend(t, k, sample(9, event.Deleted)); skips != (a.Seq > 3+integrity.SkipAtLeast) || !skips && a.Seq != 1 {
				t.Errorf("goes on with %d", a.Seq)
			}
			if got := follow(t, k); len(got) != 1 {
				t.Errorf("%d events", len(got))
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// An old copy that replaces the database is noticed. New events get numbers that no
// consumer has seen, so a consumer loses none.
func TestOldCopy(t *testing.T) {
	t.Parallel()
	dir := filled(t, 50)
	old, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	j := openTest(t, Options{Dir: dir})
	fill(t, j, 20, func(i int64) event.Record { return sample(100+i, event.Deleted) })
	name := j.Name()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	patch(t, filepath.Join(dir, FileName), func([]byte) []byte { return old })
	j = openTest(t, Options{Dir: dir})
	if d := j.Damage(); d.Lost != 20 || j.Name() == name {
		t.Errorf("%+v, %q after %q", d, j.Name(), name)
	}
	if a := mustAppend(t, j, sample(200, event.Deleted)); a.Seq <= 70 {
		t.Errorf("goes on with %d", a.Seq)
	}
}
