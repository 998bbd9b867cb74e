package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"kazoohook/config"
	"kazoohook/registration"
)

// The names of what the nodes of a cluster share, encrypted.
const (
	sharedSecrets = "hook-secrets" // hookSecrets
	sharedKeys    = "hook-keys"    // the file of the signing keys
)

// sharing reads and writes what all nodes share: see cluster.Node.
type sharing interface {
	Share(ctx context.Context, name string, value []byte) error
	ShareFirst(ctx context.Context, name string, value []byte) ([]byte, error)
	Shared(ctx context.Context, name string) (value []byte, found bool, err error)
	AwaitShared(ctx context.Context, name string) error
}

const (
	// sharedLook is the time between two readings of what the other nodes share.
	sharedLook = time.Second
	// firstShare is how long a node without a secret of its own waits for another
	// node's secret before it generates one.
	firstShare = 3 * time.Second
)

// hookSecrets are the secrets of the hooks that the leader registers.
type hookSecrets struct {
	Secret   string `json:"secret"`
	Previous string `json:"previous,omitempty"`
}

// openShared gets the hooks' secret and the signing keys from the other nodes. If they
// share none, it shares this node's own, or new ones. It also keeps them in the data
// directory, so that the node can go on alone. The secret is shared last: nodes that wait
// for it find the keys, too.
func (s *service) openShared(ctx context.Context, node sharing) error {
	if err := node.AwaitShared(ctx, sharedSecrets); err != nil {
		return err
	}
	keys, err := openKeys(s.cfg, true, s.logs.secrets)
	if err != nil {
		return err
	}
	if s.keys = keys; keys != nil {
		if err := s.followKeys(ctx, node); err != nil {
			return fmt.Errorf("share the signing keys: %w", err)
		}
	}
	if err := s.openSharedSecret(ctx, node); err != nil {
		return fmt.Errorf("share the hooks' secret: %w", err)
	}
	s.logs.secrets.Add(s.cfg.HookSecret.Reveal())
	return nil
}

func (s *service) openSharedSecret(ctx context.Context, node sharing) error {
	own := s.cfg.HookSecret
	generated := own.Empty()
	if generated {
		stored, found, err := config.StoredSecret(s.cfg.DataDir)
		switch {
		case err != nil:
			return err
		case found:
			own = stored
		default:
			if err := awaitShared(ctx, node); err != nil {
				return err
			}
			if own, err = config.GenerateSecret(); err != nil {
				return err
			}
		}
	}
	text, err := json.Marshal(hookSecrets{own.Reveal(), s.cfg.HookSecretPrevious.Reveal()}) //nolint:gosec // it is sealed before it leaves
	if err != nil {
		return err
	}
	kept, err := node.ShareFirst(ctx, sharedSecrets, text)
	if err != nil {
		return err
	}
	var shared hookSecrets
	if err := json.Unmarshal(kept, &shared); err != nil {
		return err
	}
	s.shared = shared
	if !generated {
		return nil
	}
	s.cfg.HookSecret = config.NewSecret(shared.Secret)
	stored, found, err := config.StoredSecret(s.cfg.DataDir)
	if err == nil && (!found || !stored.Equal(s.cfg.HookSecret)) {
		err = config.KeepSecret(s.cfg.DataDir, s.cfg.HookSecret)
	}
	return err
}

// awaitShared waits some seconds for another node's secret: in a new cluster, a node may
// have one although its journal is empty.
func awaitShared(ctx context.Context, node sharing) error {
	for end := time.Now().Add(firstShare); time.Now().Before(end); {
		if _, found, err := node.Shared(ctx, sharedSecrets); err != nil || found {
			return err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// shareSecrets makes the other nodes accept this node's secrets. This node leads now,
// and registers no hook with them before.
func (s *service) shareSecrets(ctx context.Context, node sharing) error {
	s.setting.Lock()
	s.moving = false
	shared, err := s.shareOwn(ctx, node)
	s.setting.Unlock()
	if err != nil || !shared {
		return err
	}
	return pause(ctx, accepting)
}

// accepting is the time in which the other nodes begin to accept a shared secret.
const accepting = 3 * sharedLook

// shareOwn shares this node's secrets unless they are shared. The caller holds setting.
func (s *service) shareOwn(ctx context.Context, node sharing) (shared bool, err error) {
	own := s.own()
	if own == s.shared {
		return false, nil
	}
	text, err := json.Marshal(own) //nolint:gosec // as above
	if err == nil {
		err = node.Share(ctx, sharedSecrets, text)
	}
	if err != nil {
		return false, fmt.Errorf("share the hooks' secret with the other nodes: %w", err)
	}
	s.shared = own
	return true, nil
}

// moveHooks moves the hooks to a secret that a reload brought, once the other nodes
// accept it.
func (s *service) moveHooks(ctx context.Context, node sharing) error {
	s.setting.Lock()
	t := s.leading()
	if !s.moving || t == nil {
		s.setting.Unlock()
		return nil
	}
	_, err := s.shareOwn(ctx, node)
	secret, previous := s.secret, s.previous
	s.moving = err != nil
	s.setting.Unlock()
	if err == nil {
		err = pause(ctx, accepting)
	}
	if err == nil {
		t.engine.SetSecrets(secret, previous)
	}
	return err
}

// followShared applies what other nodes share, until ctx ends.
func (s *service) followShared(ctx context.Context) error {
	node := s.node.Load()
	if node == nil {
		<-ctx.Done()
		return nil
	}
	said := ""
	for pause(ctx, sharedLook) == nil {
		s.signed.Store(new(registration.Signed(ctx, s.journal)))
		err := s.followSecrets(ctx, node)
		if err == nil {
			err = s.moveHooks(ctx, node)
		}
		if err == nil && s.keys != nil {
			err = s.followKeys(ctx, node)
		}
		text := ""
		if err != nil && ctx.Err() == nil {
			text = err.Error()
		}
		if text != "" && text != said {
			s.logs.Log.Error().Err(err).Msg("what the nodes share can't be read or kept; it is tried again")
		}
		said = text
	}
	return nil
}

// followSecrets makes this node accept the leader's secrets as well.
func (s *service) followSecrets(ctx context.Context, node sharing) error {
	text, found, err := node.Shared(ctx, sharedSecrets)
	if err != nil || !found {
		return err
	}
	var now hookSecrets
	if err := json.Unmarshal(text, &now); err != nil {
		return err
	}
	s.setting.Lock()
	defer s.setting.Unlock()
	if now == s.shared {
		return nil
	}
	s.shared = now
	s.logs.secrets.Add(now.Secret, now.Previous)
	s.openPublic()
	return nil
}

// own returns the secrets that this node uses. The caller holds setting.
func (s *service) own() hookSecrets { return hookSecrets{s.secret, s.previous} }

// others returns the other nodes' secrets that this one accepts. The caller holds setting.
func (s *service) others() []string {
	own := []string{s.secret, s.previous, ""}
	return slices.DeleteFunc([]string{s.shared.Secret, s.shared.Previous}, func(secret string) bool { return slices.Contains(own, secret) })
}

// followKeys keeps the signing keys of all nodes the same: a node whose keys a command
// has changed shares the new ones.
func (s *service) followKeys(ctx context.Context, node sharing) error {
	own, err := s.keys.Text()
	if err != nil {
		return err
	}
	if s.sharedKeys == "" {
		kept, err := node.ShareFirst(ctx, sharedKeys, []byte(own))
		if err == nil && string(kept) != own {
			err = s.keys.Replace(string(kept))
		}
		if err == nil {
			s.sharedKeys = string(kept)
		}
		return err
	}
	text, found, err := node.Shared(ctx, sharedKeys)
	now := string(text)
	switch {
	case err != nil || !found: // it is not applied here yet
		return err
	case now == own:
	case now != s.sharedKeys: // another node has exchanged them
		err = s.keys.Replace(now)
	default: // a command has exchanged those of this node
		return node.Share(ctx, sharedKeys, []byte(own))
	}
	if err == nil {
		s.sharedKeys = now
	}
	return err
}
