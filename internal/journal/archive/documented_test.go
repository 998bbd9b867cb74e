package archive

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/requests"
)

// documented returns the files of a data directory that the documentation names.
func documented(t *testing.T) (names []string) {
	t.Helper()
	text := slurp(t, "../../../docs", "operations.md")
	_, text, found := strings.Cut(text, "The data directory holds everything: ")
	text, _, ends := strings.Cut(text, "\n")
	if !found || !ends {
		t.Fatal("the documentation doesn't list the files")
	}
	for _, m := range regexp.MustCompile("`([a-z_.-]+)`").FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

// TestBackupOfDocumentedFiles: of the files that the documentation lists, a backup holds
// those that a restore needs beside the database.
func TestBackupOfDocumentedFiles(t *testing.T) {
	t.Parallel()
	dir := filled(t, 20)
	names := documented(t)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			t.Errorf("%s is not documented", e.Name())
		}
	}
	put(t, dir, requests.FileName+requests.Unfinished, "x")
	for _, name := range names {
		if !exists(filepath.Join(dir, name)) && !slices.Contains(database.Beside(), strings.TrimPrefix(name, journal.FileName)) {
			put(t, dir, name, "x")
		}
	}
	file := filepath.Join(t.TempDir(), "backup")
	b, err := MakeBackup(t.Context(), dir, file)
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	for _, f := range b.Files {
		held = append(held, f.Name)
	}
	if !slices.Equal(held, []string{"hook_key", "hook_secret"}) || len(b.LeftOut) > 0 {
		t.Errorf("it holds %v, and leaves out %v", held, b.LeftOut)
	}
	// The details of other requests don't prevent a restore.
	to := t.TempDir()
	put(t, to, requests.FileName, "other")
	if _, err := Restore(t.Context(), file, to, false); err != nil {
		t.Error(err)
	}
}

// TestRestoreForgetsRequests: backups of earlier versions may hold the details of
// requests. They are left out.
func TestRestoreForgetsRequests(t *testing.T) {
	t.Parallel()
	dir := filled(t, 20)
	file := filepath.Join(t.TempDir(), "backup")
	err := copyDatabase(t.Context(), filepath.Join(dir, journal.FileName), file)
	if err == nil {
		err = changeCopy(file, func(c *database.Conn) error {
			return attach(c, []File{{Name: "hook_secret", Mode: 0o600, Content: []byte("x")}, {Name: requests.FileName, Mode: 0o600, Content: []byte("x")}})
		})
	}
	to := t.TempDir()
	put(t, to, requests.FileName, "other")
	r, rerr := Restore(t.Context(), file, to, false)
	if err := errors.Join(err, rerr); err != nil || len(r.Files) != 1 || slurp(t, to, requests.FileName) != "other" {
		t.Errorf("%+v, %v", r.Files, err)
	}
}
