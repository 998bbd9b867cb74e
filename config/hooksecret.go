package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// SecretFile is where EnsureSecret keeps the generated secret, in the data
// directory.
const SecretFile = "hook_secret"

// EnsureHookSecret sets HookSecret to the one kept in the data directory,
// generated at the first call, if none was given.
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

// EnsureSecret returns the secret kept in dir, creating directory and secret
// if there is none. The secret is on disk when it returns, readable by its
// owner only, and two processes that start at once get the same: Kazoo must
// never be told a URL that the next start doesn't accept.
func EnsureSecret(dir string) (Secret, error) {
	path := filepath.Join(dir, SecretFile)
	s, err := storedSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Secret{}, fmt.Errorf("create the data directory: %w", err)
	}
	if err := createSecret(dir, path); err != nil {
		return Secret{}, fmt.Errorf("keep a generated HOOK_SECRET in %s: %w", dir, err)
	}
	return storedSecret(path)
}

// storedSecret reads the secret that an earlier start generated, or that the
// operator put there.
func storedSecret(path string) (Secret, error) {
	if _, err := os.Stat(path); err != nil {
		return Secret{}, fmt.Errorf("read the generated HOOK_SECRET: %w", err)
	}
	text, problem := readSecret(path)
	if problem == "" && (len(text) < minSecret || !urlSafe.MatchString(text)) {
		problem = "holds no valid secret; remove the file to have a new one generated"
	}
	if problem != "" {
		return Secret{}, fmt.Errorf("generated HOOK_SECRET: %q %s", path, problem)
	}
	return NewSecret(text), nil
}

// createSecret writes a new secret to path unless there is one. The file gets
// its name when its content is on disk: link, unlike rename, leaves alone what
// another process has put there meanwhile.
func createSecret(dir, path string) (err error) {
	random := make([]byte, 24) // 32 characters
	if _, err := rand.Read(random); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, SecretFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(random) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

// syncDir makes new names in dir survive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
