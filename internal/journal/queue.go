package journal

import (
	"slices"
	"sync"
)

// work is a command on its way through the writer, and its result.
type work struct {
	cmd   command
	entry *entry        // its place in a cluster's log; nil on a single node
	done  chan struct{} // gets one value when the command is applied; nil: nobody waits

	result
	err  error
	held bool // its event is on disk, whether or not its transaction succeeds
}

// queue is what waits for the writer. It is bounded, because each waiting
// request holds a connection and a body, and Kazoo's client can wait at less
// cost.
type queue struct {
	maxLen   int
	maxBytes int64
	wake     signal // while there may be something

	mu      sync.Mutex
	lists   [3][]*work // in the order in which they go into a transaction
	bytes   int64      // of the requests' bodies
	hurry   bool       // one of others must not wait for a request
	closed  bool
	entries entries // in a cluster; the lists then hold only what doesn't go through the log
}

// The lists of a queue.
const (
	outcomes = iota // nobody waits for them
	others          // they can wait for the next transaction
	requests        // somebody waits to answer Kazoo
)

func newQueue(o Options) *queue {
	return &queue{maxLen: o.QueueSize, maxBytes: o.QueueBytes, wake: make(signal, 1), entries: entries{room: make(signal, 1)}}
}

func (q *queue) push(w *work) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	list := others
	switch cmd := w.cmd.(type) {
	case *request:
		n := int64(len(cmd.Rec.Body))
		if len(q.lists[requests]) >= q.maxLen || (q.bytes+n > q.maxBytes && len(q.lists[requests]) > 0) {
			return ErrOverloaded
		}
		list = requests
		q.bytes += n
	case *outcome:
		list = outcomes
	case hurried:
		q.hurry = true
	}
	q.lists[list] = append(q.lists[list], w)
	if list != outcomes { // they are no reason to wake the writer
		q.wake.signal()
	}
	return nil
}

// withdraw takes back a request that its caller no longer waits for, unless the
// writer has it already.
func (q *queue) withdraw(w *work) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.lists[requests], w); i >= 0 {
		q.bytes -= int64(len(w.cmd.(*request).Rec.Body))
		q.lists[requests] = slices.Delete(q.lists[requests], i, i+1)
	}
}

// Limits of one transaction: large enough to make its sync cheap, small enough that
// its first command doesn't wait long.
const (
	maxBatch      = 1024
	maxBatchBytes = 4 << 20
)

// take moves the commands of the next transaction to dst: outcomes of answers, then
// others, then requests up to the limits; or, if no others wait, entries.
func (q *queue) take(dst []*work) []*work {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.entries.list) > 0 && len(q.lists[others]) == 0 {
		return q.entries.take(dst)
	}
	for i := range q.lists {
		n, bytes := len(q.lists[i]), int64(0)
		if i == requests {
			for n = 0; n < len(q.lists[i]) && n < maxBatch && bytes < maxBatchBytes; n++ {
				bytes += int64(len(q.lists[i][n].cmd.(*request).Rec.Body))
			}
		}
		dst = append(dst, q.lists[i][:n]...)
		q.lists[i] = slices.Delete(q.lists[i], 0, n)
		q.bytes -= bytes
	}
	q.hurry = false
	return dst
}

// load is how much is queued.
type load struct {
	entries, requests, others, outcomes int
	hurry, awaited, closed              bool
}

func (q *queue) load() load {
	q.mu.Lock()
	defer q.mu.Unlock()
	return load{len(q.entries.list), len(q.lists[requests]), len(q.lists[others]), len(q.lists[outcomes]), q.hurry, q.entries.awaited, q.closed}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.signal()
}
