package cluster

import (
	"path/filepath"
	"testing"
	"time"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/archive"
)

// TestDisputeIsRemembered: a node that finds out that its journal differs still knows it
// after a start, until a majority has the same journal, or it has another one.
func TestDisputeIsRemembered(t *testing.T) {
	t.Parallel()
	n, _ := followingNode(t)
	n.o.Dir, n.o.Size = t.TempDir(), 3
	n.self.Epoch = "e1"
	n.diverge(n.journal.Load(), &dispute{number: 2000, hash: "a", servers: []string{"n2.lost"}})
	want := had{Epoch: "e1", Disputed: 2000}
	if got := n.known(); got != want || !n.self.Undecided {
		t.Fatalf("known is %+v", got)
	}
	if err := writeFile(n.o.dir(), ackedName, n.known()); err != nil {
		t.Fatal(err)
	}
	if got := readHad(n.o.dir(), "e1"); got != want {
		t.Errorf("kept was %+v", got)
	}
	if got := readHad(n.o.dir(), "e2"); got.Disputed != 0 {
		t.Errorf("for another log, kept was %+v", got)
	}
	// The server with the other hash was replaced.
	n.compareChains(t.Context(), n.journal.Load())
	if got := n.known(); got.Disputed != 0 || n.ending() == nil {
		t.Errorf("known after the dispute is %+v", got)
	}
}

// TestDisputedCopy: a copy with other events than this node has applied shows that the log
// was replaced, unless the nodes know that this node's journal differs.
func TestDisputedCopy(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	fill := func(dir string, from int) {
		j, err := journal.Open(ctx, journal.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		(&runner{t: t, j: j}).take(from, from+3)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	n := &Node{o: Options{Dir: t.TempDir(), Node: "n1", Size: 3, Log: testLog(t, "n1")}, ended: make(chan struct{}), peers: newRegistry(time.Now)}
	fill(n.o.Dir, 0)
	donor, file := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	fill(donor, 100)
	if err := archive.Copy(ctx, donor, file); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		epoch    string
		disputed int64
		want     bool
	}{
		"of the same log":              {"e1", 0, true},
		"of another log":               {"e0", 0, false},
		"for a journal that is wrong":  {"e1", 2000, false},
		"for a journal from elsewhere": {"", 0, false},
	} {
		n.self.Epoch, n.self.Disputed = c.epoch, c.disputed
		if got, err := n.contradicts(ctx, file, view{Node: "n2", Epoch: "e1"}); err != nil || got != c.want {
			t.Errorf("a copy %s: %v, %v", name, got, err)
		}
	}
	n.self.Epoch, n.self.Disputed = "e1", 2000
	if err := archive.Adopt(ctx, file, n.o.Dir); err != nil {
		t.Fatal(err)
	}
	if err := n.look(ctx); err != nil || n.self.Disputed != 0 {
		t.Errorf("after the copy: %+v, %v", n.self, err)
	}
}

// TestDisputeIsOver: a node that was one of two that differed is started again, and a
// majority has its journal.
func TestDisputeIsOver(t *testing.T) {
	t.Parallel()
	other := func(hash string) map[string]view {
		return map[string]view{"n2.b": {Node: "n2", Epoch: "e1", Chain: []link{{2000, hash}}}, "n3.c": {Node: "n3", Epoch: "e0", Chain: []link{{2000, "a"}}}}
	}
	for hash, want := range map[string]int{"a": 2, "b": 1} {
		if got := votes("e1", link{2000, "a"}, other(hash)); got != want {
			t.Errorf("%d votes with hash %s, not %d", got, hash, want)
		}
	}
}
