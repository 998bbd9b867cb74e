package journal

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kazoohook/internal/event"
)

func TestFilesAreOwnersOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "data")
	j := openTest(t, Options{Dir: dir})
	mustAppend(t, j, sample(1, event.Edited))
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", st.Mode(), err)
	}
	for _, name := range []string{fileName, fileName + "-wal", fileName + "-shm", "lock"} {
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
	out, err := exec.CommandContext(t.Context(), "flock", "-n", filepath.Join(j.opt.Dir, "lock"), "true").CombinedOutput() //nolint:gosec // our own directory
	if err == nil {
		t.Errorf("another process could lock the directory: %s", out)
	}
}

// A child that is just being started has a copy of the lock's descriptor.
func TestLockEndsWithRelease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := unix.Dup(int(l.f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(inherited) })
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
	if l, err = lockDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := l.release(); err != nil {
		t.Error(err)
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
	recs, err := j.Query(t.Context(), event.Query{Objects: []string{sample(35, event.Edited).ObjectID}})
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
	if err := os.Mkdir(filepath.Join(dir, fileName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir}); err == nil {
		t.Error("opened a directory as a file")
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lock"), 0o700); err != nil {
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
	c, err := openConn(j.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.script(t.Context(), "PRAGMA user_version=99"), c.close()); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), j.opt)
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "its schema is 99") {
		t.Errorf("got %v", err)
	}
}

func TestMigrationFails(t *testing.T) {
	t.Parallel()
	c, err := openConn(filepath.Join(t.TempDir(), fileName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.close() })
	if err := c.script(t.Context(), "CREATE TABLE names (x)"); err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), c); err == nil || !strings.Contains(err.Error(), "migrate from schema 0") {
		t.Errorf("got %v", err)
	}
	var tables int64
	if _, err := c.ints(t.Context(), "SELECT count(*) FROM sqlite_schema", nil, &tables); err != nil || tables != 1 {
		t.Errorf("%d tables left by half a migration, %v", tables, err)
	}
}

// After a crash the newest events are found although no table knows them.
func TestCrashBeforeMerge(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Now: c.now})
	rec := func(i int64) event.Record { r := content(i); r.ReceivedAt = c.now(); return r }
	fill(t, j, 20, rec)
	d := sample(1, event.Deleted)
	mustAppend(t, j, d)
	dir := t.TempDir()
	copyFiles(t, j.opt.Dir, dir)
	j = openTest(t, Options{Dir: dir, Now: c.now})
	for _, r := range []event.Record{rec(3), rec(20), d} {
		if a := mustAppend(t, j, r); !a.Duplicate {
			t.Errorf("%s is new after a crash", r.Event)
		}
	}
	if recs, err := j.Query(t.Context(), event.Query{Events: []string{"user.*"}}); err != nil || len(recs) != 1 {
		t.Errorf("query: %d, %v", len(recs), err)
	}
	settle(t, j)
	if recs, err := j.Query(t.Context(), event.Query{Events: []string{"channel.*"}}); err != nil || len(recs) != 20 {
		t.Errorf("query: %d, %v", len(recs), err)
	}
}

func TestUnackedList(t *testing.T) {
	t.Parallel()
	c := newClock()
	u := newUnacked(c.now)
	key := func(i int) deliveryKey { return deliveryKey{key: event.Key{byte(i), byte(i >> 8), byte(i >> 16)}} }
	for i := range maxListed {
		u.add(key(i), int64(i)+10, false)
	}
	if seqs, from := parseUnacked(u.list(nil)); len(seqs) != maxListed || from != 0 {
		t.Errorf("%d listed, from %d", len(seqs), from)
	}
	if seqs, from := parseUnacked(u.list([]opened{{seq: 5}})); len(seqs) != 0 || from != 5 {
		t.Errorf("%d listed, from %d", len(seqs), from)
	}
	if seqs, from := parseUnacked([]byte{2, 0x80}); len(seqs) != 1 || from != 0 {
		t.Errorf("broken list: %v, %d", seqs, from)
	}
	for i := range maxUnacked + 10 {
		u.add(key(i), int64(i), false)
	}
	if u.count > maxUnacked {
		t.Errorf("%d are remembered", u.count)
	}
	c.add(time.Hour)
	u.add(key(1<<18), 1, false)
	u.sweep()
	if u.count != 1 {
		t.Errorf("%d are remembered after an hour", u.count)
	}
	u.done(key(7), 7, true) // unknown by now
	for i := range int64(3) {
		u.add(key(9), i, true)
	}
	for _, i := range []int64{1, 2, 0} { // inner, first, last
		u.done(key(9), i, true)
	}
	if len(u.byKey) != 1 || u.count != 1 {
		t.Errorf("%d keys, %d entries", len(u.byKey), u.count)
	}
}

// So many unanswered at a crash that only the first is listed.
func TestManyUnackedAtCrash(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Now: c.now})
	const n = maxListed + 50
	rec := func(i int64) event.Record { r := sample(i, event.Edited); r.ReceivedAt = c.now(); return r }
	for i := range int64(n) {
		mustAppend(t, j, rec(i))
	}
	dir := t.TempDir()
	copyFiles(t, j.opt.Dir, dir)
	j = openTest(t, Options{Dir: dir, Now: c.now})
	for i := range int64(n) {
		if a := mustAppend(t, j, rec(i)); !a.Duplicate {
			t.Fatalf("delivery %d is new after a crash", i)
		}
	}
}
