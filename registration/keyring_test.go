package registration

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal/journaltest"
)

// TestNewKeyBesideTheService: a command that exchanges the key of a running service
// makes no outage. A switch-off at the same time makes one.
func TestNewKeyBesideTheService(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{Version: "5"})
	dir := t.TempDir()
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Interval, opts.Keys, opts.InternalLegs = time.Hour, testKeys(t, dir), true
	e := NewEngine(c.client(t), openJournal(t, journaltest.MemoryDir(t), nil), opts, RecoverOptions{}, ResyncOptions{}, EngineOptions{Settle: time.Millisecond})
	stop := run(t, e)
	defer stop()
	proven := e.proofs.proven
	eventually(t, "proven", proven)
	for want, off := range []bool{false, true} {
		if off {
			if err := c.DisableHook(c.hooks(t)[0].ID, "by hand"); err != nil {
				t.Fatal(err)
			}
		}
		command := opts
		command.Keys = testKeys(t, dir)
		if err := command.Keys.Rotate(); err != nil {
			t.Fatal(err)
		}
		if err := NewReconciler(c.client(t), command).RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h := c.hooks(t)[0]; h.SecurityKey != command.Keys.Newest() || !h.Enabled {
			t.Fatal("the command has not exchanged the key")
		}
		runs := e.Reconciler.Status().Runs
		for range 2 { // the second proves the hook
			e.ReconcileNow()
			eventually(t, "a pass", func() bool { return e.Reconciler.Status().Runs > runs && proven() })
			runs = e.Reconciler.Status().Runs
		}
		// A pass is counted before it is judged.
		eventually(t, "the outage", func() bool { return e.Outages() >= want })
		if got := e.Outages(); got != want {
			t.Errorf("switched off: %t: %d outages, want %d", off, got, want)
		}
	}
}

// TestKeyExchangedBetweenPasses: requests signed with a key that a command has just made
// are verified before the next pass. If the file can't be read, no key is lost.
func TestKeyExchangedBetweenPasses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Keys = testKeys(t, dir)
	r := NewReconciler(nil, opts)
	first := opts.Keys.Newest()
	r.setSigned(SignedHooks{"h1": {true, time.Now()}})
	other := testKeys(t, dir)
	if err := other.Rotate(); err != nil {
		t.Fatal(err)
	}
	want := [][]byte{[]byte(other.Newest()), []byte(first)}
	if got, _, _ := r.keysOf("h1"); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%d keys right after the exchange, want the new one and the one before", len(got))
	}
	if err := other.Rotate(); err != nil {
		t.Fatal(err)
	}
	r.noteSigned([]crossbar.Hook{{ID: "h2", Version: version2, SecurityKey: other.Newest()}})
	if got, _, _ := r.keysOf("h2"); len(got) != 2 {
		t.Error("no keys of a hook that was found with the new key")
	}
	if err := os.WriteFile(filepath.Join(dir, KeyFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := r.keysOf("h2"); len(got) != 2 || string(got[0]) != string(other.Newest()) {
		t.Errorf("%d keys with a broken file", len(got))
	}
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	var learned []string
	learn := func(keys ...string) { learned = append(learned, keys...) }
	k, err := OpenKeyring(dir, false, learn)
	if err != nil || k.Newest() == "" || k.kept() {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a command that changes nothing wrote: %v", err)
	}
	a, b := testKeys(t, dir), testKeys(t, dir)
	if a.Newest() != b.Newest() || !a.kept() {
		t.Error("two processes have different keys")
	}
	for range 3 {
		before := a.Newest()
		if err := a.Rotate(); err != nil {
			t.Fatal(err)
		}
		if got := a.Secrets(); len(got) != 2 || got[1] != string(before) || got[0] == got[1] {
			t.Errorf("%d keys after an exchange", len(got))
		}
	}
	if k, err = OpenKeyring(dir, false, learn); err != nil || !slices.Equal(k.Secrets(), a.Secrets()) || !slices.Contains(learned, string(a.Newest())) {
		t.Error("the keys aren't read as they were written, or not learnt", err)
	}
	path := filepath.Join(dir, KeyFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("files left over: %v, %v", files, err)
	}
	for text, want := range map[string]string{"": "one key a line", "a b c": "at most 2", "short": "16 to 200"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeyring(dir, true, learn); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if none := (*Keyring)(nil).Secrets(); none != nil {
		t.Errorf("%v", none)
	}
}

// TestNewKeyKeepsTheKeyInUse: a key is not exchanged while Kazoo still signs with the one
// before the newest, or while that isn't known.
func TestNewKeyKeepsTheKeyInUse(t *testing.T) {
	t.Parallel()
	s := &stub{attemptLog: &attemptLog{now: time.Now}, offered: []crossbar.OfferedHook{{ID: "object"}}}
	opts := reconcilerOptions(testURL)
	opts.Keys = testKeys(t, t.TempDir())
	first := string(opts.Keys.Newest())
	r := NewReconciler(s, opts)
	if err := r.RunOnce(t.Context()); err != nil || string(s.hooks[0].SecurityKey) != first {
		t.Fatalf("the hook is not signed: %v", err)
	}
	rotate := func(want string) {
		t.Helper()
		switch err := NewReconciler(s, opts).RotateKey(t.Context()); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%v, want %q", err, want)
		}
	}
	s.set(func() { s.stuck = map[string]error{"h1": &crossbar.Error{Status: http.StatusInternalServerError}} })
	rotate("isn't known")
	s.set(func() { s.stuck = nil })
	rotate("")
	for range 2 { // the hook still has the first key
		rotate("still has the key before the newest")
		if keys := opts.Keys.Secrets(); keys[1] != first {
			t.Fatal("the key with which Kazoo signs is no longer accepted")
		}
	}
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	rotate("")
}

// TestKeysThatCannotBeRead: while the file of the keys can't be read, passes go on with
// the known keys, also where a command has put another key into the hooks. The status
// says why they fail.
func TestKeysThatCannotBeRead(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{Version: "5"})
	dir := t.TempDir()
	path := filepath.Join(dir, KeyFile)
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Keys, opts.InternalLegs = testKeys(t, dir), true
	r := NewReconciler(c.client(t), opts)
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	known := opts.Keys.Newest()
	command := opts
	command.Keys = testKeys(t, dir)
	if err := command.Keys.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := NewReconciler(c.client(t), command).RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := path + ".kept"
	if err := errors.Join(os.Rename(path, kept), os.Mkdir(path, 0o700)); err != nil { // nobody can read it, not even root
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"it has another key":   func() error { return nil },
		"it is off":            func() error { return c.DisableHook(c.hooks(t)[0].ID, "by hand") },
		"there is no file":     func() error { return os.Remove(path) },
		"the file is no keys'": func() error { return errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte("x"), 0o600)) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		err := r.RunOnce(t.Context())
		if s := r.Status(); err == nil || !strings.Contains(s.Error, path) || s.Cause != CauseKeys {
			t.Errorf("%s: %v, cause %q", name, err, s.Cause)
		}
		if h := c.hooks(t)[0]; !h.Enabled || h.Version != version2 || h.SecurityKey != known {
			t.Errorf("%s: enabled %t, version %s, the known key %t", name, h.Enabled, h.Version, h.SecurityKey == known)
		}
		if keys, _, _ := r.keysOf(c.hooks(t)[0].ID); len(keys) != 1 || string(keys[0]) != string(known) {
			t.Errorf("%s: %d keys", name, len(keys))
		}
	}
	if err := errors.Join(os.RemoveAll(path), os.Rename(kept, path)); err != nil {
		t.Fatal(err)
	}
	if err := r.RunOnce(t.Context()); err != nil || r.Status().Cause != "" || c.hooks(t)[0].SecurityKey != command.Keys.Newest() {
		t.Errorf("when it can be read again: %v", err)
	}
}
