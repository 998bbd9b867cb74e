package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/redact"
	"kazoohook/registration"
)

// sharedLog is what the nodes of a test share.
type sharedLog struct {
	mu     sync.Mutex
	values map[string][]byte
	writes int
	err    error
}

func (l *sharedLog) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *sharedLog) Share(_ context.Context, name string, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if l.values == nil {
		l.values = map[string][]byte{}
	}
	l.values[name] = bytes.Clone(value)
	l.writes++
	return nil
}

func (l *sharedLog) ShareFirst(ctx context.Context, name string, value []byte) ([]byte, error) {
	if kept, found, err := l.Shared(ctx, name); found || err != nil {
		return kept, err
	}
	return value, l.Share(ctx, name, value)
}

func (l *sharedLog) Shared(_ context.Context, name string) (value []byte, found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	value, found = l.values[name]
	return bytes.Clone(value), found && l.err == nil, l.err
}

func (l *sharedLog) AwaitShared(context.Context, string) error { return nil }

// joiner waits for what the node shares whose journal the log was made from.
type joiner struct{ *sharedLog }

func (j joiner) AwaitShared(ctx context.Context, name string) error {
	for {
		if _, found, err := j.Shared(ctx, name); found || err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// secretNode is the part of a node that shares secrets.
type secretNode struct {
	*service
	opened atomic.Int32 // how often the public handler was replaced
}

// newSecretNode makes a node with an empty directory.
func newSecretNode(t *testing.T) *secretNode {
	t.Helper()
	n := &secretNode{service: &service{cfg: &config.Config{DataDir: t.TempDir()}, logs: logs{Log: zerolog.Nop(), secrets: redact.New()}}}
	n.openPublic = func() { n.opened.Add(1) }
	return n
}

// join opens the shared secret and starts to use it, as compose does.
func (n *secretNode) join(t *testing.T, l *sharedLog) {
	t.Helper()
	if err := n.openSharedSecret(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	n.secret, n.previous = n.cfg.HookSecret.Reveal(), n.cfg.HookSecretPrevious.Reveal()
}

// accepts returns the secrets with which the node accepts requests.
func (n *secretNode) accepts() []string {
	n.setting.Lock()
	defer n.setting.Unlock()
	list := slices.DeleteFunc(append([]string{n.secret, n.previous}, n.others()...), func(s string) bool { return s == "" })
	slices.Sort(list)
	return slices.Compact(list)
}

const (
	secretA = "the-first-secret-of-the-hooks"
	secretB = "another-secret-of-the-hooks"
)

// TestOneSecretForAll: however the nodes begin, Kazoo's hooks have one secret. Each
// node accepts it, and keeps it in its own directory.
func TestOneSecretForAll(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stored  []string      // in each node's directory; "": none
		given   []string      // by each node's HOOK_SECRET
		late    time.Duration // of the first node
		want    string        // the shared secret; "": a new one
		accepts []string      // besides the shared one, by any node
	}{
		"all are new":                     {stored: []string{"", "", ""}},
		"one was a single node":           {stored: []string{secretA, "", ""}, want: secretA},
		"and joins two seconds later":     {stored: []string{secretA, "", ""}, late: 2 * time.Second, want: secretA},
		"all have the setting":            {stored: []string{"", "", ""}, given: []string{secretB, secretB, secretB}, want: secretB},
		"the setting is before the file":  {stored: []string{secretA, secretA, secretA}, given: []string{secretB, secretB, secretB}, want: secretB},
		"one has another setting already": {stored: []string{"", "", ""}, given: []string{secretA, secretA, secretB}, want: secretA, accepts: []string{secretB}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &sharedLog{}
				var nodes []*secretNode
				var joining sync.WaitGroup
				for i, stored := range tc.stored {
					n := newSecretNode(t)
					nodes = append(nodes, n)
					if stored != "" {
						if err := config.KeepSecret(n.cfg.DataDir, config.NewSecret(stored)); err != nil {
							t.Fatal(err)
						}
					}
					if tc.given != nil {
						n.cfg.HookSecret = config.NewSecret(tc.given[i])
					}
					joining.Go(func() {
						wait := time.Duration(i) * time.Millisecond // one after the other
						if i == 0 {
							wait += tc.late
						}
						<-time.After(wait)
						n.join(t, l)
					})
				}
				joining.Wait()
				shared := nodes[1].shared.Secret
				if tc.want != "" && shared != tc.want || len(shared) < 16 {
					t.Fatalf("the shared secret is %q, want %q", shared, tc.want)
				}
				for i, n := range nodes {
					extra := slices.DeleteFunc(n.accepts(), func(s string) bool { return s == shared })
					if n.shared.Secret != shared || slices.ContainsFunc(extra, func(s string) bool { return !slices.Contains(tc.accepts, s) }) {
						t.Errorf("node %d shares %q and accepts %v beside it", i, n.shared.Secret, extra)
					}
					if tc.given != nil {
						continue
					}
					if kept, found, err := config.StoredSecret(n.cfg.DataDir); err != nil || !found || kept.Reveal() != shared {
						t.Errorf("node %d keeps %q, %v, %v", i, kept.Reveal(), found, err)
					}
				}
			})
		})
	}
}

// TestFounderSharesFirst: the node whose journal the log was made from has registered
// hooks. However late it shares its secret and keys, the others take these, whatever they
// have in their own directories.
func TestFounderSharesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &sharedLog{}
		nodes := []*secretNode{newSecretNode(t), newSecretNode(t), newSecretNode(t)}
		for n, secret := range map[*secretNode]string{nodes[0]: secretA, nodes[1]: secretB} {
			if err := config.KeepSecret(n.cfg.DataDir, config.NewSecret(secret)); err != nil {
				t.Fatal(err)
			}
		}
		keys, err := registration.OpenKeyring(nodes[0].cfg.DataDir, true, func(...string) {})
		if err != nil {
			t.Fatal(err)
		}
		var joining sync.WaitGroup
		for i, n := range nodes {
			joining.Go(func() {
				var from sharing = joiner{l}
				if i == 0 {
					from = l
					<-time.After(time.Hour)
				}
				if err := n.openShared(t.Context(), from); err != nil {
					t.Error(err)
				}
			})
		}
		joining.Wait()
		for i, n := range nodes {
			if n.cfg.HookSecret.Reveal() != secretA || n.shared.Secret != secretA {
				t.Errorf("node %d has another secret", i)
			}
			if !slices.Equal(n.keys.Secrets(), keys.Secrets()) {
				t.Errorf("node %d has other keys", i)
			}
		}
	})
}

var errNoSecret = errors.New("no quorum")

// failingSecret takes no secret.
type failingSecret struct{ *sharedLog }

func (l *failingSecret) ShareFirst(ctx context.Context, name string, value []byte) ([]byte, error) {
	if name == sharedSecrets {
		return nil, errNoSecret
	}
	return l.sharedLog.ShareFirst(ctx, name, value)
}

// TestSecretMovesWithTheLeader: a leader's new secret is accepted by the other nodes
// before any hook gets it. They follow it, mask it, and replace their handler once.
func TestSecretMovesWithTheLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &sharedLog{}
		leader, other := newSecretNode(t), newSecretNode(t)
		leader.cfg.HookSecret, other.cfg.HookSecret = config.NewSecret(secretA), config.NewSecret(secretA)
		leader.join(t, l)
		other.join(t, l)
		follow := func() {
			t.Helper()
			if err := other.followSecrets(t.Context(), l); err != nil {
				t.Error(err)
			}
		}
		share := func() (took time.Duration) {
			t.Helper()
			began := time.Now()
			if err := leader.shareSecrets(t.Context(), l); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		if took, before := share(), l.writes; took != 0 || before != 1 {
			t.Errorf("what is shared was shared again: %d times, after %v", before, took)
		}
		leader.secret, leader.previous = secretB, secretA // a reload while it didn't lead
		done := make(chan time.Duration)
		go func() { done <- share() }()
		<-time.After(sharedLook)
		follow()
		if got := other.accepts(); !slices.Equal(got, []string{secretB, secretA}) {
			t.Errorf("the other node accepts %v", got)
		}
		select {
		case <-done:
			t.Error("the leader has begun before the other nodes had time to follow")
		default:
		}
		if took := <-done; took != accepting {
			t.Errorf("it has begun after %v", took)
		}
		follow()
		if n := other.opened.Load(); n != 1 {
			t.Errorf("the handler was made anew %d times", n)
		}
		if got := other.logs.secrets.String("x " + secretB); strings.Contains(got, secretB) {
			t.Errorf("not masked: %s", got)
		}
		l.set(func() { l.values[sharedSecrets] = []byte("no JSON") })
		if other.followSecrets(t.Context(), l) == nil {
			t.Error("what can't be read was taken")
		}
	})
}

// TestReloadMovesTheHooks: a running leader gets a new secret. The hooks keep the old
// one until the other nodes accept the new one. If sharing fails, it tries again.
func TestReloadMovesTheHooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &sharedLog{}
		n := newSecretNode(t)
		n.cfg.HookSecret = config.NewSecret(secretA)
		n.join(t, l)
		engine := registration.NewEngine(nil, nil, registration.Options{}, registration.RecoverOptions{}, registration.ResyncOptions{}, registration.EngineOptions{})
		n.turn.Store(&turn{s: n.service, engine: engine})
		move := func() (time.Duration, error) {
			began := time.Now()
			err := n.moveHooks(t.Context(), l)
			return time.Since(began), err
		}
		if took, err := move(); took != 0 || err != nil {
			t.Errorf("nothing is to move: %v, %v", took, err)
		}
		n.secret, n.previous, n.moving = secretB, secretA, true // as takeHookSecret does
		l.set(func() { l.err = errors.New("no quorum") })
		if _, err := move(); err == nil || !n.moving || !strings.Contains(err.Error(), "no quorum") {
			t.Errorf("without a quorum: %v, moving: %v", err, n.moving)
		}
		l.set(func() { l.err = nil })
		if took, err := move(); took != accepting || err != nil || n.moving {
			t.Errorf("moved after %v, %v; moving: %v", took, err, n.moving)
		}
		var shared hookSecrets
		if err := json.Unmarshal(l.values[sharedSecrets], &shared); err != nil || shared != (hookSecrets{secretB, secretA}) {
			t.Errorf("shared: %+v, %v", shared, err)
		}
		n.turn.Store(nil)
		n.moving = true
		if took, err := move(); took != 0 || err != nil || !n.moving {
			t.Errorf("a node that doesn't lead: %v, %v", took, err)
		}
	})
}
