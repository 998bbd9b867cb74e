package measure

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"kazoohook/internal/consumer"
	"kazoohook/internal/event"
)

// idealServer is the limit of durability: the program's path with a journal that
// only appends. It writes each raw request to a preallocated file, shares one
// fdatasync among all waiting requests, and prints the log line after the answer.
// It has no index, so it answers no query and recognises no duplicate.
type idealServer struct {
	file  *os.File
	lines *lineTimer
	log   chan []event.Record // synced, to be printed

	mu      sync.Mutex
	some    *sync.Cond // waiting isn't empty, or closed is true
	closed  bool
	waiting []idealAppend
	seq     int64 // of the newest event
	syncs   int64

	at  int64 // in file; owned by write
	buf []byte
}

type idealAppend struct {
	record event.Record
	synced chan error
}

// idealRoom is the size of the file, in bytes. When the file is full, writing
// continues at its beginning.
const idealRoom = 64 << 20

func newIdeal(dir string) (*idealServer, error) {
	f, err := os.Create(filepath.Join(dir, "requests")) //nolint:gosec // a directory of our parent
	if err != nil {
		return nil, err
	}
	for zeros := make([]byte, 1<<20); err == nil && idealRoomLeft(f) > 0; {
		_, err = f.Write(zeros)
	}
	out, err2 := os.Create(filepath.Join(dir, "log")) //nolint:gosec // a directory of our parent
	if err := errors.Join(err, f.Sync(), err2); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s := &idealServer{file: f, lines: &lineTimer{out: out}, log: make(chan []event.Record, 1024)}
	s.some = sync.NewCond(&s.mu)
	return s, nil
}

func idealRoomLeft(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil {
		return 0 // Sync reports the reason
	}
	return idealRoom - info.Size()
}

// Append returns when the request is on disk.
func (s *idealServer) Append(_ context.Context, r event.Record) (event.Appended, error) {
	synced := make(chan error, 1)
	s.mu.Lock()
	s.seq++
	r.Seq, r.ID = s.seq, fmt.Sprintf("%026d", s.seq)
	s.waiting = append(s.waiting, idealAppend{r, synced})
	s.mu.Unlock()
	s.some.Signal()
	return event.Appended{Seq: r.Seq, ID: r.ID}, <-synced
}

// Acknowledged does nothing.
func (*idealServer) Acknowledged(event.Record, event.Appended, bool) {}

// Refused does nothing.
func (*idealServer) Refused(event.Record, event.Appended) {}

// write writes and syncs what waits, until the server is closed.
func (s *idealServer) write() error {
	defer close(s.log)
	for {
		s.mu.Lock()
		for len(s.waiting) == 0 && !s.closed {
			s.some.Wait()
		}
		batch := s.waiting
		s.waiting = nil
		s.mu.Unlock()
		if len(batch) == 0 {
			return s.file.Close()
		}
		err := s.sync(batch)
		records := make([]event.Record, len(batch))
		for i, a := range batch {
			a.synced <- err
			records[i] = a.record
		}
		s.log <- records
	}
}

func (s *idealServer) sync(batch []idealAppend) error {
	s.buf = s.buf[:0]
	for _, a := range batch {
		r := a.record
		s.buf = binary.AppendVarint(s.buf, r.ReceivedAt.UnixNano())
		for _, part := range [][]byte{[]byte(r.ID), []byte(r.Hook), []byte(r.HookID), []byte(r.ContentType), r.Body} {
			s.buf = append(binary.AppendUvarint(s.buf, uint64(len(part))), part...)
		}
	}
	if s.at+int64(len(s.buf)) > idealRoom {
		s.at = 0
	}
	if _, err := s.file.WriteAt(s.buf, s.at); err != nil {
		return err
	}
	s.at += int64(len(s.buf))
	s.mu.Lock()
	s.syncs++
	s.mu.Unlock()
	return unix.Fdatasync(int(s.file.Fd()))
}

func (s *idealServer) run(ctx context.Context, at func(net.Addr)) error {
	var g errgroup.Group
	g.Go(s.write)
	g.Go(func() error {
		sink := consumer.NewLogSink(s.lines, nil, 16<<10)
		for records := range s.log {
			if err := sink.Handle(context.WithoutCancel(ctx), records); err != nil {
				return err
			}
		}
		return nil
	})
	err := serveReceiver(ctx, s, at)
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.some.Signal()
	return errors.Join(err, g.Wait())
}

func (s *idealServer) report(r *serverReport) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Appends, r.Transactions, r.Lines = s.seq, s.syncs, s.lines.take()
	return nil
}
