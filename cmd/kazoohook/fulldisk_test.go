//go:build linux

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kazoohook/internal/journal/oldformat"
)

// smallDisk mounts its own file system. If that isn't allowed, the test is skipped.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	switch err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		t.Skip("mounting is not allowed here")
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the free space of a disk and returns the file that holds it.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// unfill makes room again. A process that another test starts may hold the file open for
// a moment, so removing it isn't enough.
func unfill(t *testing.T, filler string) {
	t.Helper()
	if err := errors.Join(os.Truncate(filler, 0), os.Remove(filler)); err != nil {
		t.Fatal(err)
	}
}

// TestStartOnAFullDisk, at the first start and at a later one: the service listens,
// asks Kazoo to resend, and says why it isn't ready. It continues by itself when there
// is room.
func TestStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"first start": true, "later start": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := smallDisk(t, "32m")
			p := newProcess(t, "DATA_DIR="+filepath.Join(disk, "data"))
			if !first {
				p.start(nil, execServe+" >/dev/null")
				p.deliver(0, 3)
				p.stop()
			}
			filler := fill(t, disk)
			log := filepath.Join(t.TempDir(), "log")
			out, err := os.Create(log)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = out.Close() })
			p.listen(out, execServe)
			if got := p.resend(10); got != nil {
				t.Errorf("a delivery: %v", got)
			}
			p.until("readyz says why", func() bool { // the disk may be slow, too: then it says that first
				reason := p.notReady()
				return strings.Contains(reason, `{"name":"journal","ok":false`) && strings.Contains(reason, "KiB free")
			})
			p.until("the log says why", func() bool { // the service listens first
				text, err := os.ReadFile(log)
				return err == nil && bytes.Contains(text, []byte(`"level":"error"`)) && bytes.Contains(text, []byte("can't be used for now"))
			})
			unfill(t, filler)
			p.until("a delivery is taken", func() bool { return errors.Is(p.resend(10), errTaken) })
			p.until("its event is logged", func() bool {
				text, err := os.ReadFile(log)
				return err == nil && len(p.logged(text[:bytes.LastIndexByte(text, '\n')+1])) == 1
			})
			p.stop()
		})
	}
}

// TestStartOnABrokenDisk: while the stored secret can't be read, requests with it are
// answered 503, not 404, because Kazoo's hooks have it. The service continues by itself
// when it can be read.
func TestStartOnABrokenDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "hook_secret")
	if err := os.Symlink("/proc/self/mem", path); err != nil { // reading it fails like a broken disk
		t.Fatal(err)
	}
	p := newProcess(t, "DATA_DIR="+dir, "HOOK_SECRET=")
	p.listen(nil, execServe+" >/dev/null")
	if got := p.resend(10); got != nil {
		t.Errorf("a delivery: %v", got)
	}
	p.until("readyz says why", func() bool { return strings.Contains(p.notReady(), "input/output error") })
	whole := filepath.Join(t.TempDir(), "hook_secret")
	if err := errors.Join(os.WriteFile(whole, []byte(processSecret+"\n"), 0o600), os.Symlink(whole, path+".new"), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
	p.until("a delivery is taken", func() bool { return errors.Is(p.resend(11), errTaken) })
	p.stop()
}

var errTaken = errors.New("taken")

// resend posts a deletion. It must be answered 503 with Retry-After; the error says
// what happened instead.
func (p *process) resend(i int) error {
	p.t.Helper()
	body := fmt.Sprintf("id=%032x&account_id=%032x&action=doc_deleted&type=user&cluster_id=c", i, 1)
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.public+"/kazoo/"+processSecret+"/object", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // only the status matters
	switch {
	case resp.StatusCode == http.StatusOK:
		return errTaken
	case resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "":
		return fmt.Errorf("answered %s, %v", resp.Status, resp.Header)
	}
	return nil
}

// notReady returns the answer of /readyz of a service that isn't ready.
func (p *process) notReady() string {
	p.t.Helper()
	status, body := p.read(p.admin + "/readyz")
	if status != http.StatusServiceUnavailable || !json.Valid([]byte(body)) {
		p.t.Errorf("readyz answered %d: %s", status, body)
	}
	return body
}

// TestOpenOnANearlyFullDisk opens data directories in every state with more and more
// room. A step that finds none fails with an error that may pass. With room, the same
// service opens the directory and has all its events.
func TestOpenOnANearlyFullDisk(t *testing.T) {
	t.Parallel()
	const page = 4 << 10
	for name, c := range map[string]struct {
		prepare func(t *testing.T, dir string)
		events  int64
		step    int // in pages
	}{
		"empty":     {func(*testing.T, string) {}, 0, 1},
		"stopped":   {func(t *testing.T, dir string) { t.Helper(); used(t, dir, true) }, 3, 1},
		"killed":    {func(t *testing.T, dir string) { t.Helper(); used(t, dir, false) }, 3, 1},
		"to import": {func(t *testing.T, dir string) { t.Helper(); oldJournal(t, dir) }, 38, 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk, template := smallDisk(t, "8m"), t.TempDir()
			c.prepare(t, template)
			failed, opened := 0, 0
			for room := 0; opened < 3; room += c.step {
				dir := filepath.Join(disk, "data")
				if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
					t.Fatal(err)
				}
				filler := fill(t, disk)
				info, err := os.Stat(filler)
				if err == nil {
					err = os.Truncate(filler, max(0, info.Size()-int64(room)*page))
				}
				if err != nil {
					t.Fatal(err)
				}
				s := dataService(t, dir)
				if err = openData(t, s); err == nil {
					opened++
				} else {
					failed++
					if !passing(err) {
						t.Errorf("with room for %d pages: %v", room, err)
					}
					unfill(t, filler)
					if err := openData(t, s); err != nil {
						t.Fatalf("with room again, after %d pages: %v", room, err)
					}
				}
				if last, err := s.journal.Last(t.Context()); err != nil || last != c.events {
					t.Errorf("with room for %d pages: the last event is %d: %v", room, last, err)
				}
				if err := s.journal.Close(); err != nil && !passing(err) {
					t.Errorf("close: %v", err)
				}
				if err := errors.Join(os.RemoveAll(dir), os.RemoveAll(filler)); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d failed, %d opened", failed, opened)
			if failed == 0 {
				t.Error("the disk was never full")
			}
		})
	}
}

// oldJournal puts the journal of an earlier version into a directory.
func oldJournal(t *testing.T, dir string) {
	t.Helper()
	const from = "../../internal/journal/oldformat/testdata"
	for _, name := range []string{oldformat.FileName, oldformat.FileName + "-wal"} {
		packed, err := os.Open(filepath.Join(from, name+".gz"))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(packed)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		if err := errors.Join(err, packed.Close(), os.WriteFile(filepath.Join(dir, name), b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheLogsDiskIsFull: event lines wait until there is room, each line is whole, and
// a stop doesn't wait for room.
func TestTheLogsDiskIsFull(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "256k")
	p := newProcess(t)
	filler := fill(t, disk)
	if err := os.Truncate(filler, 232<<10); err != nil { // room for some lines and a part of one
		t.Fatal(err)
	}
	log := filepath.Join(disk, "log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	p.start(out, execServe)
	p.deliver(0, 100)
	p.until("the log is full", func() bool {
		_, metrics := p.read(p.admin + "/metrics")
		return !strings.Contains(metrics, "kazoohook_consumer_failures_total{consumer=\"log\"} 0\n")
	})
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n > 90 {
		t.Fatalf("there was room for %d lines", n)
	}
	unfill(t, filler)
	p.until("every event is logged", func() bool {
		text, err := os.ReadFile(log)
		return err == nil && len(p.logged(text[:bytes.LastIndexByte(text, '\n')+1])) == 100
	})
	p.stop()
	if text, err = os.ReadFile(log); err != nil || len(p.logged(text)) != 100 {
		t.Errorf("%v\n%s", err, text)
	}
}
