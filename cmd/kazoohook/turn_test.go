package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"kazoohook/config"
	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
)

// newTurns makes a node that only begins turns and takes settings, with a journal of its
// own.
func newTurns(t *testing.T) *secretNode {
	t.Helper()
	n := newSecretNode(t)
	dir := n.cfg.DataDir
	n.cfg = config.Default()
	n.cfg.DataDir, n.cfg.HookSecret, n.cfg.ClusterPeers = dir, config.NewSecret(secretA), config.Peers{"10.0.0.1:6222"}
	n.inUse, n.secret, n.rotation = n.cfg, secretA, &rotation{}
	n.destinations.Store(&n.cfg.Destinations)
	var err error
	if n.api, err = crossbar.New(crossbar.Options{BaseURL: "http://127.0.0.1:1", Auth: crossbar.APIKey(fakekazoo.DefaultAPIKey)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.api.Close)
	if n.journal, err = journal.Open(t.Context(), journal.Options{Dir: filepath.Join(dir, "data")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.journal.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// take applies settings that change something, as a reload does.
func (n *secretNode) take(t *testing.T, change func(*config.Config)) {
	next := *n.cfg
	change(&next)
	if err := n.takeSettings(t.Context(), n.cfg, &next); err != nil {
		t.Error(err)
	}
}

// TestReloadAsATurnBegins: settings that change right after a turn was made from the
// previous ones reach the turn.
func TestReloadAsATurnBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTurns(t)
		n.shared = hookSecrets{Secret: secretA}
		made, err := n.newTurn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n.take(t, func(c *config.Config) {
			c.Destinations = []config.Destination{{Name: "billing", Type: "exec", Command: []string{"/bin/true"}}}
		})
		states, err := made.onward.Status(t.Context())
		if err != nil || len(states) != 1 || states[0].Name != "billing" {
			t.Errorf("the turn has the destinations %+v, %v", states, err)
		}
	})
}

// sharingLog calls shared when a secret was shared.
type sharingLog struct {
	*sharedLog
	shared func()
}

func (l sharingLog) Share(ctx context.Context, name string, value []byte) error {
	defer l.shared()
	return l.sharedLog.Share(ctx, name, value)
}

// TestReloadBeforeATurnBegins: a secret that comes while the other nodes begin to accept
// the previous one is shared with them as well, before a turn registers hooks with it.
func TestReloadBeforeATurnBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTurns(t)
		l, reload := &sharedLog{}, make(chan bool, 9)
		go func() {
			<-reload
			n.take(t, func(c *config.Config) { c.HookSecret = config.NewSecret(secretB) })
		}()
		if _, err := n.beginTurn(t.Context(), sharingLog{l, func() { reload <- true }}); err != nil {
			t.Fatal(err)
		}
		var shared hookSecrets
		if err := json.Unmarshal(l.values[sharedSecrets], &shared); err != nil || shared != (hookSecrets{secretB, secretA}) {
			t.Errorf("shared: %+v, %v", shared, err)
		}
		if got := n.accepts(); n.leading() == nil || !slices.Equal(got, []string{secretB, secretA}) {
			t.Errorf("leads: %t; accepts %q", n.leading() != nil, got)
		}
	})
}
