//go:build real

package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLongAbsentNode purges what a node has not applied. It returns with a copy.
func TestLongAbsentNode(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(0, 20)
	c.same()
	c.all[2].stop()
	c.all[0].take(20, 40)
	c.same()
	from := min(c.all[0].j.Cluster().Position, c.all[1].j.Cluster().Position)
	eventually(t, "purge as after a day", func() error { return c.all[0].n.stream.Load().purge(t.Context(), from) })
	c.start(2)
	c.all[2].take(40, 50)
	if events := c.same(); events != 50 {
		t.Errorf("%d events, not 50", events)
	}
	if files, _ := filepath.Glob(filepath.Join(c.all[2].o.Dir, "replaced-*")); len(files) > 0 {
		t.Errorf("an earlier state of the same journal was kept: %v", files)
	}
}

// TestLogIsPurged: the leader removes what all nodes have on disk, and keeps what an
// absent node has not.
func TestLogIsPurged(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	leader := c.leader()
	first := func() uint64 {
		l, err := leader.n.stream.Load().state(t.Context())
		if err != nil {
			return 0
		}
		return l.first
	}
	leader.fill(2 * purgeLeast)
	eventually(t, "purge", func() error {
		if first() <= purgeLeast {
			return errors.New("nothing was purged")
		}
		return nil
	})
	away := c.others(leader)[0]
	which := slices.Index(c.all, away)
	away.stop()
	at := c.position(which)
	leader.fill(2 * purgeLeast)
	target := leader.j.Cluster().Position
	eventually(t, "news that all is on the disks of those that are up", func() error {
		for _, r := range c.running() {
			if v := leader.n.peers.seen(r.n.id.server()); v.Synced < target {
				return fmt.Errorf("%s has %d of %d", r.o.Node, v.Synced, target)
			}
		}
		return nil
	})
	eventually(t, "purge", func() error { return leader.n.purge(t.Context(), leader.j, time.Now()) })
	if f := first(); f > at+1 {
		t.Errorf("the log begins at %d, and a node that is away has applied up to %d", f, at)
	}
	c.start(which)
	c.same()
}

// fill makes commands that each have their own entry; waiting requests share entries.
func (r *runner) fill(entries int) {
	r.t.Helper()
	next := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range next {
				if err := repeated(r.t.Context(), func() error { return r.j.Keep(r.t.Context(), "k", fmt.Sprint(i)) }); err != nil {
					r.t.Errorf("value %d was never kept: %v", i, err)
				}
			}
		})
	}
	for i := range entries {
		next <- i
	}
	close(next)
	wg.Wait()
}

// TestQuestions asks the leader from each node, with a long answer. The leader may
// change meanwhile.
func TestQuestions(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	long := strings.Repeat("0123456789abcdef", 200_000)
	for _, r := range c.all {
		if err := r.n.Handle("echo", func(_ context.Context, q []byte, _ func([]byte)) []byte { return []byte(r.o.Node + string(q) + long) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.all[0].n.Handle("no subject", nil); err == nil {
		t.Error("a handler for what is no subject")
	}
	for _, r := range c.all {
		eventually(t, "answer to "+r.o.Node, func() error {
			leader := c.leader()
			ctx, cancel := context.WithTimeout(t.Context(), waitLimit/6) // what is sent while servers connect may be lost
			defer cancel()
			got, err := r.n.AskLeader(ctx, "echo", []byte(" says "), nil)
			if err == nil && string(got) != leader.o.Node+" says "+long {
				err = fmt.Errorf("%s gets %d bytes: %.40s", r.o.Node, len(got), got)
			}
			return err
		})
		eventually(t, "answer about what nobody knows", func() error {
			_, err := r.n.AskLeader(t.Context(), "unknown", nil, nil)
			if err != nil && strings.Contains(err.Error(), "another version") {
				return nil
			}
			return fmt.Errorf("it is %w", err)
		})
	}
	c.leaderDies()
}

// leaderDies kills the leader while it answers a question.
func (c *team) leaderDies() {
	type question struct {
		to  *runner
		try string
	}
	begun := make(chan question, 64)
	for _, r := range c.all {
		if err := r.n.Handle("slow", func(ctx context.Context, try []byte, _ func([]byte)) []byte {
			begun <- question{r, string(try)}
			<-ctx.Done()
			return nil
		}); err != nil {
			c.t.Fatal(err)
		}
	}
	for try := 0; ; try++ {
		asker := c.others(c.leader())[0]
		ctx, cancel := context.WithCancel(c.t.Context())
		asked := make(chan error, 1)
		go func() {
			_, err := asker.n.AskLeader(ctx, "slow", fmt.Append(nil, try), nil)
			asked <- err
		}()
		var answering *runner
		var err error
		for answering == nil && err == nil {
			select {
			case q := <-begun:
				if q.try == fmt.Sprint(try) { // else an earlier one came late
					answering = q.to
				}
			case err = <-asked: // there was no leader just then
			}
		}
		if answering != nil && answering != asker { // else it leads by now
			answering.kill()
			if err := <-asked; !errors.Is(err, ErrNoLeader) {
				c.t.Errorf("the leader died: %v", err)
			}
			cancel()
			return
		}
		c.t.Logf("try %d: no other node answers: %v", try, err)
		cancel()
	}
}
