package journal

import (
	"sync"

	"kazoohook/internal/event"
)

// request is something for the writer to do: store an event, or another change,
// or both in one transaction.
type request struct {
	append bool // store rec
	rec    event.Record
	op     func(*txn) error
	done   chan struct{} // gets one value when it is carried out

	appended event.Appended
	err      error
}

// queue is what waits for the writer: bounded, because whoever waits holds a
// connection and a body, and Kazoo's own client waits better than we do.
type queue struct {
	maxLen   int
	maxBytes int64
	wake     chan struct{} // holds one token while there may be something

	mu      sync.Mutex
	appends []*request // somebody waits to answer Kazoo
	ops     []*request // can wait for the next sync that happens anyway
	bytes   int64
	closed  bool
}

func newQueue(o Options) *queue {
	return &queue{maxLen: o.QueueSize, maxBytes: o.QueueBytes, wake: make(chan struct{}, 1)}
}

func (q *queue) push(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if !r.append {
		q.ops = append(q.ops, r)
	} else {
		n := int64(len(r.rec.Body))
		if len(q.appends) >= q.maxLen || (q.bytes+n > q.maxBytes && len(q.appends) > 0) {
			return ErrOverloaded
		}
		q.appends = append(q.appends, r)
		q.bytes += n
	}
	q.signal()
	return nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Bounds of one transaction: enough to make its sync cheap, not so much that
// the first of it waits long.
const (
	maxBatch      = 1024
	maxBatchBytes = 4 << 20
)

// take moves what goes into the next transaction to dst: appends up to the
// bounds, then all ops.
func (q *queue) take(dst []*request) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, int64(0)
	for n < len(q.appends) && n < maxBatch && (n == 0 || bytes < maxBatchBytes) {
		bytes += int64(len(q.appends[n].rec.Body))
		n++
	}
	dst = append(dst, q.appends[:n]...)
	dst = append(dst, q.ops...)
	rest := copy(q.appends, q.appends[n:])
	clear(q.appends[rest:])
	q.appends = q.appends[:rest]
	clear(q.ops)
	q.ops = q.ops[:0]
	q.bytes -= bytes
	return dst
}

// waiting counts what is queued.
func (q *queue) waiting() (appends, ops int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.appends), len(q.ops)
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
