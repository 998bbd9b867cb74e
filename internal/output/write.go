package output

import (
	"bytes"
	"io"
	"slices"
	"time"
)

// start starts the writing goroutine unless it runs. The caller holds the lock.
func (o *Output) start() {
	if !o.writing {
		o.writing = true
		go o.run()
	}
}

// run writes until nothing waits, messages first. It ends when a write of messages
// fails; a timer or the next line starts it again.
func (o *Output) run() {
	for {
		o.mu.Lock()
		if o.failure == nil {
			o.since = time.Now()
		}
		if len(o.queue) == 0 { // messages were dropped after the last ones written
			o.queue = o.notice()
		}
		messages := o.queue
		o.queue = nil
		var events *batch
		if len(o.events) > 0 {
			events = o.events[0]
			o.events = slices.Delete(o.events, 0, 1)
		}
		if len(messages) == 0 && events == nil {
			o.end()
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()

		n, err := o.write(messages)
		if err == nil && events != nil {
			r := result{}
			r.n, r.err = o.write(events.lines)
			err = r.err
			events.done <- r
		} else if events != nil {
			events.done <- result{0, err}
		}
		o.mu.Lock()
		if err != nil && o.failure == nil {
			o.since = time.Now()
		}
		o.failure = err
		if n < len(messages) {
			o.queue = append(messages[n:], o.queue...)
			o.again()
			if len(o.events) == 0 {
				o.end()
				o.mu.Unlock()
				return
			}
		}
		o.mu.Unlock()
	}
}

// end records the end of the goroutine. The caller holds the lock.
func (o *Output) end() {
	o.writing = false
	if o.idle != nil {
		close(o.idle)
		o.idle = nil
	}
}

// again tries messages again after a pause. The caller holds the lock.
func (o *Output) again() {
	if o.retrying {
		return
	}
	o.retrying = true
	time.AfterFunc(o.opts.Retry, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.retrying = false
		if len(o.queue) > 0 {
			o.start()
		}
	})
}

// write writes whole lines, after the rest of the last torn one. If a line tears,
// write keeps the rest and counts the line as written.
func (o *Output) write(lines []byte) (int, error) {
	if len(o.rest) > 0 {
		n, err := o.put(o.rest)
		o.rest = o.rest[n:]
		if err != nil {
			return 0, err
		}
	}
	if len(lines) == 0 {
		return 0, nil
	}
	n, err := o.put(lines)
	if err != nil && n > 0 && lines[n-1] != '\n' {
		end := len(lines)
		if i := bytes.IndexByte(lines[n:], '\n'); i >= 0 {
			end = n + i + 1
		}
		o.rest, n = bytes.Clone(lines[n:end]), end
	}
	return n, err
}

// put writes p. A short write is an error.
func (o *Output) put(p []byte) (int, error) {
	n, err := o.w.Write(p)
	n = min(max(n, 0), len(p))
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
