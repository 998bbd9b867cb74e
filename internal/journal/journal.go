package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kazoohook/internal/event"
)

// Journal is the durable log of one process: one SQLite database in one
// directory. It implements Log.
//
// An append changes only the table of events, at its end; the index, the
// lifecycle table and the rest are brought up to date in large sorted batches
// (merge), and until then come from memory, which a start reads again from the
// few events that the tables don't know.
type Journal struct {
	opt      Options
	path     string
	readOnly bool
	lock     *dirLock
	queue    *queue
	requests sync.Pool
	tail     *tail
	unacked  *unacked
	pool     *pool
	w        *writer
	counters counters
	health   atomic.Pointer[failure]

	closing  sync.Once
	closeErr error
}

type failure struct{ err error }

// Append stores r and returns once it is on disk, or finds that it repeats an
// event that is. Errors: ErrOverloaded, ErrUnavailable (wrapping the cause),
// ErrClosed, ErrReadOnly, and the context's; after the last the record may be
// stored all the same, and then counts as unacknowledged.
func (j *Journal) Append(ctx context.Context, r event.Record) (event.Appended, error) {
	start := time.Now()
	req, _ := j.requests.Get().(*request)
	if req == nil {
		req = &request{done: make(chan struct{}, 1)}
	}
	req.append, req.rec = true, normal(r)
	a, err := j.submit(ctx, req)
	if ctx.Err() == nil { // else the writer may still have it
		*req = request{done: req.done}
		j.requests.Put(req)
	}
	j.opt.Observe.appended(time.Since(start))
	return a, err
}

// submit hands a request to the writer and waits for its outcome.
func (j *Journal) submit(ctx context.Context, r *request) (event.Appended, error) {
	if j.readOnly {
		return event.Appended{}, ErrReadOnly
	}
	if err := ctx.Err(); err != nil {
		return event.Appended{}, err
	}
	if err := j.queue.push(r); err != nil {
		return event.Appended{}, err
	}
	select {
	case <-r.done:
		return r.appended, r.err
	case <-ctx.Done():
		return event.Appended{}, ctx.Err()
	}
}

// do hands a change that is no event to the writer.
func (j *Journal) do(ctx context.Context, op func(*txn) error) error {
	_, err := j.submit(ctx, &request{op: op, done: make(chan struct{}, 1)})
	return err
}

// Acknowledged reports whether Kazoo was sent the 200 for an appended delivery
// (or for the repetition of one). Call it once after each successful Append of
// a live delivery: until then, and after written false, an identical delivery
// may be Kazoo's repetition.
func (j *Journal) Acknowledged(r event.Record, a event.Appended, written bool) {
	if r.Source == event.SourceWebhook && tracked(&r) {
		j.unacked.done(keyOf(&r), a.Seq, written)
	}
}

// Refused reports that a delivery was answered 503. If it repeated one whose
// answer was lost, its next repetition is expected for as long again.
func (j *Journal) Refused(r event.Record) {
	if r.Source == event.SourceWebhook && tracked(&r) {
		j.unacked.refused(keyOf(&r))
	}
}

// Health is nil, or why the last attempt to write failed. It is tried again
// with every append, and every second without one.
func (j *Journal) Health() error {
	if f := j.health.Load(); f != nil {
		return f.err
	}
	return nil
}

func (j *Journal) setHealth(err error) {
	had := j.health.Load()
	switch {
	case err == nil && had != nil:
		j.health.Store(nil)
		j.opt.Log.Info().Str("dir", j.opt.Dir).Msg("journal can be written again")
	case err != nil:
		f := &failure{j.unavailable(err)}
		j.health.Store(f)
		j.counters.lastError.Store(f)
		if had == nil {
			j.opt.Log.Error().Err(f.err).Str("dir", j.opt.Dir).
				Msg("journal cannot be written: deliveries are answered 503 until it can")
		}
	}
}

// Close stores what is queued, then ends everything. It returns the first
// failure, and the same when called again.
func (j *Journal) Close() error {
	j.closing.Do(func() {
		var errs []error
		if j.w != nil {
			j.queue.close()
			<-j.w.stopped
		}
		j.tail.close()
		errs = append(errs, j.pool.close())
		if j.w != nil {
			errs = append(errs, j.Health(), j.w.checkpoints.close(), j.w.c.close())
		}
		errs = append(errs, j.lock.release())
		if err := errors.Join(errs...); err != nil {
			j.closeErr = fmt.Errorf("close journal: %w", err)
		}
	})
	return j.closeErr
}
