package output

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// ErrReleased is the error of writing event lines after Release.
var ErrReleased = errors.New("the output takes no more events: the service is stopping")

// Options tune an Output. The zero value of each is a default.
type Options struct {
	// Queue bounds the waiting messages, in bytes; default 1 MiB.
	Queue int
	// Retry is the pause before a failed write of messages is tried again;
	// default one second.
	Retry time.Duration
	// Notice makes the line that reports the number of dropped messages; default:
	// no line.
	Notice func(dropped int64) []byte
}

// Output writes lines. Its Write takes messages. All methods are safe for
// concurrent use.
type Output struct {
	opts Options
	w    io.Writer
	rest []byte // of a line written in part; owned by the writing goroutine

	mu       sync.Mutex
	queue    []byte        // messages that wait, whole lines
	events   []*batch      // event lines that wait
	writing  bool          // a goroutine writes
	idle     chan struct{} // closed when it has ended; nil unless somebody waits
	retrying bool          // a timer will start the next try
	since    time.Time     // start of the current write, or of the failure
	failure  error         // of the last write
	dropped  int64         // messages since the start
	unsaid   int64         // dropped since the last notice
}

// batch is event lines with a waiting caller.
type batch struct {
	lines []byte
	done  chan result
}

type result struct {
	n   int
	err error
}

// New returns an Output that writes to w.
func New(w io.Writer, opts Options) *Output {
	if opts.Queue == 0 {
		opts.Queue = 1 << 20
	}
	if opts.Retry == 0 {
		opts.Retry = time.Second
	}
	return &Output{opts: opts, w: w}
}

// Write takes messages of the service, whole lines. It never waits and never fails:
// messages without room are dropped and counted.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) > 0 && len(o.queue)+len(p) > o.opts.Queue {
		o.dropped++
		o.unsaid++
		return len(p), nil
	}
	o.queue = append(o.queue, o.notice()...)
	o.queue = append(o.queue, p...)
	o.start()
	return len(p), nil
}

// notice returns the line that reports dropped messages; nil if there is nothing to
// report. The caller holds the lock.
func (o *Output) notice() []byte {
	if o.unsaid == 0 || o.opts.Notice == nil {
		return nil
	}
	line := o.opts.Notice(o.unsaid)
	o.unsaid = 0
	return line
}

// Events takes the event lines of one run of the service.
type Events struct {
	*Output
	released chan struct{} // closed by Release
}

// Events returns a writer for event lines. A process that starts the service again
// takes a new one for each run.
func (o *Output) Events() *Events { return &Events{o, make(chan struct{})} }

// Write writes event lines; p must hold whole lines. It returns when they are
// written, or with the output's error, or with ErrReleased. The output completes a
// line before it writes anything else, so n counts whole lines only.
func (w *Events) Write(p []byte) (int, error) {
	select {
	case <-w.released:
		return 0, ErrReleased
	default:
	}
	// The batch gets a copy, because a hanging write continues after Release.
	b := &batch{bytes.Clone(p), make(chan result, 1)}
	w.mu.Lock()
	w.events = append(w.events, b)
	w.start()
	w.mu.Unlock()
	select {
	case r := <-b.done:
		return r.n, r.err
	case <-w.released:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = slices.DeleteFunc(w.events, func(waiting *batch) bool { return waiting == b })
		return 0, ErrReleased
	}
}

// Release ends all writes of w with ErrReleased, so that the service can stop. Lines
// that still wait are not written.
func (w *Events) Release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.released:
	default:
		close(w.released)
	}
}

// Flush waits until everything is written. It returns the error that prevents that,
// or the error of ctx if that ends first.
func (o *Output) Flush(ctx context.Context) error {
	o.mu.Lock()
	if len(o.queue) > 0 {
		o.start()
	}
	if !o.writing {
		o.mu.Unlock()
		return nil
	}
	if o.idle == nil {
		o.idle = make(chan struct{})
	}
	idle := o.idle
	o.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
		return ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) > 0 {
		return o.failure
	}
	return nil
}

// Dropped counts the messages that were dropped.
func (o *Output) Dropped() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}

// errStalled reports a write that doesn't return.
var errStalled = errors.New("nobody reads it")

// stallAfter is how long a write may take before it counts as stalled.
const stallAfter = 5 * time.Second

// Trouble reports why lines are not written, and since when: the error of the last
// write, or a current write that doesn't return. The error is nil if nothing is
// wrong.
func (o *Output) Trouble(now time.Time) (time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.failure != nil:
		return o.since, o.failure
	case o.writing && now.Sub(o.since) >= stallAfter:
		return o.since, errStalled
	}
	return time.Time{}, nil
}
