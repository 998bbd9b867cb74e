package oldformat

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// fixture returns a directory with a journal of the earlier version, whose process was
// killed: 38 events. Its other tables don't know the last six.
func fixture(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{FileName, FileName + "-wal"} {
		packed, err := os.Open(filepath.Join("testdata", name+".gz"))
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
	return dir
}

// now is a moment after the fixture was made.
func now() time.Time { return time.Date(2026, 5, 1, 12, 0, 50, 0, time.UTC) }

const account = "0123456789abcdef0123456789abcdef"

func id(n int) string { return fmt.Sprintf("%032x", n*7919) }

func record(n int, action, typ string) event.Record {
	return event.Route(event.Request{
		Source: event.SourceWebhook, ReceivedAt: now(), Hook: "object", HookID: "5f1e6f0c2a3b4c5d6e7f8091a2b3c4d5", HookAccountID: account,
		Method: "POST", ContentType: "application/x-www-form-urlencoded", RemoteAddr: "192.0.2.7",
		Body: fmt.Appendf(nil, "id=%s&account_id=%s&action=%s&type=%s&cluster_id=c1", id(n), account, action, typ),
	})
}

func open(t *testing.T, dir string, log io.Writer) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir, Now: now, Import: Import(zerolog.New(log))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func TestImport(t *testing.T) {
	t.Parallel()
	dir := fixture(t)
	var log bytes.Buffer
	j := open(t, dir, &log)
	checkImported(t, j)
	for _, want := range []string{`"events":38`, "can be removed", "answered 503"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
		t.Errorf("the old file: %v", err)
	}
	log.Reset()
	j = open(t, dir, &log) // imports nothing a second time
	if last, _ := j.Last(t.Context()); log.Len() > 0 || last < 38 {
		t.Errorf("%d events; %s", last, log.String())
	}
}

func checkImported(t *testing.T, j *journal.Journal) {
	t.Helper()
	ctx := t.Context()
	recs, err := j.Read(ctx, 0, 100)
	if err != nil || len(recs) != 38 {
		t.Fatalf("%d events, %v", len(recs), err)
	}
	for i, r := range recs {
		if r.Seq != int64(i+1) || r.ID == "" || i > 0 && r.ID <= recs[i-1].ID || r.HookID == "" || len(r.Body) == 0 || r.ReceivedAt.IsZero() {
			t.Fatalf("event %d: %+v", i+1, r)
		}
	}
	if r := recs[31]; r.Source != event.SourceRecovered || r.Firing.ID != "firing1" || r.Firing.Last.Sub(r.Firing.First) != 4*time.Second {
		t.Errorf("recovered: %+v", r)
	}
	if r := recs[30]; r.Event != event.Unknown || r.Problem == "" || string(r.Body) != "nothing known" {
		t.Errorf("unknown: %+v", r)
	}
	if c, err := j.Cursor(ctx, "log"); c != 25 || err != nil {
		t.Errorf("cursor %d, %v", c, err)
	}
	if list, err := j.Consumers(ctx); len(list) != 1 || err != nil {
		t.Errorf("consumers %v, %v", list, err)
	}
	for k, want := range map[string]string{"resync.owner": account, "recover.checkpoint": "2026-05-01T12:00:00Z"} {
		if v, err := j.State(ctx, k); v != want || err != nil {
			t.Errorf("state %s is %q, %v", k, v, err)
		}
	}
	objects := map[int]snapshot.State{1: snapshot.Deleted, 5: snapshot.Deleted, 9: snapshot.Alive, 10: snapshot.Deleted, 15: snapshot.Alive, 25: snapshot.Alive}
	for n, want := range objects {
		o, ok, err := j.Object(ctx, "user", account, id(n))
		if !ok || err != nil || o.State != want || (n >= 5) != (o.Name == fmt.Sprint("User ", n)) {
			t.Errorf("user %d: %+v, %v, %v", n, o, ok, err)
		}
	}
	if n, err := j.CountObjects(ctx, "user", ""); n != 16 || err != nil { // 9 to 25 but 10
		t.Errorf("%d users, %v", n, err)
	}
	checkDuplicates(t, j)
}

// checkDuplicates: duplicates of imported events are still recognised.
func checkDuplicates(t *testing.T, j *journal.Journal) {
	t.Helper()
	recovered := func(n int, firing string) event.Record {
		r := record(n, "doc_edited", "user")
		r.Source, r.ReceivedAt = event.SourceRecovered, now()
		r.Firing = event.Firing{ID: firing, First: now().Add(-10 * time.Second), Last: now()}
		return r
	}
	device := record(30, "doc_deleted", "device")
	device.Source, device.Firing = event.SourceRecovered, event.Firing{ID: "firing1", First: now(), Last: now()}
	call := record(1, "", "")
	call = event.Route(event.Request{
		Source: event.SourceWebhook, ReceivedAt: now(), Hook: "channel_create", HookID: call.HookID, HookAccountID: account, Method: "POST",
		ContentType: call.ContentType, Body: []byte("hook_event=channel_create&call_id=call1&timestamp=63800000000&account_id=" + account),
	})
	for name, c := range map[string]struct {
		rec event.Record
		dup int64
	}{
		"deletion":                          {record(1, "doc_deleted", "user"), 21},
		"deletion that was not yet folded":  {record(10, "doc_deleted", "user"), 33},
		"creation":                          {record(15, "doc_created", "user"), 15},
		"creation that was not yet folded":  {record(31, "doc_created", "device"), 34},
		"call":                              {call, 30},
		"firing":                            {device, 32},
		"failed edit":                       {recovered(11, "f11"), 35},
		"edit whose answer isn't known":     {recovered(13, "f13"), 37},
		"edit that was answered":            {recovered(12, "f12"), 0},
		"deletion of a user from a listing": {record(20, "doc_deleted", "user"), 0},
	} {
		a, err := j.Append(t.Context(), c.rec)
		if err != nil || a.Duplicate != (c.dup != 0) || c.dup != 0 && a.Seq != c.dup || c.dup == 0 && a.Seq <= 38 {
			t.Errorf("%s: %+v, %v, want %d", name, a, err, c.dup)
		}
	}
}

// An import that was interrupted goes on where it was.
func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	dir := fixture(t)
	c, err := tables.NewBuilder(t.Context(), filepath.Join(dir, copyName))
	if err != nil {
		t.Fatal(err)
	}
	first := fixtureEvents(t, dir)
	if err := errors.Join(c.Events(first[:10]), c.Events(first[10:17]), c.Close()); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	checkImported(t, open(t, dir, &log))
	if !strings.Contains(log.String(), `"done":17`) {
		t.Errorf("log: %s", log.String())
	}
}

func fixtureEvents(t *testing.T, dir string) []event.Record {
	t.Helper()
	j := open(t, fixture(t), io.Discard)
	recs, err := j.Read(t.Context(), 0, 100)
	if err != nil || len(recs) != 38 {
		t.Fatalf("%d events of %s, %v", len(recs), dir, err)
	}
	return recs
}

func TestImportFails(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		harm func(b []byte) []byte
		want string
	}{
		"cancelled":   {cancelled, func(b []byte) []byte { return b }, "context canceled"},
		"no database": {t.Context(), func([]byte) []byte { return []byte(strings.Repeat("x", 5000)) }, "not a database"},
	} {
		dir := fixture(t)
		if c.ctx.Err() == nil {
			if err := os.Remove(filepath.Join(dir, FileName+"-wal")); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, FileName))
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, FileName), c.harm(b), 0o600)); err != nil {
			t.Fatal(err)
		}
		err = Import(zerolog.Nop())(c.ctx, dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), FileName) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, journal.FileName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: there is a journal: %v", name, err)
		}
	}
	if err := Import(zerolog.Nop())(t.Context(), t.TempDir()); err != nil {
		t.Errorf("nothing to import: %v", err)
	}
}
