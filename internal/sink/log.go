package sink

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
)

// Enricher adds to an event what Kazoo doesn't send but we know, such as the
// name of a deleted user. It must be safe for concurrent use.
type Enricher func(context.Context, *event.Event)

// LogSink prints one line per event. Lines are written whole, many at once, so
// that they never interleave with other output through the same writer.
type LogSink struct {
	out    io.Writer
	enrich Enricher
	buf    buffer
	event  event.Event // of the line that is being made
	torn   []byte      // the rest of a line of which only the beginning was written
	log    zerolog.Logger
	failed atomic.Int64 // events that did not decode in full
}

// flushAt bounds what is collected for one write: a batch may hold events of a
// megabyte each.
const flushAt = 256 << 10

// NewLogSink prints JSON lines to out. enrich may be nil.
func NewLogSink(out io.Writer, enrich Enricher) *LogSink {
	s := &LogSink{out: out, enrich: enrich}
	s.log = zerolog.New(&s.buf)
	return s
}

// Handle prints the batch. A failed write is returned, and the batch comes
// again: a line may be printed twice, with the same event_id, but is not lost.
func (s *LogSink) Handle(ctx context.Context, batch []event.Record) error {
	s.buf = append(s.buf[:0], s.torn...)
	for _, r := range batch {
		s.line(ctx, r)
		if len(s.buf) >= flushAt {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return s.flush()
}

// line adds the line of one event.
func (s *LogSink) line(ctx context.Context, r event.Record) {
	s.event = event.Describe(r)
	e := &s.event
	if len(e.Problems) > 0 {
		s.failed.Add(1)
	}
	if s.enrich != nil {
		s.enrich(ctx, e)
	}
	level := zerolog.InfoLevel
	if r.Event == event.Unknown {
		level = zerolog.WarnLevel
	}
	s.log.WithLevel(level).Str(zerolog.TimestampFieldName, time.Now().UTC().Format(time.RFC3339Nano)).EmbedObject(e).Msg(e.Message())
}

// flush writes what was collected. Where a write ends in the middle of a line,
// the next one goes on with that line, so that no other is glued to it.
func (s *LogSink) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	n, err := s.out.Write(s.buf)
	if err == nil && n < len(s.buf) {
		err = io.ErrShortWrite
	}
	rest := s.buf[min(max(n, 0), len(s.buf)):]
	switch {
	case err == nil, n > 0 && s.buf[n-1] == '\n':
		s.torn = nil
	case n > 0 || len(s.torn) > 0:
		s.torn = append([]byte(nil), rest[:bytes.IndexByte(rest, '\n')+1]...)
	}
	s.buf = s.buf[:0]
	if cap(s.buf) > 4*flushAt {
		s.buf = nil
	}
	if err != nil {
		return fmt.Errorf("print events: %w", err)
	}
	return nil
}

type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
