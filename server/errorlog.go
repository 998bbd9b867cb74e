package server

import (
	"bytes"
	"log"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// errorWriter passes on what net/http complains about, a few lines a minute:
// every one of them can be provoked from outside.
type errorWriter struct {
	log  zerolog.Logger
	now  func() time.Time
	mu   sync.Mutex
	from time.Time
	n    int
}

const errorsPerMinute = 10

func errorLog(l zerolog.Logger) *log.Logger {
	return log.New(&errorWriter{log: l, now: time.Now}, "", 0)
}

// Write logs one line of net/http's.
func (w *errorWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if now.Sub(w.from) >= time.Minute {
		if held := w.n - errorsPerMinute; held > 0 {
			w.log.Warn().Int("not_logged", held).Msg("more complaints of the HTTP server in the last minute")
		}
		w.from, w.n = now, 0
	}
	w.n++
	if w.n <= errorsPerMinute {
		w.log.Warn().Bytes("detail", bytes.TrimSpace(line)).Msg("the HTTP server complains")
	}
	return len(line), nil
}
