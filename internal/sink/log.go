package sink

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
)

// Enricher adds to an event what Kazoo doesn't send but we know, such as the
// name of a deleted user. It must be safe for concurrent use.
type Enricher func(context.Context, *event.Event)

// LogSink prints one line per event. A batch is one write, so lines are whole
// and never interleave with other output through the same writer.
type LogSink struct {
	out    io.Writer
	enrich Enricher
	buf    buffer
	log    zerolog.Logger
}

// NewLogSink prints JSON lines to out. enrich may be nil.
func NewLogSink(out io.Writer, enrich Enricher) *LogSink {
	s := &LogSink{out: out, enrich: enrich}
	s.log = zerolog.New(&s.buf)
	return s
}

// Handle prints the batch. A failed write is returned, and the batch comes
// again: a line may be printed twice, with the same event_id, but is not lost.
func (s *LogSink) Handle(ctx context.Context, batch []event.Record) error {
	s.buf = s.buf[:0]
	for _, r := range batch {
		e := event.Decode(r)
		if s.enrich != nil {
			s.enrich(ctx, &e)
		}
		line := s.log.Info()
		if r.Event == event.Unknown {
			line = s.log.Warn()
		}
		line.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(time.RFC3339Nano)).EmbedObject(e).Msg(e.Message())
	}
	if _, err := s.out.Write(s.buf); err != nil {
		return fmt.Errorf("print %d events: %w", len(batch), err)
	}
	return nil
}

type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
