package requests_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/requests"
)

func some(seq int64, duplicate bool, at time.Time) requests.Request {
	return requests.Request{
		Seq: seq, Duplicate: duplicate, At: at.UTC(), Method: "POST", From: "203.0.113.7", Status: 200, Written: true, Took: 3 * time.Millisecond,
		Headers: []requests.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "Host", Value: fmt.Sprintf("h%d", seq)}},
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := requests.New(requests.Options{})
	r.Note(some(7, true, now)) // noted before the first one, whose answer took longer
	r.Note(some(7, false, now))
	r.Note(some(8, false, now))
	r.Note(some(7, true, now.Add(time.Second)))
	got := r.Of(7)
	if len(got) != 3 || got[0].Duplicate || !got[1].Duplicate || !got[2].Duplicate || got[2].At.Before(got[1].At) {
		t.Errorf("requests of 7: %+v", got)
	}
	if got[0].Headers[1].Value != "h7" || got[0].Took != 3*time.Millisecond {
		t.Errorf("the request was noted wrongly: %+v", got[0])
	}
	if len(r.Of(9)) != 0 {
		t.Error("requests of an event that has none")
	}
	if d := r.Duplicated(); !slices.Equal(d, []int64{7}) {
		t.Errorf("duplicated %v", d)
	}
}

// TestBounds: the oldest requests are forgotten, by number and by bytes. Many first
// requests push out no duplicate.
func TestBounds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := requests.New(requests.Options{Most: 10})
	r.Note(some(1, true, now))
	for seq := range int64(100) {
		r.Note(some(seq+1, false, now))
	}
	if len(r.Of(90)) != 0 || len(r.Of(91)) != 1 || len(r.Of(100)) != 1 {
		t.Error("other requests than the newest ten are kept")
	}
	if got := r.Of(1); len(got) != 1 || !got[0].Duplicate {
		t.Errorf("the duplicate was forgotten with the first ones: %+v", got)
	}
	for range 20 {
		r.Note(some(5, true, now))
	}
	if len(r.Of(1)) != 0 || len(r.Of(5)) != 10 {
		t.Errorf("duplicates: %d of 1, %d of 5", len(r.Of(1)), len(r.Of(5)))
	}
	small := requests.New(requests.Options{MaxBytes: 100_000})
	big := some(1, false, now)
	big.Headers[0].Value = strings.Repeat("x", 30_000)
	for seq := range int64(10) {
		big.Seq = seq
		small.Note(big)
	}
	if len(small.Of(6)) != 0 || len(small.Of(7)) != 1 {
		t.Error("bytes are not bounded")
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	now := time.Now()
	path := filepath.Join(t.TempDir(), requests.FileName)
	o := requests.Options{Path: path, Journal: "a", MaxAge: time.Hour, Mask: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("h2"), []byte("***")) }}
	r := requests.New(o)
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written without a request")
	}
	r.Note(some(1, false, now.Add(-2*time.Hour)))
	r.Note(some(2, false, now))
	r.Note(some(2, true, now))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	again := requests.New(o)
	if got := again.Of(2); len(got) != 2 || got[0].Headers[1].Value != "***" || got[0].Took != 3*time.Millisecond || !got[0].At.Equal(now) {
		t.Errorf("read back: %+v", got)
	}
	if len(again.Of(1)) != 0 {
		t.Error("a request past its age was kept")
	}
	o.Journal = "b"
	if len(requests.New(o).Of(2)) != 0 {
		t.Error("requests of another journal are shown")
	}
}

// TestDamagedFile: a damaged file stops nothing, and its readable requests are
// shown.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	whole := `{"journal":"a"}` + "\n" + `{"seq":3,"at":"2026-01-02T03:04:05Z","status":200}` + "\n"
	for name, c := range map[string]struct {
		content string
		want    int
	}{
		"whole": {whole, 1}, "empty": {"", 0}, "cut": {whole + `{"seq":4,"at":"20`, 1}, "no head": {whole[16:], 0},
		"binary": {"\x00\xff\x00", 0}, "a line of garbage": {`{"journal":"a"}` + "\ngarbage\n" + whole[16:], 1},
		"a line without end": {whole + strings.Repeat("x", 3<<20), 1}, "no seq": {`{"journal":"a"}` + "\n{}\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), requests.FileName)
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			r := requests.New(requests.Options{Path: path, Journal: "a"})
			if got := len(r.Of(3)); got != c.want {
				t.Errorf("%d requests, want %d", got, c.want)
			}
		})
	}
}

// TestUnwritable: a file that can't be written is logged, and a later save works.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "later")
	var log bytes.Buffer
	r := requests.New(requests.Options{Path: filepath.Join(dir, requests.FileName), Log: zerolog.New(&log)})
	r.Note(some(1, false, time.Now()))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "events are not affected") {
		t.Errorf("log %s", &log)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v %v", entries, err)
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	r := requests.New(requests.Options{Most: 50, Path: filepath.Join(t.TempDir(), requests.FileName)})
	var all sync.WaitGroup
	for worker := range int64(4) {
		all.Go(func() {
			for i := range int64(500) {
				r.Note(some(i+1, worker%2 == 0, time.Now()))
				r.Of(i)
				if i%100 == 0 {
					r.Duplicated()
					if err := r.Save(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkNote(b *testing.B) {
	r := requests.New(requests.Options{})
	q := some(1, false, time.Now())
	b.ReportAllocs()
	for b.Loop() {
		q.Seq++
		r.Note(q)
	}
}
