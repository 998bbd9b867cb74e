package archive

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/integrity"
)

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func slurp(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// A backup holds everything that was acknowledged before it began, whatever state the
// journal is in.
func TestBackup(t *testing.T) {
	t.Parallel()
	const n = 40
	for name, make := range map[string]func(t *testing.T) (dir string, events int64){
		"stopped": func(t *testing.T) (string, int64) { return filled(t, n), n },
		"killed":  func(t *testing.T) (string, int64) { return crashed(t, n), n + 5 },
		"running": func(t *testing.T) (string, int64) {
			dir := filled(t, n)
			mustAppend(t, openTest(t, options(dir)), sample(n+1))
			return dir, n + 1
		},
		"events come": func(t *testing.T) (string, int64) {
			dir := filled(t, n)
			j := openTest(t, options(dir))
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := int64(n + 1); ctx.Err() == nil; i++ {
					if _, err := j.Append(context.WithoutCancel(ctx), sample(i)); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			t.Cleanup(func() { stop(); <-done })
			if err := j.Wait(ctx, n); err != nil {
				t.Fatal(err)
			}
			return dir, n
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, events := make(t)
			put(t, dir, "hook_secret", "the-secret\n")
			put(t, dir, "certificates/a.pem", "a certificate")
			put(t, dir, "large", strings.Repeat("x", largest+1))
			put(t, dir, "old.db", "SQLite format 3\x00 of something else")
			file := filepath.Join(t.TempDir(), "backup")
			b, err := MakeBackup(t.Context(), dir, file)
			if err != nil {
				t.Fatal(err)
			}
			if b.Events < events || b.Last != b.Events || len(b.Journal) != 8 || b.Made.IsZero() || !slices.Equal(b.LeftOut, []string{"large", "old.db"}) {
				t.Errorf("%+v", b)
			}
			if len(b.Files) != 2 || b.Files[0].Name != "certificates/a.pem" || string(b.Files[1].Content) != "the-secret\n" {
				t.Errorf("%+v", b.Files)
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if left, err := filepath.Glob(file + "?*"); err != nil || len(left) > 0 {
				t.Errorf("left over: %v, %v", left, err)
			}
			before := slurp(t, filepath.Dir(file), "backup")
			if _, err := MakeBackup(t.Context(), dir, file); err == nil || !strings.Contains(err.Error(), "exists already") || slurp(t, filepath.Dir(file), "backup") != before {
				t.Errorf("a second one: %v", err)
			}
		})
	}
}

// If a backup can't be complete, no file is made.
func TestBackupOfDamage(t *testing.T) {
	t.Parallel()
	dir := filled(t, 300)
	path := filepath.Join(dir, journal.FileName)
	leaves := pages(t, path, "events")
	harm(t, path, func(b []byte) { clear(b) }, leaves[len(leaves)/2])
	file := filepath.Join(t.TempDir(), "backup")
	if _, err := MakeBackup(t.Context(), dir, file); !errors.Is(err, journal.ErrCorrupt) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if _, err := MakeBackup(cancelled(t), filled(t, 3), file); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// A restored journal holds what was backed up. It has a new name, and goes on with
// numbers that were never given. Nothing that was in the directory is lost.
func TestRestore(t *testing.T) {
	t.Parallel()
	const n = 40
	for name, c := range map[string]struct {
		there   func(t *testing.T, dir, old string) // what is in the directory
		replace bool
		refused string // expected in ErrOccupied; "": none
		after   int64  // numbers up to this were given
		aside   string // a file that must be moved aside
	}{
		"new machine":       {func(*testing.T, string, string) {}, false, "", n, ""},
		"same secret there": {func(t *testing.T, dir, _ string) { put(t, dir, "hook_secret", "the-secret") }, false, "", n, ""},
		"other secret": {func(t *testing.T, dir, _ string) { put(t, dir, "hook_secret", "another") }, false,
			"another hook_secret", n, ""},
		"other secret, replaced": {func(t *testing.T, dir, _ string) { put(t, dir, "hook_secret", "another") }, true, "", n, "hook_secret"},
		"newest is left": {func(t *testing.T, dir, old string) {
			put(t, dir, integrity.NewestName, slurp(t, old, integrity.NewestName))
		}, false, "", n + 20, integrity.NewestName},
		"the journal is there": {func(t *testing.T, dir, old string) { copyDir(t, old, dir) }, false, "a journal of 60 events", 0, ""},
		"replaced":             {func(t *testing.T, dir, old string) { copyDir(t, old, dir) }, true, "", n + 20, journal.FileName},
		"newest lost":          {func(t *testing.T, dir, old string) { copyDir(t, old, dir); remove(t, dir, integrity.NewestName) }, true, "", n + 20, journal.FileName},
		"damaged":              {func(t *testing.T, dir, _ string) { put(t, dir, journal.FileName, strings.Repeat("x", 5000)) }, false, "can't be read", 0, ""},
		"damaged, replaced":    {func(t *testing.T, dir, _ string) { put(t, dir, journal.FileName, strings.Repeat("x", 5000)) }, true, "", n, journal.FileName},
		"begun by mistake": {func(t *testing.T, dir, _ string) {
			if err := openTest(t, options(dir)).Close(); err != nil {
				t.Fatal(err)
			}
		}, false, "", n, journal.FileName},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := filled(t, n)
			put(t, old, "hook_secret", "the-secret")
			file := filepath.Join(t.TempDir(), "backup")
			b, err := MakeBackup(t.Context(), old, file)
			if err != nil {
				t.Fatal(err)
			}
			j := openTest(t, options(old))
			fill(t, j, 101, 120)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			c.there(t, dir, old)
			before := slurp(t, dir, journal.FileName)
			r, err := Restore(t.Context(), file, dir, c.replace)
			if c.refused != "" {
				if !errors.Is(err, ErrOccupied) || !strings.Contains(err.Error(), c.refused) || slurp(t, dir, journal.FileName) != before {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Name == b.Journal || r.Next <= c.after+integrity.SkipAtLeast || r.Events != n || !r.Made.Equal(b.Made) || (r.Aside != "") != (c.aside != "") {
				t.Errorf("%+v", r)
			}
			if c.aside != "" && slurp(t, r.Aside, c.aside) == "" {
				t.Errorf("%s is lost", c.aside)
			}
			if got := slurp(t, dir, "hook_secret"); got != "the-secret" {
				t.Errorf("secret %q", got)
			}
			var log bytes.Buffer
			j = openTest(t, journal.Options{Dir: dir, Log: zerolog.New(zerolog.SyncWriter(&log))})
			if j.Name() != r.Name || log.Len() > 0 || j.Damage().Lost > 0 {
				t.Errorf("%q instead of %q, %+v: %s", j.Name(), r.Name, j.Damage(), log.String())
			}
			if a := mustAppend(t, j, sample(1000)); a.Seq != r.Next || a.Duplicate {
				t.Errorf("%+v instead of %d", a, r.Next)
			}
			if a := mustAppend(t, j, sample(n-1)); !a.Duplicate {
				t.Error("what the backup knew is forgotten")
			}
			if got := follow(t, j); len(got) != n+1 {
				t.Errorf("%d events", len(got))
			}
			if recs, _, err := j.Query(t.Context(), event.Query{Limit: n + 1}); len(recs) != n+1 { // in one go, whatever the gap
				t.Errorf("%d events in a page, %v", len(recs), err)
			}
			if value, err := j.State(t.Context(), "k"); err != nil || value != "v" {
				t.Errorf("state %q, %v", value, err)
			}
		})
	}
}

// A file that is no backup is refused before anything is changed. A plain copy of a
// journal can be restored.
func TestRestoreOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file func(t *testing.T) string
		want string
	}{
		"nothing": {func(t *testing.T) string { return filepath.Join(t.TempDir(), "none") }, "no such file"},
		"text": {func(t *testing.T) string {
			d := t.TempDir()
			put(t, d, "x", strings.Repeat("text ", 999))
			return filepath.Join(d, "x")
		}, "not a database"},
		"empty": {func(t *testing.T) string { d := t.TempDir(); put(t, d, "x", ""); return filepath.Join(d, "x") }, "holds no journal"},
		"half": {func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "x")
			if _, err := MakeBackup(t.Context(), filled(t, 300), file); err != nil {
				t.Fatal(err)
			}
			patch(t, file, func(b []byte) []byte { return b[:len(b)/2] })
			return file
		}, "journal damaged"},
		"one bit": {func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "x")
			if _, err := MakeBackup(t.Context(), filled(t, 30), file); err != nil {
				t.Fatal(err)
			}
			patch(t, file, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("&type=user"), []byte("&type=uses")) })
			return file
		}, "journal damaged"},
		"copy of the file":           {func(t *testing.T) string { return filepath.Join(filled(t, 30), journal.FileName) }, ""},
		"copy of a killed directory": {func(t *testing.T) string { return filepath.Join(crashed(t, 25), journal.FileName) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			r, err := Restore(t.Context(), c.file(t), dir, false)
			if c.want == "" {
				if err != nil || r.Events != 30 || !r.Made.IsZero() {
					t.Errorf("%+v, %v", r, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "lock" {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
	dir := t.TempDir()
	mustAppend(t, openTest(t, options(dir)), sample(1))
	if _, err := Restore(t.Context(), filepath.Join(dir, journal.FileName), dir, true); !errors.Is(err, journal.ErrInUse) {
		t.Errorf("in use: %v", err)
	}
}

// A restored journal follows no log, and a backup doesn't include the node's identity.
func TestBackupOfANode(t *testing.T) {
	t.Parallel()
	from := t.TempDir()
	j := openTest(t, options(from))
	fill(t, j, 1, 5)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Begin(t.Context(), options(from), "e1", "", false); err != nil {
		t.Fatal(err)
	}
	put(t, from, "cluster/node.json", "{}")
	file := filepath.Join(t.TempDir(), "backup")
	b, err := MakeBackup(t.Context(), from, file)
	if err != nil || len(b.Files) > 0 || len(b.LeftOut) > 0 {
		t.Fatalf("%+v, %v", b, err)
	}
	dir := t.TempDir()
	if _, err := Restore(t.Context(), file, dir, false); err != nil {
		t.Fatal(err)
	}
	j, err = journal.OpenReadOnly(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	if s := j.Cluster(); s.Epoch != "" || s.Base == 0 {
		t.Errorf("the journal follows %+v", s)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
