package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// On a full file system appends are refused with a clear reason, and acknowledged
// events stay. Once there is room, appends succeed again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	var log bytes.Buffer
	data := filepath.Join(dir, "data")
	j := openTest(t, Options{Dir: data, Log: zerolog.New(zerolog.SyncWriter(&log))})
	var acked []event.Appended
	big := func(i int64) event.Record {
		r := sample(i, event.Deleted)
		r.Body = bytes.Repeat([]byte("x"), 20_000)
		return r
	}
	i := int64(1)
	store := func() (event.Appended, error) {
		a, err := j.Append(t.Context(), big(i))
		if err == nil {
			acked = append(acked, a)
			i++
		}
		return a, err
	}
	for range 40 {
		if _, err := store(); err != nil {
			t.Fatal(err)
		}
	}
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	_ = f.Close()
	for err = nil; err == nil && i < 1000; {
		_, err = store()
	}
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no space left on device in "+data) {
		t.Fatalf("append to a full disk: %v", err)
	}
	if err := j.Health(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("health of a full disk: %v", err)
	}
	for range 5 {
		if _, err := store(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("append while full: %v", err)
		}
	}
	// A duplicate of a stored event is still recognised.
	if a, err := j.Append(t.Context(), big(1)); err != nil || !a.Duplicate || a.Seq != 1 {
		t.Errorf("duplicate while full: %+v, %v", a, err)
	}
	if got, err := j.Read(t.Context(), 0, 1000); err != nil || len(got) != len(acked) {
		t.Errorf("read %d of %d while full: %v", len(got), len(acked), err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the journal to notice that there is room", func() bool { return j.Health() == nil })
	for range 10 {
		a, err := store()
		if err != nil || a.Duplicate || a.Seq != int64(len(acked)) {
			t.Fatalf("append after the disk was full: %+v, %v", a, err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, Options{Dir: data})
	for k, a := range acked {
		if r := get(t, j, a.Seq); r.ID != a.ID || r.ObjectID != sample(int64(k)+1, event.Deleted).ObjectID {
			t.Errorf("event %d is %s, want %s", a.Seq, r.ID, a.ID)
		}
	}
	for _, want := range []string{"journal can't be written", "journal can be written again"} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("log does not say once that %s:\n%s", want, log.String())
		}
	}
}

// A failed transaction leaves nothing behind: no events, no numbers, and nothing that
// makes the repeated request look like a duplicate.
func TestFailedTransactionLeavesNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := openTest(t, Options{Now: c.now})
	first := mustAppend(t, j, sample(1, event.Edited))
	j.Acknowledged(sample(1, event.Edited), first, false)
	recovered := sample(9, event.Edited)
	recovered.Source, recovered.Firing = event.SourceRecovered, event.Firing{ID: "f", First: c.now(), Last: c.now()}
	recs := []event.Record{sample(2, event.Created), sample(3, event.Deleted), content(4), sample(5, event.Edited), recovered}

	limitPages(t, j, 1)
	for _, r := range recs {
		r.Body = bytes.Repeat([]byte("x"), 40_000)
		if _, err := j.Append(t.Context(), r); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("append without room: %v", err)
		}
	}
	// The unanswered request is not claimed by a failed transaction.
	r := sample(1, event.Edited)
	page := snapshot.Page{Type: "user", Account: "a", AsOf: j.Applied(), Objects: []snapshot.Listed{{ID: "u", Name: strings.Repeat("n", 40_000)}}}
	if _, err := j.Listed(t.Context(), page); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("listed without room: %v", err)
	}
	limitPages(t, j, 1<<20)
	if a := mustAppend(t, j, r); !a.Duplicate || a.Seq != first.Seq {
		t.Errorf("duplicate: %+v", a)
	}
	for i, r := range recs {
		if a := mustAppend(t, j, r); a.Duplicate || a.Seq != int64(i)+2 {
			t.Errorf("%s after the failure: %+v", r.Event, a)
		}
	}
	if err := j.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	st, err := j.Stats(t.Context())
	if err != nil || st.LastError == "" || st.Appends != 6 {
		t.Errorf("stats %+v, %v", st, err)
	}
}

// limitPages makes the database as full as a disk can be.
func limitPages(t *testing.T, j *Journal, n int) {
	t.Helper()
	var err error
	onWriter(t, j, func() { err = j.w.c.Script(ctx0, fmt.Sprintf("PRAGMA max_page_count=%d", n)) })
	if err != nil {
		t.Fatal(err)
	}
}

// While the journal is idle and can't be written, it tries again by itself.
func TestRecoversByItself(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	mustAppend(t, j, sample(1, event.Created))
	limitPages(t, j, 1)
	r := sample(2, event.Edited)
	r.Body = make([]byte, 100_000)
	if _, err := j.Append(t.Context(), r); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	limitPages(t, j, 1<<20)
	waitFor(t, "the journal to be tried again", func() bool { return j.Health() == nil })
}

func TestOverload(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{QueueSize: 3, QueueBytes: 1000})
	hold, held := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = j.do(context.Background(), &probe{run: func() { close(held); <-hold }})
	}()
	<-held
	results := make(chan error, 8)
	for i := range int64(3) {
		go func() {
			_, err := j.Append(context.Background(), sample(i, event.Edited))
			results <- err
		}()
	}
	waitFor(t, "the queue to fill", func() bool { return j.queue.load().requests == 3 })
	if _, err := j.Append(t.Context(), sample(7, event.Edited)); !errors.Is(err, ErrOverloaded) {
		t.Errorf("append to a full queue: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := j.SetState(ctx, "k", "v"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(hold)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	q := newQueue(Options{QueueSize: 10, QueueBytes: 100})
	big := &work{cmd: &request{Rec: event.Record{Request: event.Request{Body: make([]byte, 90)}}}}
	if err := q.push(big); err != nil {
		t.Error(err)
	}
	if err := q.push(big); !errors.Is(err, ErrOverloaded) {
		t.Errorf("too many bytes: %v", err)
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	j := &Journal{opt: Options{Dir: "/data"}}
	if err := j.unavailable(errors.New("odd")); err.Error() != "journal unavailable: cannot use the journal in /data: odd" {
		t.Errorf("got %v", err)
	}
	for _, err := range []error{nil, context.Canceled, ErrClosed, ErrCursorMoved} {
		if got := j.unavailable(err); !errors.Is(got, err) || errors.Is(got, ErrUnavailable) {
			t.Errorf("%v became %v", err, got)
		}
	}
}
