package registration

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/datadir"
)

// KeyFile holds the signing keys, in the data directory: one a line, the newest
// first.
const KeyFile = "hook_key"

// unusedFile lies beside KeyFile if the service or register has found that the
// cluster doesn't offer signed requests. The command plan writes no hooks, so it
// can't find out.
const unusedFile = KeyFile + ".unused"

// keysKept is the number of accepted keys: the newest, with which hooks are
// registered, and the one before, because requests may still be signed with it.
const keysKept = 2

var validKey = regexp.MustCompile(`^[[:graph:]]{16,200}$`)

// Keyring holds the keys with which Kazoo 5 signs the requests of version 2 hooks.
// Its file is read again when it changes, so a command can change the key of a
// running service. Safe for concurrent use.
type Keyring struct {
	path  string
	learn func(keys ...string) // called with new keys before their use, to mask them

	mu   sync.Mutex
	read fs.FileInfo // of the file when it was read
	keys []string    // the newest first
}

// OpenKeyring reads the keys in a directory. If there are none, it generates one,
// and stores it if keep is true. learn is called with every key before its use, so
// that it can be masked.
func OpenKeyring(dir string, keep bool, learn func(keys ...string)) (*Keyring, error) {
	k := &Keyring{path: filepath.Join(dir, KeyFile), learn: learn}
	err := k.reload()
	if none := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR); !none {
		return k, err
	}
	k.keys = []string{newKey()}
	learn(k.keys...)
	if !keep {
		return k, nil
	}
	if err := datadir.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	// Two processes that start at once get the same key.
	if err := datadir.WriteNew(k.path, []byte(k.text())); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("keep the signing keys: %w", err)
	}
	err = k.reload()
	return k, err
}

// Rotate adds a new key as the newest. The one before is still accepted.
func (k *Keyring) Rotate() error {
	if err := k.reload(); err != nil {
		return err
	}
	k.mu.Lock()
	k.keys = append([]string{newKey()}, k.keys[:min(len(k.keys), keysKept-1)]...)
	k.mu.Unlock()
	return k.store()
}

// Text returns the content of the keys' file, for another node of the cluster.
func (k *Keyring) Text() (string, error) {
	if err := k.reload(); err != nil {
		return "", err
	}
	return k.text(), nil
}

// Replace replaces the keys with the content of another node's file.
func (k *Keyring) Replace(text string) error {
	keys := strings.Fields(text)
	if len(keys) == 0 || len(keys) > keysKept || slices.ContainsFunc(keys, func(key string) bool { return !validKey.MatchString(key) }) {
		return errors.New("the cluster's nodes share something that is not signing keys")
	}
	k.learn(keys...)
	k.mu.Lock()
	k.keys = keys
	k.mu.Unlock()
	return k.store()
}

// Newest returns the key for registering hooks.
func (k *Keyring) Newest() crossbar.Secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	return crossbar.Secret(k.keys[0])
}

// noteUse stores whether the cluster signs with the keys. If it can't be stored,
// plan may show a change that isn't made.
func (k *Keyring) noteUse(used bool) {
	path := filepath.Join(filepath.Dir(k.path), unusedFile)
	if used {
		_ = os.Remove(path)
		return
	}
	_ = datadir.Write(path, nil)
}

// unused reports whether the cluster didn't sign when it was last asked.
func (k *Keyring) unused() bool {
	_, err := os.Stat(filepath.Join(filepath.Dir(k.path), unusedFile))
	return err == nil
}

// Secrets returns the keys, to be masked.
func (k *Keyring) Secrets() []string {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string{}, k.keys...)
}

// Bytes returns the keys that may sign requests.
func (k *Keyring) Bytes() [][]byte {
	// A command may just have changed the key, and Kazoo may sign with it before
	// the next pass. If the file can't be read, the known keys stay valid.
	_ = k.reload()
	var keys [][]byte //nolint:prealloc // two at most
	for _, key := range k.Secrets() {
		keys = append(keys, []byte(key))
	}
	return keys
}

func newKey() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails
	return base64.RawURLEncoding.EncodeToString(random)
}

// errKeys says that the file of the keys can't be read.
var errKeys = errors.New("read the signing keys")

// reload reads the file if it has changed. After an error the known keys stay in use.
func (k *Keyring) reload() error {
	err := k.readFile()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s %s", errKeys, k.path, datadir.Unreadable(k.path))
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w; put it back, or restart to have a new key generated", errKeys, err)
	}
	return fmt.Errorf("%w: %w", errKeys, err)
}

func (k *Keyring) readFile() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Stat(k.path)
	if err != nil {
		return err
	}
	// The time alone doesn't show every change: file systems count in ticks of some
	// milliseconds.
	if k.read != nil && os.SameFile(info, k.read) && info.ModTime().Equal(k.read.ModTime()) && info.Size() == k.read.Size() {
		return nil
	}
	text, err := os.ReadFile(k.path)
	if err != nil {
		return err
	}
	keys := strings.Fields(string(text))
	if len(keys) == 0 || len(keys) > keysKept {
		return fmt.Errorf("%s should hold one key a line, at most %d; remove it to have a new one generated", k.path, keysKept)
	}
	for _, key := range keys {
		if !validKey.MatchString(key) {
			return fmt.Errorf("%s holds a key that is not 16 to 200 printable characters; remove it to have a new one generated", k.path)
		}
	}
	k.learn(keys...)
	k.keys, k.read = keys, info
	return nil
}

// text returns the content of the file.
func (k *Keyring) text() string { return strings.Join(k.Secrets(), "\n") + "\n" }

// store replaces the file.
func (k *Keyring) store() error {
	if err := datadir.Write(k.path, []byte(k.text())); err != nil {
		return fmt.Errorf("keep the signing keys: %w", err)
	}
	return k.reload()
}
