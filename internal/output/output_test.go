package output_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/output"
)

var errFull = errors.New("no space left on device")

// device is an output that can block, be full, or take a few bytes.
type device struct {
	mu    sync.Mutex
	got   bytes.Buffer
	room  int           // bytes until it is full; negative: no end
	gate  chan struct{} // writes wait until it is closed; nil: they don't wait
	calls int
}

func (d *device) Write(p []byte) (int, error) {
	d.mu.Lock()
	gate := d.gate
	d.calls++
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(p)
	if d.room >= 0 {
		n = min(n, d.room)
		d.room -= n
	}
	d.got.Write(p[:n])
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func (d *device) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.got.String()
}

func (d *device) set(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = room
}

func notice(n int64) []byte { return fmt.Appendf(nil, "dropped %d\n", n) }

func say(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(w, text); err != nil || n != len(text) {
		t.Fatal(n, err)
	}
}

func TestLinesComeInOrder(t *testing.T) {
	t.Parallel()
	d := &device{room: -1}
	o := output.New(d, output.Options{})
	say(t, o, "a\n")
	say(t, o.Events(), "b\nc\n")
	say(t, o, "d\n")
	if err := o.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.String(); got != "a\nb\nc\nd\n" {
		t.Errorf("%q", got)
	}
}

// TestNobodyReads: messages don't wait; those beyond the queue are dropped and
// reported. Event lines wait until they are released; those of a later run are written.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &device{room: -1, gate: make(chan struct{})}
		o := output.New(d, output.Options{Queue: 100, Notice: notice})
		say(t, o, "first\n")
		synctest.Wait() // the write hangs
		for range 30 {
			say(t, o, "123456789\n")
		}
		if n := o.Dropped(); n != 20 {
			t.Errorf("%d dropped, want 20", n)
		}
		if _, err := o.Trouble(time.Now()); err != nil {
			t.Errorf("at once: %v", err)
		}
		begin := time.Now()
		time.Sleep(time.Minute)
		if since, err := o.Trouble(time.Now()); err == nil || !since.Equal(begin) {
			t.Errorf("after a minute: since %s, %v", since, err)
		}
		ended, events := make(chan error, 1), o.Events()
		go func() {
			_, err := events.Write([]byte("event\n"))
			ended <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := o.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flushed: %v", err)
		}
		events.Release()
		events.Release()
		if err := <-ended; !errors.Is(err, output.ErrReleased) {
			t.Errorf("the event: %v", err)
		}
		if _, err := events.Write([]byte("event\n")); !errors.Is(err, output.ErrReleased) {
			t.Errorf("a later event: %v", err)
		}
		close(d.gate)                           // now the output is read
		say(t, o.Events(), "of the next run\n") // and the service has started again
		if err := o.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Trouble(time.Now()); err != nil {
			t.Error(err)
		}
		want := "first\n" + strings.Repeat("123456789\n", 10)
		if got := d.String(); !strings.HasPrefix(got, want) || !strings.Contains(got, "dropped 20\n") ||
			!strings.Contains(got, "of the next run\n") || strings.Contains(got, "event\n") {
			t.Errorf("%q", got)
		}
	})
}

// TestTheNoticeStandsWhereTheGapIs: after the kept messages and before later ones.
func TestTheNoticeStandsWhereTheGapIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &device{room: 0}
		o := output.New(d, output.Options{Queue: 20, Notice: notice})
		for i := range 9 {
			say(t, o, fmt.Sprintf("message %d\n", i))
			synctest.Wait()
		}
		time.Sleep(time.Hour) // every write fails
		if since, err := o.Trouble(time.Now()); !errors.Is(err, errFull) || time.Since(since) < time.Hour {
			t.Errorf("since %s: %v", since, err)
		}
		if err := o.Flush(t.Context()); !errors.Is(err, errFull) {
			t.Errorf("flushed: %v", err)
		}
		d.set(-1)
		time.Sleep(time.Second) // it recovers without another message
		synctest.Wait()
		say(t, o, "message 9\n")
		synctest.Wait()
		if got, want := d.String(), "message 0\nmessage 1\ndropped 7\nmessage 9\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if _, err := o.Trouble(time.Now()); err != nil {
			t.Error(err)
		}
	})
}

// TestNoLineIsTorn: wherever the disk became full, every line is whole in the end,
// even if a message is written before the rest of the event lines.
func TestNoLineIsTorn(t *testing.T) {
	t.Parallel()
	const events = "event one\nevent two\n"
	for room := range len(events) {
		synctest.Test(t, func(t *testing.T) {
			d := &device{room: room}
			o := output.New(d, output.Options{})
			n, err := o.Events().Write([]byte(events))
			if !errors.Is(err, errFull) {
				t.Fatal(err)
			}
			if n != 0 && n != len(events)/2 && n != len(events) {
				t.Errorf("room for %d: %d written", room, n)
			}
			d.set(3) // a little, again within a line
			say(t, o, "message\n")
			synctest.Wait()
			d.set(-1)
			say(t, o.Events(), events)
			if err := o.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			counts := map[string]int{}
			for line := range strings.Lines(d.String()) {
				counts[line]++
			}
			if counts["message\n"] != 1 || counts["event one\n"] == 0 || counts["event two\n"] == 0 || len(counts) != 3 {
				t.Errorf("room for %d: %q", room, d.String())
			}
		})
	}
}

// TestManyWriters: lines of concurrent writers stay whole.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	d := &device{room: -1}
	o := output.New(d, output.Options{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				_, _ = o.Write([]byte("message\n"))
				_, _ = o.Events().Write([]byte("event\nevent\n"))
			}
		})
	}
	all.Wait()
	if err := o.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range strings.Lines(d.String()) {
		counts[line]++
	}
	if len(counts) != 2 || counts["message\n"] != 1600 || counts["event\n"] != 3200 {
		t.Error(counts)
	}
}

// silent writes half of its data and returns no error.
type silent struct{}

func (silent) Write(p []byte) (int, error) { return len(p) / 2, nil }

func TestAShortWriteIsAnError(t *testing.T) {
	t.Parallel()
	o := output.New(silent{}, output.Options{})
	if _, err := o.Events().Write([]byte("event\n")); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
}
