package measure

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// lineTimer notes how long after the delivery of an event its line was written,
// for up to maxTimed events at a time: more would make the server slower than it
// is.
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

// maxTimed bounds what is noted between two reports.
const maxTimed = 1 << 14

// take returns what was noted since the last time.
func (l *lineTimer) take() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.times
	l.times = nil
	return t
}

// receivedAt finds the time of delivery in a log line.
func receivedAt(line []byte) (time.Time, bool) {
	_, rest, ok := bytes.Cut(line, []byte(`"received_at":"`))
	if !ok {
		return time.Time{}, false
	}
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	at, err := time.Parse(time.RFC3339Nano, string(text))
	return at, err == nil
}
