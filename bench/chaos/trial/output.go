package trial

import (
	"bytes"
	"sync"
)

// splitter calls line with whole lines. The output of a killed process may end in the
// middle of one.
type splitter struct {
	line func([]byte)
	rest []byte
}

// Write takes a piece of output.
func (s *splitter) Write(p []byte) (int, error) {
	s.rest = append(s.rest, p...)
	for {
		line, rest, ok := bytes.Cut(s.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		s.line(line)
		s.rest = rest
	}
}

// tailBuffer keeps the end of an output.
type tailBuffer struct {
	mu sync.Mutex
	b  []byte
}

// Write takes a piece of output.
func (t *tailBuffer) Write(p []byte) (int, error) {
	const most = 8 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.b = append(t.b, p...); len(t.b) > most {
		t.b = append([]byte(nil), t.b[len(t.b)-most:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
