package registration

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/journaltest"
)

// A damaged page of what is known of objects costs a comparison only the objects on it.
func TestResyncWithDamagedPage(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"})
	c.opts.IncludeSubaccounts = true
	dir := journaltest.MemoryDir(t)
	c.use(t, dir)
	c.seed(t, "acme", 1500)
	branch := c.branch(t)
	ids := []string{c.create(t, fakekazoo.User{AccountID: branch}), c.create(t, fakekazoo.User{AccountID: branch})}
	c.mustPass(t)
	if err := c.j.Close(); err != nil {
		t.Fatal(err)
	}
	clearLeaves(t, filepath.Join(dir, journal.FileName), "objects", func(leaves []int64) []int64 { return leaves[len(leaves)/2:][:1] })
	c.use(t, dir)
	c.deleteAll(t, ids[:1])
	found := 0
	for range 2 {
		r := c.mustPass(t)
		if len(r.Created) > 0 {
			t.Errorf("%d created", len(r.Created))
		}
		found += len(r.Deleted)
	}
	if err := c.j.Trouble(); found != 1 || !errors.Is(err, journal.ErrCorrupt) {
		t.Errorf("%d deletions found, %v", found, err)
	}
}

// use goes on with the journal in another directory.
func (c *comparison) use(t *testing.T, dir string) {
	t.Helper()
	c.j = openJournal(t, dir, c.clock.now)
	c.store = c.j
}

// clearLeaves overwrites some of a table's leaf pages with zeros.
func clearLeaves(t *testing.T, path, table string, which func(leaves []int64) []int64) {
	t.Helper()
	db, err := database.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	var leaves []int64
	err = db.Once(t.Context(), "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno", []any{table}, func(v database.Row) error {
		leaves = append(leaves, v.Int(0))
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil || len(leaves) < 4 {
		t.Fatalf("%d pages, %v", len(leaves), err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const pageSize = 4096
	for _, p := range which(leaves) {
		clear(b[(p-1)*pageSize : p*pageSize])
	}
	if err := os.WriteFile(path, b, 0o600); err != nil { //nolint:gosec // the test's own
		t.Fatal(err)
	}
}
