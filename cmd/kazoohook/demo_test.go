package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestDemo: the demo first says what it will show. It shows events of every kind and a
// hook that Kazoo disabled after failures, and ends with a summary.
func TestDemo(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	out, stderr := &logLines{}, &logLines{}
	begin := time.Now()
	var first time.Duration
	watch := writerFunc(func(p []byte) (int, error) {
		if first == 0 {
			first = time.Since(begin)
		}
		return stderr.Write(p)
	})
	err := run(t.Context(), []string{"demo", "--for", "30s", "--format", "json", "--data-dir", t.TempDir()}, nil, strings.NewReader(""), out, watch)
	if err != nil {
		t.Fatal(err)
	}
	if first > 15*time.Second { // of the 30 s that it runs
		t.Errorf("the first word came after %s", first)
	}
	said := stderr.String()
	if !strings.HasPrefix(said, "This is kazoohook with a fake Kazoo") || !strings.Contains(said, "\nSeen: ") || !strings.Contains(said, " user.deleted") || strings.Contains(said, "Seen: 0 events") {
		t.Errorf("standard error:\n%s", said)
	}
	log := out.String()
	if !strings.Contains(log, `"event":"user.deleted"`) {
		t.Error("no user was deleted")
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"disable_reason":"too many failed attempts"`) && strings.Contains(line, "no record of a failed attempt") {
			t.Errorf("a reason without a record: %s", line)
		}
	}
}

// TestDemoDestination: a destination fails for some seconds, then refuses an event,
// which becomes a dead letter and is redelivered.
func TestDemoDestination(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes twenty seconds")
	}
	out, stderr := &logLines{}, &logLines{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"demo", "--format", "json", "--data-dir", t.TempDir()}, nil, strings.NewReader(""), out, stderr)
	}()
	for end := time.Now().Add(3 * time.Minute); !strings.Contains(out.String(), "events are delivered again"); {
		select {
		case err := <-done:
			t.Fatalf("it ended with %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("nothing was redelivered:\n%s", out)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	said := stderr.String()
	if !strings.Contains(said, "Delivered onward to billing: ") || strings.Contains(said, "no event came meanwhile") || strings.Contains(said, "No event became a dead letter") {
		t.Errorf("of the destination:\n%s", said)
	}
	if !strings.Contains(out.String(), "dead letter: the event is not tried any more") {
		t.Error("no line of the dead letter")
	}
}

// writerFunc is a function that takes what is written.
type writerFunc func([]byte) (int, error)

// Write calls the function.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
