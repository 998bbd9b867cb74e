package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/archive"
)

// TestSalvage damages a page of a journal and copies the rest with the command.
func TestSalvage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	for i := range n {
		r := event.Route(event.Request{
			Source: event.SourceWebhook, ReceivedAt: time.Now(), Hook: "object", Method: "POST", ContentType: "application/x-www-form-urlencoded",
			Body: []byte("id=u" + strings.Repeat("x", i%50) + "&account_id=a&action=doc_edited&type=user"),
		})
		if _, err := j.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, journal.FileName)
	b, err := os.ReadFile(path)
	at := bytes.Index(b, []byte("id=uxxxxxxxxxx&account_id")) / 4096 * 4096
	if at <= 0 {
		t.Fatalf("no event in %d bytes", len(b))
	}
	clear(b[at : at+4096])
	if err := errors.Join(err, os.WriteFile(path, b, 0o600)); err != nil { //nolint:gosec // directory of the test
		t.Fatal(err)
	}
	salvage := func(to string) (string, error) {
		var out, log bytes.Buffer
		err := run(t.Context(), []string{"salvage", to}, []string{"DATA_DIR=" + dir}, strings.NewReader(""), &out, &log)
		return out.String(), err
	}
	to := filepath.Join(t.TempDir(), "new.db")
	out, err := salvage(to)
	for _, want := range []string{"events and 50 known objects copied to " + to, "can't be read", "To use it: move"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %s", err, out)
		}
	}
	if _, err := salvage(to); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("again: %v", err)
	}
	if found, err := archive.CheckDir(t.Context(), dir); err != nil || len(found) == 0 {
		t.Errorf("the damage isn't found: %v, %v", found, err)
	}
}
