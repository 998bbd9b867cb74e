package consumer

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

// LogSink prints one line per event. One write holds many whole lines, so they
// never interleave with other output through the same writer.
type LogSink struct {
	out    io.Writer
	enrich Enricher
	limit  int // longest line, newline included; 0 for none
	buf    buffer
	event  event.Event // of the current line
	torn   []byte      // the unwritten rest of a line
	log    zerolog.Logger
	failed atomic.Int64 // events that did not decode in full
}

// flushAt bounds what is collected for one write: a batch may hold events of a
// megabyte each.
const flushAt = 256 << 10

// MinLine is the smallest limit that the line of any event can keep: the fields
// around the event take less than MinLine - event.MinSize.
const MinLine = event.MinSize + 512

// NewLogSink prints JSON lines to out. enrich may be nil. limit is the longest line in
// bytes, newline included: MinLine or more, or 0 for no limit.
func NewLogSink(out io.Writer, enrich Enricher, limit int) *LogSink {
	s := &LogSink{out: out, enrich: enrich, limit: limit}
	s.log = zerolog.New(&s.buf)
	return s
}

// Handle prints the batch. It returns the error of a failed write, and the batch is
// passed again: a line may be printed twice, with the same event_id, but is not lost.
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

// line adds the line of one event. If the line is too long, the event is shortened
// until it fits.
func (s *LogSink) line(ctx context.Context, r event.Record) {
	s.event = event.Decode(r)
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
	start, at, message := len(s.buf), time.Now().UTC().Format(time.RFC3339Nano), e.Message()
	s.log.WithLevel(level).Str(zerolog.TimestampFieldName, at).EmbedObject(e).Msg(message)
	if size := len(s.buf) - start; s.limit > 0 && size > s.limit {
		e.Shorten(s.limit - (size - len(e.AppendJSON(nil))))
		s.buf = s.buf[:start]
		s.log.WithLevel(level).Str(zerolog.TimestampFieldName, at).EmbedObject(e).Msg(message)
	}
}

// flush writes the collected lines. If a write ends in the middle of a line, the
// next write continues that line, so lines never mix.
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
