package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"kazoohook/config"
)

func logTo(t *testing.T, w *bytes.Buffer, format config.LogFormat) logs {
	t.Helper()
	cfg := config.Default()
	cfg.LogFormat = format
	l, err := (&env{}).newLogs(cfg, w)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLogLine checks the fields that the contract promises.
func TestLogLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := logTo(t, &out, config.LogJSON)
	l.Log.Debug().Msg("too fine")
	l.Log.Info().Str("addr", ":8080").Msg("listening")
	l.flush()
	var line struct{ Level, Time, Message, Addr string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line.Level != "info" || line.Message != "listening" || line.Addr != ":8080" {
		t.Errorf("%s", out.String())
	}
	if at, err := time.Parse(time.RFC3339Nano, line.Time); err != nil || time.Since(at) > time.Minute || !regexp.MustCompile(`\.\d{3}Z$`).MatchString(line.Time) {
		t.Errorf("%s", line.Time)
	}
}

// TestConsole: an event is one line that a person can read, also the second of a batch.
func TestConsole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := logTo(t, &out, config.LogConsole)
	event := `{"level":"info","time":"2026-01-02T03:04:05.678Z","event":"user.deleted","event_id":"01J","seq":%d,"source":"webhook","received_at":"x","account_id":"a1","hook":"object","object_type":"user","object_id":"u1","object_name":"Ann Lee","data":{"type":"user"},"message":"user deleted"}` + "\n"
	if n, err := fmt.Fprintf(l.events(l.output.Events()), event+event, 1, 2); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := regexp.MustCompile(`^\d\d:\d\d:05\.678 INF user deleted event=user\.deleted object_name="Ann Lee" object_type=user object_id=u1 account_id=a1 source=webhook seq=1 data=\{"type":"user"\}$`)
	if len(lines) != 2 || !want.MatchString(lines[0]) {
		t.Errorf("%q", lines)
	}
	out.Reset()
	if _, err := l.events(l.output.Events()).Write([]byte("no JSON\x1b\n")); err != nil || out.String() != `no JSON\u001b`+"\n" {
		t.Errorf("%q %v", out.String(), err)
	}
}

// TestLinesAreWhole writes from many goroutines at once.
func TestLinesAreWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer // not safe for concurrent use: the race detector would notice
	l := logTo(t, &out, config.LogJSON)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				l.Log.Info().Int("writer", i).Msg("line")
				_, _ = l.events(l.output.Events()).Write([]byte(`{"message":"event"}` + "\n" + `{"message":"event"}` + "\n"))
			}
		})
	}
	wg.Wait()
	l.flush()
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if len(lines) != 8*50*3 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if !json.Valid(line) {
			t.Errorf("%s", line)
		}
	}
}

// TestColours: only terminals get colours.
func TestColours(t *testing.T) {
	t.Parallel()
	if (&env{}).colours(&bytes.Buffer{}) {
		t.Error("a buffer is no terminal")
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if (&env{}).colours(file) {
		t.Error("a file is no terminal")
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	if !(&env{}).colours(null) || !(&env{environ: []string{"NO_COLOR="}}).colours(null) {
		t.Error("a character device counts as a terminal")
	}
	if (&env{environ: []string{"NO_COLOR=1"}}).colours(null) {
		t.Error("NO_COLOR counts for nothing")
	}
}
