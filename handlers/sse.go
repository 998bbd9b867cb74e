package handlers

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"kazoohook/internal/event"
)

// errHungUp says that the reader of a stream closed its connection.
var errHungUp = errors.New("the reader has hung up")

// sse writes server-sent events. It collects them for one write.
type sse struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	done    <-chan struct{} // see endWith; nil: never
	buf     []byte
}

// lastWrite is the write timeout of a stream that has to end. A stalled reader must
// not delay a restart.
const lastWrite = time.Second

// endWith ties the stream to ctx. When ctx ends, a stuck write and each later one
// get lastWrite. Call release when the stream is over.
func (s *sse) endWith(ctx context.Context) (release func() bool) {
	s.done = ctx.Done()
	return context.AfterFunc(ctx, func() { _ = s.control.SetWriteDeadline(time.Now().Add(lastWrite)) })
}

// ending reports whether the stream has to end.
func (s *sse) ending() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// record adds a journal event: a message without a name whose id is the seq.
func (s *sse) record(seq int64, e event.Event) {
	s.buf = append(s.buf, "id: "...)
	s.buf = strconv.AppendInt(s.buf, seq, 10)
	s.buf = append(s.buf, "\ndata: "...)
	s.buf = e.AppendJSON(s.buf)
	s.buf = append(s.buf, "\n\n"...)
}

// event adds a named event; id 0 leaves the reader's position as it is.
func (s *sse) event(name string, id int64, data string) {
	s.buf = append(s.buf, "event: "+name+"\n"...)
	if id > 0 {
		s.buf = append(s.buf, "id: "+strconv.FormatInt(id, 10)+"\n"...)
	}
	s.buf = append(s.buf, "data: "+data+"\n\n"...)
}

func (s *sse) comment(text string) { s.buf = append(s.buf, ": "+text+"\n\n"...) }

// flush writes what was added. If the reader doesn't read it within timeout, flush
// fails with os.ErrDeadlineExceeded; any other failure is errHungUp.
func (s *sse) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(s.timeout)) // without a connection there is no limit
	if s.ending() {                                           // after the line above, which would undo endWith's deadline
		_ = s.control.SetWriteDeadline(time.Now().Add(lastWrite))
	}
	_, err := s.w.Write(s.buf)
	if err == nil {
		err = s.control.Flush()
	}
	if cap(s.buf) > 256<<10 {
		s.buf = nil // one large batch must not stay with an idle stream
	}
	s.buf = s.buf[:0]
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	return errHungUp
}
