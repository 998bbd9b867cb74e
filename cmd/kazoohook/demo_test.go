package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestDemo: the demo first says what it will show. It shows events of every kind and a
// hook that Kazoo disabled after failures, and ends with a summary. Its destination fails
// for some seconds, then refuses an event, which becomes a dead letter and is
// redelivered.
func TestDemo(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes twenty seconds")
	}
	out, stderr := &logLines{}, &logLines{}
	early := false // nothing was shown before it said what it will show
	watch := writerFunc(func(p []byte) (int, error) {
		early = early || stderr.String() == "" && !strings.Contains(out.String(), `"event":`)
		return stderr.Write(p)
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"demo", "--for", "1h", "--format", "json", "--data-dir", t.TempDir()}, nil, strings.NewReader(""), out, watch)
	}()
	for end := time.Now().Add(3 * time.Minute); ; {
		if log := out.String(); strings.Contains(log, `"event":"user.deleted"`) && strings.Contains(log, "events are delivered again") {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("it ended with %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("no user was deleted, or nothing was redelivered:\n%s", out)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	said := stderr.String()
	if !early || !strings.HasPrefix(said, "This is kazoohook with a fake Kazoo") || !strings.Contains(said, "\nSeen: ") || !strings.Contains(said, " user.deleted") || strings.Contains(said, "Seen: 0 events") {
		t.Errorf("standard error:\n%s", said)
	}
	if !strings.Contains(said, "Delivered onward to billing: ") || strings.Contains(said, "no event came meanwhile") || strings.Contains(said, "No event became a dead letter") {
		t.Errorf("of the destination:\n%s", said)
	}
	log := out.String()
	if !strings.Contains(log, "dead letter: the event is not tried any more") {
		t.Error("no line of the dead letter")
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"disable_reason":"too many failed attempts"`) && strings.Contains(line, "no record of a failed attempt") {
			t.Errorf("a reason without a record: %s", line)
		}
	}
}

// writerFunc is a function that takes what is written.
type writerFunc func([]byte) (int, error)

// Write calls the function.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
