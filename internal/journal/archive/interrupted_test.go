package archive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/integrity"
)

// occupied returns a backup with a secret, and a directory that holds another journal
// of 60 events and another secret.
func occupied(t *testing.T) (file, dir string) {
	t.Helper()
	old := filled(t, 40)
	put(t, old, "hook_secret", "the-secret")
	file = filepath.Join(t.TempDir(), "backup")
	if _, err := MakeBackup(t.Context(), old, file); err != nil {
		t.Fatal(err)
	}
	dir = filled(t, 60)
	put(t, dir, "hook_secret", "another")
	return file, dir
}

// unchanged checks that a directory and its journal are as before.
func unchanged(t *testing.T, dir, before, after string) {
	t.Helper()
	if after != before || slurp(t, dir, "hook_secret") != "another" || slurp(t, dir, integrity.NewestName) == "" {
		t.Error("the directory was changed")
	}
	for _, pattern := range []string{replacedPrefix + "*", integrity.UnfinishedName, journal.FileName + ".restore", integrity.NewestName + ".*"} {
		if left, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(left) > 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	}
}

// If a small file can't be written, nothing has been moved aside.
func TestRestoreWithoutRoomForAFile(t *testing.T) {
	t.Parallel()
	file, dir := occupied(t)
	put(t, dir, "hook_secret.partial/in/the/way", "x")
	before := slurp(t, dir, journal.FileName)
	if _, err := Restore(t.Context(), file, dir, true); err == nil {
		t.Error("restored without the secret")
	}
	unchanged(t, dir, before, slurp(t, dir, journal.FileName))
}

// If a file can't be moved, those that were moved are moved back.
func TestRestoreIsTakenBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		there   []string
		prepare func(dir string)
	}{
		"while files are moved aside": {[]string{journal.FileName, integrity.NewestName, "hook_secret", "missing"}, func(string) {}},
		"while files get their names": {[]string{integrity.NewestName, "hook_secret"}, func(dir string) {
			remove(t, dir, journal.FileName)
			put(t, dir, journal.FileName+"/in/the/way", "x")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, dir := occupied(t)
			c.prepare(dir)
			before, _ := os.ReadFile(filepath.Join(dir, journal.FileName)) // a directory has no content
			r := Restored{Name: "restored", Next: 100, Backup: Backup{Files: []File{
				{Name: "hook_secret", Mode: 0o600, Content: []byte("the-secret")}, {Name: "deep/hook_key", Mode: 0o600, Content: []byte("a key")},
			}}}
			copied := filepath.Join(dir, journal.FileName+".restore")
			put(t, dir, filepath.Base(copied), "the restored journal")
			if err := r.place(dir, copied, c.there, 100); err == nil || strings.Contains(err.Error(), "what was there is in") {
				t.Errorf("%v", err)
			}
			remove(t, dir, filepath.Base(copied)) // Restore does this
			after, _ := os.ReadFile(filepath.Join(dir, journal.FileName))
			unchanged(t, dir, string(before), string(after))
			if exists(filepath.Join(dir, "deep", "hook_key")) {
				t.Error("a new file is left")
			}
		})
	}
}

// After an interrupted restore nothing opens the directory, until the restore is
// repeated. Numbers that were given are not given again, and what was there is named.
func TestRestoreInterrupted(t *testing.T) {
	t.Parallel()
	for name, moved := range map[string][]string{
		"all is moved aside":   {journal.FileName, integrity.NewestName, "hook_secret"},
		"the journal is moved": {journal.FileName},
		"nothing is moved yet": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, dir := occupied(t)
			aside := filepath.Join(dir, replacedPrefix+"then")
			for _, f := range moved {
				put(t, aside, f, slurp(t, dir, f))
				remove(t, dir, f)
			}
			put(t, dir, integrity.UnfinishedName, filepath.Base(aside))
			_, err := journal.Open(t.Context(), options(dir))
			if err == nil || !strings.Contains(err.Error(), "kazoohook restore --replace") || !strings.Contains(err.Error(), aside) {
				t.Errorf("opened: %v", err)
			}
			if _, err := Restore(t.Context(), filepath.Join(dir, "none"), dir, true); err == nil || integrity.Unfinished(dir) == nil {
				t.Errorf("after a restore of nothing: %v", err)
			}
			r, err := Restore(t.Context(), file, dir, true)
			if err != nil || r.Next <= 60 || r.Aside == "" {
				t.Fatalf("%+v, %v", r, err)
			}
			j := openTest(t, options(dir))
			mustAppend(t, j, sample(1000))
			if got := follow(t, j); len(got) != 41 || slurp(t, dir, "hook_secret") != "the-secret" {
				t.Errorf("%d events", len(got))
			}
		})
	}
}
