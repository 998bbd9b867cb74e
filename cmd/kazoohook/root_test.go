package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/requests"
)

// serviceUser is the user of the service in the tests of what root leaves.
const serviceUser = 65532

// TestRootLeavesNothingOfItsOwn: whatever a command makes in DATA_DIR when root runs it
// belongs to the owner of that directory. The service could not read root's files.
func TestRootLeavesNothingOfItsOwn(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	f, err := newFake(ctx, fakekazoo.Options{Speed: 50, Seed: 1, Version: "5"}, "127.0.0.1:0", "127.0.0.1:0", 10)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = f.run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	home := t.TempDir()
	if err := errors.Join(os.Chown(home, serviceUser, serviceUser), os.Chmod(home, 0o700)); err != nil { //nolint:gosec // a directory
		t.Fatal(err)
	}
	dir := filepath.Join(home, "not", "there")
	p := newProcess(t, "KAZOO_API_URL="+f.api, "HOOK_SECRET=", "HOOKS=object:user", "DATA_DIR="+dir)
	in := func(name string) string { return filepath.Join(dir, name) }
	elsewhere := t.TempDir()

	// command runs a command, and checks what is there then.
	seen := map[string]bool{} // names; paths that are wrong
	check := func(after string) {
		t.Helper()
		err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if owner, ok := info.Sys().(*syscall.Stat_t); !ok || owner.Uid != serviceUser || owner.Gid != serviceUser || info.Mode().Perm()&0o077 != 0 {
				if !seen[path] {
					t.Errorf("after %s: %s of %d: %s", after, info.Mode(), owner.Uid, path)
				}
				seen[path] = true
			}
			seen[d.Name()] = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	command := func(args ...string) {
		t.Helper()
		if stdout, stderr, code := program(t, p.environ, args...); code != 0 && code != codePending {
			t.Errorf("%v: code %d: %s%s", args, code, stdout, stderr)
		}
		check(strings.Join(args, " "))
	}
	command("plan", "--timeout", "1m")
	command("register", "--timeout", "1m")
	command("register", "--timeout", "1m", "--new-key")
	p.start(io.Discard, execServe) // as root, too
	p.until("it is ready", func() bool { return p.get(p.public+"/readyz") == 200 })
	if _, err := f.DeleteRandomUser(f.AccountID()); err != nil {
		t.Fatal(err)
	}
	p.until("the deletion is there", func() bool {
		_, body := p.read(p.admin + "/api/events?event=user.deleted")
		return strings.Contains(body, "user.deleted")
	})
	command("register", "--timeout", "1m", "--new-key") // beside the service
	command("backup", in("mine.db"))
	command("backup", filepath.Join(elsewhere, "backup"))
	p.stop()
	check("a stop")
	p.start(io.Discard, execServe)
	if err := p.cmd.Process.Kill(); err != nil { // leaves SQLite's files
		t.Fatal(err)
	}
	if err := <-p.ended; err == nil {
		t.Error("it ended by itself")
	}
	check("a crash")
	for _, args := range [][]string{
		{"events"}, {"dead"}, {"destinations"}, {"salvage", in("salvaged.db")}, {"restore", filepath.Join(elsewhere, "backup"), "--replace"}, {"unregister", "--timeout", "1m"},
	} {
		command(args...)
	}
	from, err := os.Open(filepath.Join(elsewhere, "backup"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = from.Close() }) // only read from
	if err := run(t.Context(), []string{"restore", "-", "--replace"}, p.environ, from, io.Discard, io.Discard); err != nil {
		t.Error(err)
	}
	check("restore -")
	for _, name := range []string{"events.db", "events.db-wal", "events.db-shm", "newest", "lock", "hook_secret", "hook_key", "salvaged.db", requests.FileName} {
		if !seen[name] {
			t.Errorf("%s was not there", name)
		}
	}
	// What is salvaged elsewhere is meant for DATA_DIR, too.
	to := filepath.Join(elsewhere, "salvaged.db")
	command("salvage", to)
	if info, err := os.Stat(to); err != nil || info.Sys().(*syscall.Stat_t).Uid != serviceUser {
		t.Errorf("%v, %v", info, err)
	}
}
