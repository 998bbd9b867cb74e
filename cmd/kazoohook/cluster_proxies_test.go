//go:build real

package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"kazoohook/internal/fakekazoo"
)

// TestNodesBehindProxies kills one node after the other, the leader first, behind the
// real HAProxy and nginx, while users are deleted. Kazoo counts no failure, and each
// deletion is one event on every node.
func TestNodesBehindProxies(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"haproxy-cluster.cfg", "nginx-cluster.conf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			behindProxy(t, clusterProxies(t)[name])
		})
	}
}

func behindProxy(t *testing.T, run func(*proxy, []string) *exec.Cmd) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	kazoo, err := newFake(ctx, fakekazoo.Options{Version: "4.3", Seed: 1}, "127.0.0.1:0", "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := kazoo.run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	p := &proxy{t: t, wait: "15s"}
	p.addr = freeAddrs(t, 1)[0]
	c := newCluster(t, "https://"+p.addr, "KAZOO_API_URL="+kazoo.api)
	c.start(c.nodes...)
	var publics []string
	for _, n := range c.nodes {
		publics = append(publics, strings.TrimPrefix(n.public, "http://"))
	}
	p.startInFront(publics, run)
	c.nodes[0].until("the hooks are registered", func() bool {
		hooks := kazoo.Hooks()
		for _, h := range hooks {
			if !h.Enabled || !strings.HasPrefix(h.URI, "https://"+p.addr+"/") {
				return false
			}
		}
		return len(hooks) > 0
	})

	deleting := beginDeleting(t, kazoo)
	leader, others := c.leader()
	for _, n := range []*clusterProcess{leader, others[0]} {
		deleting.more(10)
		n.kill()
		deleting.more(20)
		c.start(n)
		deleting.more(10)
		c.connected()
	}
	c.sent = deleting.end()
	for _, f := range kazoo.Truth().Firings {
		if f.Outcome != fakekazoo.OutcomeDelivered || f.Tries != 1 {
			t.Errorf("%s: %s after %d tries, %d %s", f.Event, f.Outcome, f.Tries, f.Status, f.ClientError)
		}
	}
	c.whole()
	for _, d := range kazoo.Truth().Deleted {
		if c.eventIDs[d.ID] == "" {
			t.Errorf("%s has no event", d.ID)
		}
	}
}

// deleting deletes users one after the other until it is stopped.
type deleting struct {
	t     *testing.T
	kazoo *fake
	mu    sync.Mutex
	count int
	stop  context.CancelFunc
	done  sync.WaitGroup
}

func beginDeleting(t *testing.T, kazoo *fake) *deleting {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	d := &deleting{t: t, kazoo: kazoo, stop: stop}
	d.done.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			u, err := kazoo.CreateUser(fakekazoo.User{Username: fmt.Sprintf("user%d", i), FirstName: "Ann", LastName: "Lee"})
			if err == nil {
				err = kazoo.DeleteUser(u.ID)
			}
			if err != nil {
				t.Error(err)
				return
			}
			d.mu.Lock()
			d.count++
			d.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return d
}

func (d *deleting) deleted() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// more waits until n more users were deleted.
func (d *deleting) more(n int) {
	d.t.Helper()
	end := time.Now().Add(3 * time.Minute)
	for want := d.deleted() + n; d.deleted() < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatal("no more users are deleted")
		}
	}
}

// end stops, and returns how many users were deleted once Kazoo has sent them all.
func (d *deleting) end() int {
	d.t.Helper()
	d.stop()
	d.done.Wait()
	ctx, cancel := context.WithTimeout(d.t.Context(), 3*time.Minute)
	defer cancel()
	if err := d.kazoo.Idle(ctx); err != nil {
		d.t.Fatal(err)
	}
	return d.deleted()
}
