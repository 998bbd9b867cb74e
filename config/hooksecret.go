package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kazoohook/internal/datadir"
)

// SecretFile is where EnsureSecret keeps the generated secret, in the data
// directory.
const SecretFile = "hook_secret"

// EnsureHookSecret sets HookSecret, if none was given, to the secret in the data
// directory. The first call generates it.
func (c *Config) EnsureHookSecret() error {
	if !c.HookSecret.Empty() {
		return nil
	}
	s, err := EnsureSecret(c.DataDir)
	if err != nil {
		return err
	}
	c.HookSecret = s
	return nil
}

// EnsureSecret returns the secret kept in dir, creating directory and secret if
// there is none. When it returns, the secret is on disk, readable by its owner
// only. Two processes that start at once get the same secret. Otherwise Kazoo could
// have a URL that the next start doesn't accept.
func EnsureSecret(dir string) (Secret, error) {
	path := filepath.Join(dir, SecretFile)
	s, err := storedSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if err := datadir.MakeDir(dir); err != nil {
		return Secret{}, fmt.Errorf("create the data directory: %w", err)
	}
	secret, err := GenerateSecret()
	if err == nil {
		err = datadir.WriteNew(path, []byte(secret.Reveal()+"\n"))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return Secret{}, fmt.Errorf("keep a generated HOOK_SECRET in %s: %w", dir, err)
	}
	return storedSecret(path)
}

// StoredSecret returns the secret in dir; found is false if there is none.
func StoredSecret(dir string) (s Secret, found bool, err error) {
	s, err = storedSecret(filepath.Join(dir, SecretFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Secret{}, false, nil
	}
	return s, err == nil, err
}

// KeepSecret stores a secret in dir and replaces an older one: the nodes of a
// cluster share one secret.
func KeepSecret(dir string, s Secret) error {
	if err := datadir.MakeDir(dir); err != nil {
		return fmt.Errorf("create the data directory: %w", err)
	}
	if err := datadir.Write(filepath.Join(dir, SecretFile), []byte(s.Reveal()+"\n")); err != nil {
		return fmt.Errorf("keep the cluster's HOOK_SECRET in %s: %w", dir, err)
	}
	return nil
}

// GenerateSecret draws a new secret.
func GenerateSecret() (Secret, error) {
	random := make([]byte, 24) // 32 characters
	if _, err := rand.Read(random); err != nil {
		return Secret{}, err
	}
	return NewSecret(base64.RawURLEncoding.EncodeToString(random)), nil
}

// storedSecret reads the secret that an earlier start generated, or that the
// operator put there.
func storedSecret(path string) (Secret, error) {
	if _, err := os.Stat(path); err != nil {
		return Secret{}, fmt.Errorf("read the generated HOOK_SECRET: %w", err)
	}
	b, err := readBeyond(path, maxSecretFile)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return Secret{}, fmt.Errorf("read the generated HOOK_SECRET: %w", err)
	}
	text, problem := secretIn(b, false)
	switch {
	case err != nil:
		problem = datadir.Unreadable(path)
	case problem == "" && (len(text) < minSecret || !urlSafe.MatchString(text)):
		problem = "holds no valid secret; remove the file to have a new one generated"
	}
	if problem != "" {
		return Secret{}, fmt.Errorf("generated HOOK_SECRET: %q %s", path, problem)
	}
	return NewSecret(text), nil
}

// OpenToOthers returns a warning if every user of this machine can read the data
// directory or the secret in it.
func (c *Config) OpenToOthers() string {
	for path, bits := range map[string]fs.FileMode{c.DataDir: 0o005, filepath.Join(c.DataDir, SecretFile): 0o004} {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&bits != 0 {
			return fmt.Sprintf("DATA_DIR: %q can be read by every user of this machine, and holds personal data and secrets; run: chmod o= %s", path, path)
		}
	}
	return ""
}
