package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"

	"kazoohook/internal/event"
)

// Log is what a Consumer needs of the journal.
//
// Read returns events in order of seq; Wait returns once an event with a seq
// above after is on disk. Cursors are durable; a new consumer's is 0.
// MoveCursor fails if the cursor is not at from. All are safe for concurrent
// use and return promptly when ctx ends.
type Log interface {
	Read(ctx context.Context, after int64, max int) ([]event.Record, error)
	Wait(ctx context.Context, after int64) error
	Cursor(ctx context.Context, consumer string) (int64, error)
	MoveCursor(ctx context.Context, consumer string, from, to int64) error
}

// Sink takes batches of events. Handle is never called concurrently. When it fails,
// the same batch is passed again, so an event may be handled more than once, with
// the same ID and Seq.
type Sink interface {
	Handle(ctx context.Context, batch []event.Record) error
}

// Options name and tune a Consumer. A number that is zero takes its default.
type Options struct {
	Name  string // of the durable cursor
	Batch int    // most events in one Handle; default 256
	Log   zerolog.Logger
}

// Consumer runs one sink. A failing sink is retried with growing pauses and
// doesn't delay others.
type Consumer struct {
	log  Log
	sink Sink
	opts Options

	at     atomic.Int64 // the last event handled; written by Run only
	failed atomic.Int64

	saved int64 // the durable cursor; Run only

	mu        sync.Mutex
	since     time.Time // start of the running step, or of the first failure in a row
	failure   error     // of the last step
	hangs     error     // what to say if the running step doesn't end
	rewinds   []rewind
	interrupt context.CancelFunc // ends the current wait; nil while Run is busy
	ended     bool               // Run has returned; then Rewind does nothing
}

// ErrStopped says that the consumer no longer runs.
var ErrStopped = errors.New("the consumer has stopped")

type rewind struct {
	to   int64
	done chan error
}

// NewConsumer returns a Consumer; nothing happens before Run.
func NewConsumer(log Log, sink Sink, opts Options) *Consumer {
	if opts.Batch == 0 {
		opts.Batch = 256
	}
	return &Consumer{log: log, sink: sink, opts: opts}
}

// Name is the name of the durable cursor.
func (c *Consumer) Name() string { return c.opts.Name }

// At returns the seq of the last event handled, 0 before the first.
func (c *Consumer) At() int64 { return c.at.Load() }

// Failures counts the steps that failed and were tried again since the start.
func (c *Consumer) Failures() int64 { return c.failed.Load() }

// What Stuck says of a step that doesn't end, because the sink or the journal doesn't
// return.
var (
	errHangs        = errors.New("handling a batch of events does not end")
	errJournalHangs = errors.New("the journal does not answer")
)

// Stuck returns the time since which the consumer has made no progress, and the
// reason: every step since then has failed, or one doesn't end. The error is nil
// while the consumer works, and while it has been stuck for less than grace.
func (c *Consumer) Stuck(now time.Time, grace time.Duration) (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.since.IsZero() || now.Sub(c.since) < grace:
		return time.Time{}, nil
	case c.failure != nil:
		return c.since, c.failure
	}
	return c.since, c.hangs
}

// begin records for Stuck that a part of a step begins, and what to say if it doesn't
// end.
func (c *Consumer) begin(hangs error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangs = hangs
	if c.since.IsZero() {
		c.since = time.Now()
	}
}

// finish records the result of a step for Stuck.
func (c *Consumer) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.since = time.Time{}
	case c.since.IsZero():
		c.since = time.Now()
	}
	c.failure = err
}

// Rewind moves a running consumer's cursor: the next event it handles is the
// one after to. It returns when the new cursor is durable, with the error of
// ctx, or with ErrStopped. If saving fails, the consumer stays where it was.
func (c *Consumer) Rewind(ctx context.Context, to int64) error {
	r := rewind{to, make(chan error, 1)}
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return ErrStopped
	}
	c.rewinds = append(c.rewinds, r)
	if c.interrupt != nil {
		c.interrupt()
	}
	c.mu.Unlock()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run handles events until ctx ends, then saves its cursor and returns nil. It
// returns an error only if the cursor can't be read at the start.
//
// The cursor is saved after each batch, which costs no sync: if the process is
// killed, at most one batch is handled again.
func (c *Consumer) Run(ctx context.Context) error {
	defer c.end()
	cursor, err := c.log.Cursor(ctx, c.opts.Name)
	if err != nil {
		return fmt.Errorf("consumer %s: read its cursor: %w", c.opts.Name, err)
	}
	c.at.Store(cursor)
	c.saved = cursor
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 100*time.Millisecond, 30*time.Second
	for ctx.Err() == nil {
		err := c.step(ctx)
		c.finish(err)
		if err == nil {
			retry.Reset()
			continue
		}
		if ctx.Err() != nil {
			break
		}
		c.failed.Add(1)
		pause := retry.NextBackOff()
		c.opts.Log.Error().Err(err).Str("consumer", c.opts.Name).Int64("after_seq", c.At()).Int64("retry_in_ms", pause.Milliseconds()).
			Msg("events could not be handled; they are kept and tried again")
		_ = c.wait(ctx, pause, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := c.save(last); err != nil {
		c.opts.Log.Warn().Err(err).Str("consumer", c.opts.Name).Msg("the last events may be handled again after the restart")
	}
	return nil
}

// step handles one batch, or waits for one.
func (c *Consumer) step(ctx context.Context) error {
	c.begin(errJournalHangs)
	for _, r := range c.takeRewinds() {
		was := c.At()
		c.at.Store(r.to)
		err := c.save(ctx)
		if err != nil {
			c.at.Store(was)
		}
		r.done <- err
	}
	if err := c.save(ctx); err != nil { // of the last batch
		return err
	}
	batch, err := c.log.Read(ctx, c.At(), c.opts.Batch)
	if err != nil {
		return err
	}
	if len(batch) == 0 {
		c.finish(nil)
		return c.wait(ctx, time.Hour, func(ctx context.Context) error { return c.log.Wait(ctx, c.At()) })
	}
	c.begin(errHangs)
	if err := c.sink.Handle(ctx, batch); err != nil {
		return err
	}
	c.at.Store(batch[len(batch)-1].Seq)
	return nil
}

func (c *Consumer) takeRewinds() []rewind {
	c.mu.Lock()
	defer c.mu.Unlock()
	rewinds := c.rewinds
	c.rewinds = nil
	return rewinds
}

// end answers a waiting Rewind with ErrStopped.
func (c *Consumer) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	for _, r := range c.takeRewinds() {
		r.done <- ErrStopped
	}
}

// wait runs f until it returns, the time is over or Rewind is called. Only a real
// failure of f is an error.
func (c *Consumer) wait(ctx context.Context, most time.Duration, f func(context.Context) error) error {
	wctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	c.mu.Lock()
	if len(c.rewinds) > 0 {
		c.mu.Unlock()
		return nil
	}
	c.interrupt = cancel
	c.mu.Unlock()
	err := f(wctx)
	c.mu.Lock()
	c.interrupt = nil
	c.mu.Unlock()
	if wctx.Err() != nil {
		return nil
	}
	return err
}

// save makes the consumer's cursor durable. If the durable cursor is not where this
// consumer left it, somebody else has moved it (a replay), or an earlier move
// succeeded although it returned an error. Then the durable cursor counts.
func (c *Consumer) save(ctx context.Context) error {
	at := c.At()
	if at == c.saved {
		return nil
	}
	err := c.log.MoveCursor(ctx, c.opts.Name, c.saved, at)
	if err == nil {
		c.saved = at
		return nil
	}
	if place, readErr := c.log.Cursor(ctx, c.opts.Name); readErr == nil && place != c.saved {
		if place != at {
			c.opts.Log.Warn().Str("consumer", c.opts.Name).Int64("was_at_seq", at).Int64("now_at_seq", place).
				Msg("somebody else moved this consumer; it goes on from there")
		}
		c.saved = place
		c.at.Store(place)
		return nil
	}
	return fmt.Errorf("save the cursor of consumer %s: %w", c.opts.Name, err)
}
