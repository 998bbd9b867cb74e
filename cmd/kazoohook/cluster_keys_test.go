package main

import (
	"errors"
	"slices"
	"testing"

	"kazoohook/config"
	"kazoohook/registration"
)

// TestKeysAreSharedBeforeTheSecret: if a node dies between the two, the others still wait
// for it.
func TestKeysAreSharedBeforeTheSecret(t *testing.T) {
	t.Parallel()
	l := &failingSecret{sharedLog: &sharedLog{}}
	n := newSecretNode(t)
	if err := config.KeepSecret(n.cfg.DataDir, config.NewSecret(secretA)); err != nil {
		t.Fatal(err)
	}
	if err := n.openShared(t.Context(), l); !errors.Is(err, errNoSecret) || l.values[sharedKeys] == nil {
		t.Errorf("keys %v, %v", l.values[sharedKeys] != nil, err)
	}
}

// TestSigningKeysAreShared: all nodes have the keys of the first node. If a command
// exchanges a key on any node, all nodes get it, once, and still accept the previous
// key.
func TestSigningKeysAreShared(t *testing.T) {
	t.Parallel()
	l := &sharedLog{}
	var nodes []*secretNode
	for range 3 {
		n := newSecretNode(t)
		keys, err := registration.OpenKeyring(n.cfg.DataDir, true, n.logs.secrets.Add)
		if err != nil {
			t.Fatal(err)
		}
		n.keys = keys
		nodes = append(nodes, n)
	}
	follow := func() {
		t.Helper()
		for _, n := range nodes {
			if err := n.followKeys(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
	}
	same := func(want []string) {
		t.Helper()
		for i, n := range nodes {
			again, err := registration.OpenKeyring(n.cfg.DataDir, false, func(...string) {})
			if err != nil {
				t.Fatal(err)
			}
			if got := n.keys.Secrets(); !slices.Equal(got, want) || !slices.Equal(again.Secrets(), want) {
				t.Errorf("node %d has %d keys, others than those that are shared, or another file", i, len(got))
			}
		}
	}
	first := nodes[0].keys.Secrets()
	follow()
	same(first)
	elsewhere, err := registration.OpenKeyring(nodes[2].cfg.DataDir, true, func(...string) {}) // another process
	if err == nil {
		err = elsewhere.Rotate()
	}
	if err != nil {
		t.Fatal(err)
	}
	follow() // the last node shares it
	follow()
	newest := elsewhere.Secrets()
	if len(newest) != 2 || newest[1] != first[0] {
		t.Fatalf("%d keys after the exchange", len(newest))
	}
	same(newest)
	writes := l.writes
	for range 3 {
		follow()
	}
	if l.writes != writes {
		t.Errorf("what nobody changed was shared %d times more", l.writes-writes)
	}
	l.set(func() { l.values[sharedKeys] = []byte("no key\n") })
	if nodes[0].followKeys(t.Context(), l) == nil {
		t.Error("what is no key was taken")
	}
	same(newest)
}
