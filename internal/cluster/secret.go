package cluster

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kazoohook/internal/journal"
)

// secretPrefix begins the keys of shared secrets in the log's state.
const secretPrefix = "cluster/secret/"

// ErrSealed says that this node's secrets don't open a shared secret. While
// CLUSTER_SECRET is being changed, this may pass.
var ErrSealed = errors.New("neither CLUSTER_SECRET nor CLUSTER_SECRET_PREVIOUS opens it")

// sealer makes the cipher whose key is derived from a secret of the cluster.
func sealer(secret string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "kazoohook cluster shared secrets", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal encrypts a value once for each secret that isn't "". Each of the secrets can
// open it. It can't be opened under another name.
func seal(name string, value []byte, secrets ...string) (string, error) {
	var parts []string
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		c, err := sealer(secret)
		if err != nil {
			return "", err
		}
		parts = append(parts, base64.RawStdEncoding.EncodeToString(c.Seal(nil, nil, value, []byte(name)))) //nolint:gosec // the cipher draws its own nonce
	}
	return strings.Join(parts, sealedApart), nil
}

// sealedApart separates the texts of one value for several secrets.
const sealedApart = "."

// unseal decrypts a value with one of the secrets.
func unseal(name, text string, secrets ...string) ([]byte, error) {
	for part := range strings.SplitSeq(text, sealedApart) {
		data, err := base64.RawStdEncoding.DecodeString(part)
		if err != nil {
			return nil, fmt.Errorf("shared secret %s: %w", name, err)
		}
		for _, secret := range secrets {
			if secret == "" {
				continue
			}
			c, err := sealer(secret)
			if err != nil {
				return nil, err
			}
			if value, err := c.Open(nil, nil, data, []byte(name)); err == nil {
				return value, nil
			}
		}
	}
	return nil, fmt.Errorf("shared secret %s: %w", name, ErrSealed)
}

// sealedFor reports whether a value is sealed for exactly these secrets.
func sealedFor(name, text string, secrets ...string) bool {
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return s == "" })
	parts := strings.Split(text, sealedApart)
	for i, part := range parts {
		if i >= len(secrets) {
			return false
		}
		if _, err := unseal(name, part, secrets[i]); err != nil {
			return false
		}
	}
	return len(parts) == len(secrets)
}

// Share keeps a secret in the log, encrypted with CLUSTER_SECRET, for all nodes.
func (n *Node) Share(ctx context.Context, name string, value []byte) error {
	j := n.journal.Load()
	if j == nil {
		return ErrNotOpen
	}
	n.sealing.Lock()
	defer n.sealing.Unlock()
	return n.share(ctx, j, name, value)
}

func (n *Node) share(ctx context.Context, j *journal.Journal, name string, value []byte) error {
	text, err := seal(name, value, n.o.Secret, n.o.PreviousSecret)
	if err != nil {
		return err
	}
	return j.Keep(ctx, secretPrefix+name, text)
}

// ShareFirst shares a secret unless one of this name is already shared. It returns the
// shared one, so nodes that draw a secret at the same time get the same. It waits for a
// quorum until ctx or the node ends.
func (n *Node) ShareFirst(ctx context.Context, name string, value []byte) ([]byte, error) {
	j := n.journal.Load()
	if j == nil {
		return nil, ErrNotOpen
	}
	text, err := seal(name, value, n.o.Secret, n.o.PreviousSecret)
	if err != nil {
		return nil, err
	}
	ctx, cancel := n.until(ctx)
	defer cancel()
	for waited := false; ; waited = true {
		kept, err := j.KeepFirst(ctx, secretPrefix+name, text)
		switch {
		case err == nil:
			if waited {
				n.sayWaiting("")
			}
			return unseal(name, kept, n.o.Secret, n.o.PreviousSecret)
		case n.ending() != nil:
			return nil, n.ending()
		case !errors.Is(err, journal.ErrNoQuorum):
			return nil, err
		}
		n.sayWaiting(n.unready(ctx, j))
		pause(ctx, openEvery)
	}
}

// Shared returns a shared secret, as far as this node has applied the log.
func (n *Node) Shared(ctx context.Context, name string) (value []byte, found bool, err error) {
	j := n.journal.Load()
	if j == nil {
		return nil, false, ErrNotOpen
	}
	text, err := j.State(ctx, secretPrefix+name)
	if err != nil || text == "" {
		return nil, false, err
	}
	value, err = unseal(name, text, n.o.Secret, n.o.PreviousSecret)
	return value, err == nil, err
}

// AwaitShared waits until this node may give the log commands, which may take long after it
// was away, and until a secret is shared, if another node must share it first: the
// node whose journal the log was made from knows the secrets of hooks that exist. If that
// node is lost, one that is started under its name takes its place.
func (n *Node) AwaitShared(ctx context.Context, name string) error {
	j := n.journal.Load()
	if j == nil {
		return ErrNotOpen
	}
	for {
		waits, err := n.awaits(ctx, j, name)
		switch {
		case n.ending() != nil:
			return n.ending()
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		}
		if n.sayWaiting(waits); waits == "" {
			return nil
		}
		pause(ctx, openEvery)
	}
}

// awaits says what AwaitShared waits for, or returns "".
func (n *Node) awaits(ctx context.Context, j *journal.Journal, name string) (string, error) {
	if !j.Begun() {
		return n.unready(ctx, j), nil
	}
	founder, err := j.State(ctx, journal.FounderKey)
	if err != nil || founder == "" || founder == n.o.Node {
		return "", err
	}
	text, err := j.State(ctx, secretPrefix+name)
	if err != nil || text != "" {
		return "", err
	}
	return "waiting until node " + founder + ", from whose journal the cluster's log was made, has shared the secrets of its hooks", nil
}

// unready says why the log doesn't take commands of this node yet.
func (n *Node) unready(ctx context.Context, j *journal.Journal) string {
	others := n.others()
	connected := len(others) + 1
	lost := ""
	if s := n.stream.Load(); s != nil && connected >= n.o.Size {
		n.mu.Lock()
		all := append(byNode(others), n.self)
		n.mu.Unlock()
		if l, err := s.state(ctx); err == nil {
			lost = l.votesLost(n.o.Size, all)
		}
	}
	switch {
	case lost != "":
		return lost
	case connected < quorum(n.o.Size):
		return noQuorum(connected, n.o.Size)
	case j.Begun():
		return "waiting until a quorum acknowledges this node's commands"
	}
	return "waiting until this node has applied the cluster's log up to its own first command"
}

// sayWaiting says what this node, which follows the log, waits for; "": nothing. While the
// log is lost, the state says that.
func (n *Node) sayWaiting(reason string) {
	switch {
	case n.lost.Load(), n.cut.Load():
	case reason == "":
		n.say(StateReady, "")
	default:
		n.say(StateWaiting, reason)
	}
}

// sealAnew encrypts the shared secrets again for the secrets that this node, the
// leader, knows: the new and the previous one while CLUSTER_SECRET is being changed,
// then only the new one.
func (n *Node) sealAnew(ctx context.Context, j *journal.Journal) error {
	n.sealing.Lock()
	defer n.sealing.Unlock()
	shared, err := j.States(ctx, secretPrefix)
	if err != nil {
		return err
	}
	for key, text := range shared {
		name := strings.TrimPrefix(key, secretPrefix)
		if sealedFor(name, text, n.o.Secret, n.o.PreviousSecret) {
			continue
		}
		value, err := unseal(name, text, n.o.Secret, n.o.PreviousSecret)
		if err != nil {
			continue // whoever uses the secret reports it
		}
		if err := n.share(ctx, j, name, value); err != nil {
			return err
		}
	}
	return nil
}
