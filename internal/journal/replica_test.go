package journal

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
)

// replica is a log in memory that several journals share.
type replica struct {
	mu      sync.Mutex
	entries [][]byte
	changed chan struct{}
	// fault, if set, decides at each try how often the entry is appended and which
	// error is returned.
	fault func(id string, data []byte) (times int, err error)
	late  [][]byte // is appended after the next entry
	held  []byte   // becomes the first part of the next entry
}

func newReplica() *replica { return &replica{changed: make(chan struct{})} }

func (r *replica) Publish(ctx context.Context, id string, data []byte) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	times, err := 1, error(nil)
	if r.fault != nil {
		times, err = r.fault(id, data)
	}
	if times > 0 && r.held != nil && isApart(data) {
		r.entries, r.held = append(r.entries, r.held), nil
	}
	for range times {
		r.entries = append(r.entries, slices.Concat([]byte{}, r.held, data))
	}
	position := uint64(len(r.entries))
	if times > 0 {
		r.entries, r.late, r.held = append(r.entries, r.late...), nil, nil
	}
	close(r.changed)
	r.changed = make(chan struct{})
	return position, err
}

// isApart reports whether an entry has a command that needs an entry of its own.
func isApart(data []byte) bool {
	c, err := newCodec()
	if err != nil {
		panic(err)
	}
	return slices.ContainsFunc(c.decode(data), func(k *work) bool { _, alone := k.cmd.(apart); return alone })
}

func (r *replica) Read(ctx context.Context, from uint64, _ [32]byte, f func(uint64, []byte) error) error {
	for {
		r.mu.Lock()
		var data []byte
		there := from <= uint64(len(r.entries))
		if there {
			data = bytes.Clone(r.entries[from-1])
		}
		changed := r.changed
		r.mu.Unlock()
		if there {
			if err := f(from, data); err != nil {
				return err
			}
			from++
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// last is the position of the newest entry.
func (r *replica) last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint64(len(r.entries))
}

func (r *replica) setFault(f func(id string, data []byte) (int, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

// cluster is several journals that apply one log.
type cluster struct {
	t     testing.TB
	c     *clock
	log   *replica
	nodes []*node
	epoch string
	term  uint64
}

// node is one journal of a cluster.
type node struct {
	*Journal
	opt Options
}

// newCluster begins a cluster of size nodes. The first one makes the log and leads;
// the others begin with a copy of its journal.
func newCluster(t testing.TB, size int, change func(i int, o *Options)) *cluster {
	t.Helper()
	c := &cluster{t: t, c: newClock(), log: newReplica(), epoch: "e1"}
	first := ""
	for i := range size {
		o := Options{Dir: memoryDir(t), Now: c.c.now, clusterSeams: clusterSeams{grace: time.Minute}}
		if change != nil {
			change(i, &o)
		}
		if first == "" {
			first = o.Dir
			if _, err := Begin(t.Context(), o, c.epoch, "", false); err != nil {
				t.Fatal(err)
			}
		} else {
			copyJournal(t, first, o.Dir)
		}
		o.Cluster = &Cluster{Node: fmt.Sprintf("n%d", i), Replica: c.log, Epoch: c.epoch}
		c.nodes = append(c.nodes, &node{opt: o})
	}
	for i := range size {
		c.open(i)
	}
	c.lead(0)
	return c
}

// copyJournal copies a journal that nobody has open.
func copyJournal(t testing.TB, from, to string) {
	t.Helper()
	for _, name := range []string{FileName, FileName + "-wal"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			_ = os.Remove(filepath.Join(to, name))
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600) //nolint:gosec // directories of the test
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Remove(filepath.Join(to, FileName+"-shm"))
}

func (c *cluster) open(i int) {
	c.t.Helper()
	n := c.nodes[i]
	j, err := Open(c.t.Context(), n.opt)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = j.Close() })
	n.Journal = j
	// A process learns the time from a tick only after its own opened command.
	waitFor(c.t, "the command that begins a process", func() bool {
		j.proposer.mu.Lock()
		defer j.proposer.mu.Unlock()
		return j.proposer.opened
	})
}

func (c *cluster) restart(i int) {
	c.t.Helper()
	if err := c.nodes[i].Close(); err != nil {
		c.t.Fatal(err)
	}
	c.open(i)
}

// restartAll stops all nodes, then starts all.
func (c *cluster) restartAll() {
	c.t.Helper()
	for _, n := range c.nodes {
		must(c.t, n.Close())
	}
	for i := range c.nodes {
		c.open(i)
	}
}

// lead elects a node.
func (c *cluster) lead(i int) {
	c.t.Helper()
	c.term++
	if err := c.nodes[i].Lead(ctxOf(c.t), c.term); err != nil {
		c.t.Fatal(err)
	}
}

// tick advances the nodes' clock, and the cluster's by a tick from node i.
func (c *cluster) tick(i int, d time.Duration) {
	c.t.Helper()
	c.c.add(d)
	if err := c.nodes[i].Tick(ctxOf(c.t), c.term, d); err != nil {
		c.t.Fatal(err)
	}
}

// settle waits until all nodes have applied the whole log.
func (c *cluster) settle() {
	c.t.Helper()
	for i, n := range c.nodes {
		ctx, cancel := context.WithTimeout(ctxOf(c.t), 3*time.Minute)
		err := n.WaitApplied(ctx, c.log.last())
		cancel()
		if err != nil {
			c.t.Fatalf("node %d has applied %d of %d: %v", i, n.Cluster().Position, c.log.last(), err)
		}
	}
}

// alike fails unless all journals hold the same.
func (c *cluster) alike() {
	c.t.Helper()
	for {
		last := c.log.last()
		c.settle()
		var sums [][32]byte
		for _, n := range c.nodes {
			sum, err := n.Digest(ctxOf(c.t))
			if err != nil {
				c.t.Fatal(err)
			}
			sums = append(sums, sum)
		}
		if c.log.last() != last { // outcomes of answers came meanwhile
			continue
		}
		for i, sum := range sums {
			if sum != sums[0] {
				c.t.Fatalf("nodes 0 and %d differ: %s", i, cmp.Diff(dump(c.t, c.nodes[0].Journal), dump(c.t, c.nodes[i].Journal)))
			}
		}
		return
	}
}

// dump returns all rows of all tables.
func dump(t testing.TB, j *Journal) (lines []string) {
	t.Helper()
	must(t, j.readLog(ctxOf(t), func(c *conn) error {
		var names []string
		err := c.Rows(ctxOf(t), "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name", nil, func(v database.Row) error {
			names = append(names, v.Text(0))
			return nil
		})
		for _, name := range names {
			err = errors.Join(err, c.Once(ctxOf(t), "SELECT * FROM "+name, nil, func(v database.Row) error {
				lines = append(lines, fmt.Sprintf("%s %v", name, []driver.Value(v)))
				return nil
			}))
		}
		return err
	}))
	return lines
}

func TestClusterAppliesAlike(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	for i := range int64(30) {
		r := sample(i%5, []event.Action{event.Created, event.Edited, event.Deleted}[i%3])
		r.ReceivedAt = c.c.now()
		n := c.nodes[i%3]
		a, err := n.Append(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		n.Acknowledged(r, a, i%2 == 0)
		if i%4 == 0 {
			c.tick(0, time.Second)
		}
	}
	c.alike()
	if s := c.nodes[2].Cluster(); s.Leader != "n0" || s.Term != 1 || s.Position != c.log.last() || s.Fold != Fold {
		t.Errorf("%+v", s)
	}
	for i := range c.nodes {
		c.restart(i)
	}
	c.alike()
}

// An edit whose outcome is unknown absorbs no identical edit, however old it is: the
// outcome may be waiting for a quorum. An edit that was refused does.
func TestClusterDoublesRatherThanLoses(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	r := sample(1, event.Edited)
	var last event.Appended
	for i, want := range []int{1, 2, 3, 3} { // events after each
		n := c.nodes[i%3]
		if i == 3 {
			c.nodes[2].Refused(r, last)
			c.nodes[2].proposer.flushOutcomes(t.Context())
		}
		var err error
		if last, err = n.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		c.tick(0, 3*time.Second)
		c.settle()
		if page, err := n.Read(t.Context(), 0, 10); err != nil || len(page) != want {
			t.Fatalf("%d events after edit %d, want %d: %v", len(page), i+1, want, err)
		}
	}
	c.alike()
}
