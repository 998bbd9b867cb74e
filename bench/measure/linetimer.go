package measure

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// lineTimer records the time from a request to its log line, for up to maxTimed
// events between two reports: more would slow down the server.
type lineTimer struct {
	out io.Writer

	mu    sync.Mutex
	times []time.Duration
}

// Write passes whole lines on.
func (l *lineTimer) Write(p []byte) (int, error) {
	n, err := l.out.Write(p)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(p) {
		if len(l.times) >= maxTimed {
			break
		}
		if at, ok := receivedAt(line); ok {
			l.times = append(l.times, now.Sub(at))
		}
	}
	return n, err
}

// maxTimed is the most times that are recorded between two reports.
const maxTimed = 1 << 14

// take returns the times recorded since the last call.
func (l *lineTimer) take() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.times
	l.times = nil
	return t
}

// receivedAt finds the time of the request in a log line.
func receivedAt(line []byte) (time.Time, bool) {
	_, rest, ok := bytes.Cut(line, []byte(`"received_at":"`))
	if !ok {
		return time.Time{}, false
	}
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	at, err := time.Parse(time.RFC3339Nano, string(text))
	return at, err == nil
}
