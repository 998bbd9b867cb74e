package journal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"kazoohook/internal/journal/database"
)

// A journal knows the hash of the last entry that it applied, also after a restart, and
// asks the log to go on behind that entry. If an earlier version has written the journal,
// it doesn't know the hash, and its digest is the same.
func TestEntry(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	for i := range int64(20) {
		mustAppend(t, c.nodes[0].Journal, content(i))
	}
	c.settle()
	must(t, c.nodes[0].Close())
	known := c.nodes[0].Cluster()
	if want := sha256.Sum256(c.log.entries[known.Position-1]); known.Entry != want {
		t.Errorf("the hash of entry %d is %x, not %x", known.Position, known.Entry, want)
	}
	asked := &asked{replica: c.log}
	o := c.nodes[0].opt
	o.Cluster.Replica = asked
	j := openTest(t, o)
	waitFor(t, "a question", func() bool { return asked.first.Load() != nil })
	if got, want := *asked.first.Load(), fmt.Sprintf("%d %x", known.Position+1, known.Entry); got != want {
		t.Errorf("asked for %s, not %s", got, want)
	}
	must(t, j.Close())

	read := func() (ClusterState, [32]byte, [32]byte) {
		old, err := OpenReadOnly(t.Context(), o)
		must(t, err)
		_, chain := old.Chain()
		digest, err := old.Digest(t.Context())
		must(t, errors.Join(err, old.Close()))
		return old.Cluster(), chain, digest
	}
	with, chain, digest := read()
	db, err := database.Open(o.Dir+"/"+FileName, "")
	must(t, err)
	must(t, errors.Join(db.Exec("UPDATE cluster SET chain = substr(chain, 1, 32)"), db.Close()))
	without, same, alike := read()
	if with.Entry == [32]byte{} || without.Entry != [32]byte{} || without.Position != with.Position {
		t.Errorf("written by an earlier version: %+v, before %+v", without, with)
	}
	if same != chain || alike != digest {
		t.Errorf("the chain was %x and is %x, the digest was %x and is %x", chain, same, digest, alike)
	}
}

// asked notes the first question to a log.
type asked struct {
	*replica
	first atomic.Pointer[string]
}

func (a *asked) Read(ctx context.Context, from uint64, before [32]byte, f func(uint64, []byte) error) error {
	question := fmt.Sprintf("%d %x", from, before)
	a.first.CompareAndSwap(nil, &question)
	return a.replica.Read(ctx, from, before, f)
}
