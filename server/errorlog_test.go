package server

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestErrorWriterTellsWhatItHeldBack(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	now := time.Unix(1000, 0)
	w := &errorWriter{log: zerolog.New(&b), now: func() time.Time { return now }}
	for range errorsPerMinute + 7 {
		if _, err := w.Write([]byte("boo\n")); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(time.Minute)
	_, _ = w.Write([]byte("boo\n"))
	if n := strings.Count(b.String(), `"detail":"boo"`); n != errorsPerMinute+1 || !strings.Contains(b.String(), `"not_logged":7`) {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
}
