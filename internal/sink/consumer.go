// Package sink feeds events from the journal to those who want them: a
// Consumer reads with a durable cursor, in order and at least once, and hands
// batches to a Sink.
package sink

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

// Sink takes batches of events. Handle is never called concurrently; when it
// fails the same batch comes again, so an event may be handled more than once:
// its ID and Seq stay the same.
type Sink interface {
	Handle(ctx context.Context, batch []event.Record) error
}

// Options name and tune a Consumer. The zero value of each number is a default.
type Options struct {
	Name  string        // of the durable cursor
	Batch int           // events at most in one Handle; default 256
	Save  time.Duration // the cursor is saved at most this often; default 200 ms
	Log   zerolog.Logger
}

// Consumer runs one sink. A failing sink is retried with growing pauses and
// holds up nobody else.
type Consumer struct {
	log  Log
	sink Sink
	opts Options

	at     atomic.Int64 // the last event handled; written by Run only
	failed atomic.Int64

	saved   int64 // the durable cursor; Run only, like savedAt
	savedAt time.Time

	mu        sync.Mutex
	rewinds   []rewind
	interrupt context.CancelFunc // ends the current wait; nil while Run is busy
	ended     bool               // Run is over: no Rewind will be done
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
	if opts.Save == 0 {
		opts.Save = 200 * time.Millisecond
	}
	return &Consumer{log: log, sink: sink, opts: opts}
}

// Name is the name of the durable cursor.
func (c *Consumer) Name() string { return c.opts.Name }

// At returns the seq of the last event handled, 0 before the first.
func (c *Consumer) At() int64 { return c.at.Load() }

// Failures counts the steps that failed and were tried again since the start.
func (c *Consumer) Failures() int64 { return c.failed.Load() }

// Rewind moves a running consumer to another place: the next event it handles
// is the one after to. It returns when the new place is durable, with ctx, or
// with ErrStopped; on an error of saving the consumer stays where it was.
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

// Run handles events until ctx ends, then saves its place and returns nil. It
// returns an error only if its place can't be read at the start.
//
// The cursor is saved behind the events, not with each batch, so that it costs
// no sync per event; a crash repeats what was handled since the last save.
func (c *Consumer) Run(ctx context.Context) error {
	defer c.end()
	cursor, err := c.log.Cursor(ctx, c.opts.Name)
	if err != nil {
		return fmt.Errorf("consumer %s: read its place: %w", c.opts.Name, err)
	}
	c.at.Store(cursor)
	c.saved = cursor
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 100*time.Millisecond, 30*time.Second
	for ctx.Err() == nil {
		err := c.step(ctx)
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
	for _, r := range c.takeRewinds() {
		was := c.At()
		c.at.Store(r.to)
		err := c.save(ctx)
		if err != nil {
			c.at.Store(was)
		}
		r.done <- err
	}
	if time.Since(c.savedAt) >= c.opts.Save {
		if err := c.save(ctx); err != nil {
			return err
		}
	}
	batch, err := c.log.Read(ctx, c.At(), c.opts.Batch)
	if err != nil {
		return err
	}
	if len(batch) == 0 {
		forever := time.Hour
		if c.saved != c.At() {
			forever = c.opts.Save
		}
		return c.wait(ctx, forever, func(ctx context.Context) error { return c.log.Wait(ctx, c.At()) })
	}
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

// end turns away who still waits for a Rewind.
func (c *Consumer) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	for _, r := range c.takeRewinds() {
		r.done <- ErrStopped
	}
}

// wait runs f until it returns, the time is over or a Rewind comes; only a real
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

// save makes the consumer's place durable. Where the durable place is not what
// it was left at, somebody else has moved it (a replay) or our own move had come
// through although it failed: what is durable counts.
func (c *Consumer) save(ctx context.Context) error {
	c.savedAt = time.Now()
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
	return fmt.Errorf("save the place of consumer %s: %w", c.opts.Name, err)
}
