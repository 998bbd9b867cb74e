//go:build real

package cluster

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"kazoohook/internal/journal"
)

// TestSecretsAreShared shares secrets through the log, changes the cluster's secret
// one node at a time, and finds them encrypted with the new one.
func TestSecretsAreShared(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	ctx := t.Context()
	eventually(t, "shared secret", func() error { return c.all[0].n.Share(ctx, "hook", []byte("one")) })
	for _, r := range c.all {
		if got, err := r.n.ShareFirst(ctx, "key", []byte(r.o.Node)); err != nil || string(got) != "n1" {
			t.Errorf("%s gets %q: %v", r.o.Node, got, err)
		}
	}
	old := c.all[0].o.Secret
	for i, r := range c.all { // each knows both secrets, and uses the old one
		r.stop()
		r.o.PreviousSecret = "the new secret of all"
		c.start(i)
		c.leader()
	}
	for i, r := range c.all { // each uses the new secret
		r.stop()
		r.o.Secret, r.o.PreviousSecret = "the new secret of all", old
		c.start(i)
		c.leader()
	}
	eventually(t, "encryption with the new secret", func() error {
		for _, r := range c.all { // each must have read it before it loses the old secret
			shared, err := r.j.States(ctx, secretPrefix)
			if err != nil || len(shared) != 2 {
				return errors.New("not all are there")
			}
			for key, text := range shared {
				if _, err := unseal(strings.TrimPrefix(key, secretPrefix), text, "the new secret of all"); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for i, r := range c.all { // the old secret is no longer needed
		r.stop()
		r.o.PreviousSecret = ""
		c.start(i)
		if got, found, err := r.n.Shared(ctx, "hook"); err != nil || !found || string(got) != "one" {
			t.Errorf("%s has %q, %v: %v", r.o.Node, got, found, err)
		}
	}
	if _, found, err := c.all[0].n.Shared(ctx, "nothing"); found || err != nil {
		t.Errorf("a secret that nobody shared: %v, %v", found, err)
	}
}

// TestFounderIsAwaited makes a cluster from a single node's journal. The others wait for
// that node's secret without limit, and say so, also while it is started again.
func TestFounderIsAwaited(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	j, err := journal.Open(t.Context(), journal.Options{Dir: c.all[0].o.Dir})
	if err != nil {
		t.Fatal(err)
	}
	(&runner{t: t, j: j}).take(0, 20)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	c.start(0, 1, 2)
	share := func(r *runner) (string, error) {
		if err := r.n.AwaitShared(t.Context(), "hook"); err != nil {
			return "", err
		}
		got, err := r.n.ShareFirst(t.Context(), "hook", []byte(r.o.Node))
		return string(got), err
	}
	var joining sync.WaitGroup
	for _, r := range c.all[1:] {
		joining.Go(func() {
			if got, err := share(r); err != nil || got != "n1" {
				t.Errorf("%s has the secret of %q: %v", r.o.Node, got, err)
			}
		})
		r.n.shown(t, StateWaiting, "until node n1, from whose journal")
	}
	c.all[0].stop()
	c.start(0)
	for _, r := range c.all[1:] {
		r.wait(StateWaiting)
	}
	if got, err := share(c.all[0]); err != nil || got != "n1" {
		t.Errorf("the first shares %q: %v", got, err)
	}
	joining.Wait()
	for _, r := range c.all {
		r.wait(StateReady)
	}
}

// TestAnotherSecret: a cluster goes back to one node, and later that node's journal is
// made a cluster's again, with another CLUSTER_SECRET. Nothing sealed with the old one is
// left, so the node shares its secrets again.
func TestAnotherSecret(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	c.start(0, 1, 2)
	c.leader()
	c.all[0].take(0, 20)
	if _, err := c.all[0].n.ShareFirst(t.Context(), "hook", []byte("old")); err != nil {
		t.Fatal(err)
	}
	c.same()
	for _, r := range c.all {
		r.stop()
	}
	j, err := journal.Open(t.Context(), journal.Options{Dir: c.all[0].o.Dir})
	if err != nil {
		t.Fatal(err)
	}
	(&runner{t: t, j: j}).take(20, 30)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	c.all[1].empty()
	c.all[2].empty()
	for _, r := range c.all {
		r.o.Secret = "another secret of another cluster"
	}
	c.start(0, 1, 2)
	for _, r := range c.all {
		if err := r.n.AwaitShared(t.Context(), "hook"); err != nil {
			t.Fatal(err)
		}
		if got, err := r.n.ShareFirst(t.Context(), "hook", []byte(r.o.Node)); err != nil || string(got) != "n1" {
			t.Errorf("%s has the secret %q: %v", r.o.Node, got, err)
		}
	}
}
