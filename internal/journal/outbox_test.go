package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// gated is a log whose publishers wait while the gate is closed.
type gated struct {
	*replica
	gate chan struct{}
	in   atomic.Int32 // entries that came to the gate
	held atomic.Int32 // the commands in those entries
}

func (g *gated) Publish(ctx context.Context, id string, data []byte) (uint64, error) {
	c, err := newCodec()
	if err != nil {
		return 0, err
	}
	g.held.Add(int32(len(c.decode(data))))
	g.in.Add(1)
	select {
	case <-g.gate:
		return g.replica.Publish(ctx, id, data)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// gate puts a closed gate in front of a node's log.
func gate(n *node) *gated {
	g := &gated{replica: n.proposer.c.Replica.(*replica), gate: make(chan struct{})}
	n.proposer.c.Replica = g
	return g
}

// waits is how many requests are in a node's outbox.
func waits(n *node) int {
	o := &n.proposer.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.list)
}

// Requests that wait at the same moment go into one entry. Each gets its own event,
// number and answer, and all nodes hold the same.
func TestRequestsGoTogether(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	n := c.nodes[1]
	g := gate(n)
	before := c.log.last()
	const all = 100
	done := make(chan error, all)
	var seqs [all]int64
	for i := range int64(all) {
		go func() {
			a, err := n.Append(t.Context(), content(i))
			if seqs[i] = a.Seq; err == nil && (a.Duplicate || a.ID == "") {
				err = fmt.Errorf("%+v", a)
			}
			done <- err
		}()
	}
	waitFor(t, "all in the outbox or at the gate", func() bool { return int(g.held.Load())+waits(n) == all })
	close(g.gate)
	for range all {
		must(t, <-done)
	}
	if entries := c.log.last() - before; entries > senders+2 {
		t.Errorf("%d requests took %d entries", all, entries)
	}
	slices.Sort(seqs[:])
	for i, seq := range seqs {
		if seq != int64(i)+1 {
			t.Fatalf("numbers of events: %v", seqs)
		}
	}
	c.alike()
	if applied := c.nodes[2].Applied(); applied < all {
		t.Errorf("%d commands are applied", applied)
	}
}

// A request whose caller gives up before it is sent is not sent.
func TestRequestIsWithdrawn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	n := c.nodes[0]
	g := gate(n)
	done := make(chan error, senders)
	for i := range int64(senders) {
		go func() { _, err := n.Append(t.Context(), content(i)); done <- err }()
		waitFor(t, "the entry", func() bool { return g.in.Load() == int32(i)+1 })
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := n.Append(ctx, content(9)); gone <- err }()
	waitFor(t, "the request", func() bool { return waits(n) == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) || waits(n) != 0 {
		t.Errorf("%v, %d wait", err, waits(n))
	}
	close(g.gate)
	for range senders {
		must(t, <-done)
	}
	if last, err := n.Last(t.Context()); err != nil || last != senders {
		t.Errorf("%d events, %v", last, err)
	}
}

// If an entry fails, all its requests fail.
func TestEntryFails(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	n := c.nodes[0]
	g := gate(n)
	done := make(chan error, 8)
	for i := range int64(cap(done)) {
		go func() { _, err := n.Append(t.Context(), content(i)); done <- err }()
	}
	waitFor(t, "all in the outbox or at the gate", func() bool { return int(g.held.Load())+waits(n) == cap(done) })
	c.log.setFault(func(string, []byte) (int, error) { return 0, ErrNoQuorum })
	close(g.gate)
	for range cap(done) {
		if err := <-done; !errors.Is(err, ErrNoQuorum) {
			t.Errorf("%v", err)
		}
	}
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sizes []int
		want  []int // requests in each entry
	}{
		"nothing":               {nil, nil},
		"one":                   {[]int{10}, []int{1}},
		"several":               {[]int{10, 20, 30}, []int{3}},
		"more than an entry":    {slices.Repeat([]int{10}, mostTogether+1), []int{mostTogether, 1}},
		"as many bytes":         {[]int{mostTogetherBytes / 2, mostTogetherBytes / 2, 1}, []int{2, 1}},
		"one that is large":     {[]int{mostTogetherBytes + 1, 1}, []int{1, 1}},
		"a large one in others": {[]int{1, mostTogetherBytes, 1}, []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &outbox{wake: make(signal, 1)}
			for i, size := range test.sizes {
				o.put(&sending{number: uint64(i), data: bytes.Repeat([]byte{1}, size)})
			}
			var got []int
			number := uint64(0)
			for len(o.wake) > 0 {
				<-o.wake
				list := o.take()
				for _, s := range list {
					if s.number != number {
						t.Errorf("request %d comes after %d", s.number, number)
					}
					number++
				}
				got = append(got, len(list))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
