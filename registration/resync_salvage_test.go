package registration

import (
	"path/filepath"
	"testing"

	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/archive"
	"kazoohook/internal/journal/journaltest"
)

// After a salvage that lost objects, a comparison reports none of them as created, in no
// account. Afterwards creations are reported again. (An account whose creation is known
// has no baseline otherwise.)
func TestResyncAfterSalvage(t *testing.T) {
	t.Parallel()
	c := newComparison(t, Spec{"object", "user", "all"}, Spec{"object", "account", "all"})
	c.opts.IncludeSubaccounts = true
	dir := journaltest.MemoryDir(t)
	c.use(t, dir)
	c.seed(t, "acme", 300)
	c.mustPass(t)
	branch := c.branch(t) // its creation is known
	for range 200 {
		c.create(t, fakekazoo.User{AccountID: branch})
	}
	for range 3 {
		c.mustPass(t)
	}
	if err := c.j.Close(); err != nil {
		t.Fatal(err)
	}
	clearLeaves(t, filepath.Join(dir, journal.FileName), "objects", func(leaves []int64) []int64 { return leaves[1 : len(leaves)-1] })
	to := journaltest.MemoryDir(t)
	s, err := archive.Salvage(t.Context(), dir, filepath.Join(to, journal.FileName))
	if err != nil || len(s.Partly) != 1 || s.Partly[0] != "objects" {
		t.Fatalf("%+v, %v", s, err)
	}
	c.use(t, to)
	if r := c.mustPass(t); len(r.Created) > 0 || !r.Baseline {
		t.Errorf("%d created, baseline %v", len(r.Created), r.Baseline)
	}
	c.create(t, fakekazoo.User{AccountID: branch})
	if r := c.mustPass(t); len(r.Created) != 1 || r.Baseline {
		t.Errorf("then %d created, baseline %v", len(r.Created), r.Baseline)
	}
}
