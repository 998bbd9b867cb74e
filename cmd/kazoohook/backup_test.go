package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/integrity"
)

// eventLine has the fields that these tests read from an event's line.
type eventLine struct {
	Event    string `json:"event"`
	Source   string `json:"source"`
	ObjectID string `json:"object_id"`
	Journal  string `json:"journal"`
	Seq      int64  `json:"seq"`
}

// deletions returns the lines about deleted users in a log, by user.
func deletions(t *testing.T, log string) map[string][]eventLine {
	t.Helper()
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]eventLine{}
	for line := range bytes.Lines(raw[:bytes.LastIndexByte(raw, '\n')+1]) {
		var l eventLine
		if err := json.Unmarshal(line, &l); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if l.Event == "user.deleted" {
			out[l.ObjectID] = append(out[l.ObjectID], l)
		}
	}
	return out
}

// TestRestoredElsewhere makes a backup while events arrive, kills the service, and
// restores the backup on another machine. There, users deleted in between are reported
// under a new journal name. Events in the backup aren't reported again.
func TestRestoredElsewhere(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	f, err := newFake(ctx, fakekazoo.Options{Speed: 50, Seed: 1}, "127.0.0.1:0", "127.0.0.1:0", 40)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = f.run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })

	p := newProcess(t, "KAZOO_API_URL="+f.api, "KAZOO_API_RATE=10", "RECONCILE_INTERVAL=1s", "RESYNC_INTERVAL=10s", "HOOKS=object:user", "HOOK_SECRET=")
	logged := func() (path string, file *os.File) {
		path = filepath.Join(t.TempDir(), "log")
		if file, err = os.Create(path); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() }) // the process has its own copy
		return path, file
	}
	remove := func() string {
		t.Helper()
		id, err := f.DeleteRandomUser(f.AccountID())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	before, out := logged()
	p.start(out, execServe)
	p.until("the first comparison is made", func() bool {
		raw, _ := os.ReadFile(before) // the file exists
		return p.get(p.public+"/readyz") == 200 && strings.Contains(string(raw), "baseline")
	})
	first := remove()
	p.until("it is logged", func() bool { return len(deletions(t, before)[first]) == 1 })

	f.SetTraffic(20)
	backup := filepath.Join(t.TempDir(), "backup")
	stdout, stderr, code := program(t, p.environ, "backup", backup)
	f.SetTraffic(0)
	if code != 0 || !strings.Contains(stdout, "found whole\nwith hook_key") || !strings.Contains(stdout, "with hook_secret\n") {
		t.Fatalf("code %d: %s%s", code, stdout, stderr)
	}
	if _, stderr, code := program(t, p.environ, "restore", backup, "--replace"); code != codeFailed || !strings.Contains(stderr, "another kazoohook") {
		t.Errorf("restored beside a running service: code %d, %s", code, stderr)
	}
	second := remove() // reported only by the journal that is about to be lost
	p.until("it is logged", func() bool { return len(deletions(t, before)[second]) == 1 })
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-p.ended; err == nil {
		t.Error("it ended by itself")
	}
	third := remove() // while no service runs

	old := p.environ
	p.environ = append(p.environ, "DATA_DIR="+filepath.Join(t.TempDir(), "elsewhere"))
	p.move()
	stdout, stderr, code = program(t, p.environ, "restore", backup)
	if code != 0 || !strings.Contains(stdout, "its next event is") || !strings.Contains(stdout, "with hook_secret") {
		t.Fatalf("code %d: %s%s", code, stdout, stderr)
	}
	after, out := logged()
	p.start(out, execServe)
	p.until("what was missed is reported", func() bool {
		lines := deletions(t, after)
		return len(lines[second]) > 0 && len(lines[third]) > 0
	})
	p.stop()
	lines, earlier := deletions(t, after), deletions(t, before)[first][0]
	for _, id := range []string{second, third} {
		if got := lines[id]; len(got) != 1 || got[0].Journal == earlier.Journal || got[0].Seq < 100_000 || got[0].Source == "webhook" {
			t.Errorf("%s: %+v", id, got)
		}
	}
	for _, l := range lines[first] {
		if l.Seq != earlier.Seq { // its line may be repeated if the backup's cursor is behind
			t.Errorf("what the backup holds is reported again: %+v", l)
		}
	}
	raw, err := os.ReadFile(after)
	if err != nil || !strings.Contains(string(raw), "outage: events may have been missed") {
		t.Errorf("no outage in the log: %v\n%s", err, raw)
	}

	// A restore over the old journal needs --replace.
	if _, stderr, code := program(t, old, "restore", backup); code != codeFailed || !strings.Contains(stderr, "--replace") {
		t.Errorf("code %d, %s", code, stderr)
	}
	if stdout, stderr, code := program(t, old, "restore", backup, "--replace"); code != 0 || !strings.Contains(stdout, "what was there is in") {
		t.Errorf("code %d, %s%s", code, stdout, stderr)
	}
}

// TestBackupThroughPipes makes and restores a backup as in a container, without a file
// outside the data directory.
func TestBackupThroughPipes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	from, to := "DATA_DIR="+s.service.cfg.DataDir, "DATA_DIR="+filepath.Join(t.TempDir(), "data")
	key, err := os.ReadFile(filepath.Join(s.service.cfg.DataDir, "hook_key"))
	if err != nil {
		t.Fatal(err)
	}
	var backup, out, diagnostics bytes.Buffer
	if err := run(t.Context(), []string{"backup", "-"}, []string{from, "ADMIN_TOKEN=" + strings.TrimSpace(string(key))}, strings.NewReader(""), &backup, &diagnostics); err != nil {
		t.Fatalf("%v: %s", err, diagnostics.String())
	}
	if !strings.Contains(diagnostics.String(), "without the hook secret") || strings.Contains(diagnostics.String(), strings.TrimSpace(string(key))) {
		t.Errorf("it says %s", diagnostics.String())
	}
	if err := run(t.Context(), []string{"restore", "-"}, []string{to}, bytes.NewReader(backup.Bytes()), &out, &diagnostics); err != nil {
		t.Fatalf("%v: %s", err, diagnostics.String())
	}
	if got, err := os.ReadFile(filepath.Join(strings.TrimPrefix(to, "DATA_DIR="), "hook_key")); err != nil || !bytes.Equal(got, key) {
		t.Errorf("the key differs: %v", err)
	}
	for _, dir := range []string{from, to} {
		if left, err := filepath.Glob(filepath.Join(strings.TrimPrefix(dir, "DATA_DIR="), "*.partial")); err != nil || len(left) > 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	}
	stdout, stderr, code := program(t, []string{to}, "restore", filepath.Join(t.TempDir(), "none"))
	if code != codeFailed || stdout != "" || !strings.Contains(stderr, "no such file") {
		t.Errorf("code %d, %s%s", code, stdout, stderr)
	}
}

// TestNoStartAfterHalfARestore: while a restore is half done, no command makes a new
// journal or a new secret, and the error names what to do.
func TestNoStartAfterHalfARestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, integrity.UnfinishedName), []byte("replaced-then"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"DATA_DIR=" + dir, "KAZOO_API_URL=http://127.0.0.1:1", "KAZOO_API_KEY=" + fakekazoo.DefaultAPIKey,
		"PUBLIC_URL=https://hooks.example.com", "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=off",
	}
	for _, command := range []string{"serve", "register"} {
		var out, log bytes.Buffer
		err := run(t.Context(), []string{command}, environ, strings.NewReader(""), &out, &log)
		if err == nil || !strings.Contains(err.Error(), "run kazoohook restore --replace again") || !strings.Contains(err.Error(), filepath.Join(dir, "replaced-then")) {
			t.Errorf("%s: %v", command, err)
		}
		for _, name := range []string{journal.FileName, "hook_secret"} {
			if _, err := os.Stat(filepath.Join(dir, name)); !os.IsNotExist(err) {
				t.Errorf("%s has made %s", command, name)
			}
		}
	}
}
