package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"kazoohook/internal/dedupe"
	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/journal/tail"
)

// conn is one connection to the database.
type conn = database.Conn

// Journal is the durable log of one process: one SQLite database in one
// directory.
//
// Log in package journaltest states its promises: dense numbers in order, an event
// on disk when Append has returned, readers that delay nobody. All methods may be
// called from any goroutine. A record's Body belongs to the journal from the call of
// Append on: the caller must not change it afterwards, and readers must not change
// what they get.
type Journal struct {
	opt      Options
	path     string
	readOnly bool
	lock     *database.Lock
	queue    *queue
	commands atomic.Uint64 // newest name of a request's command
	tail     *tail.Tail
	damage   *integrity.Ledger
	pool     *database.Pool
	looks    signal
	exceeded chan int64   // see BacklogExceeded
	name     atomic.Value // string, see Name
	w        *writer
	proposer *proposer              // nil on a single node
	shared   atomic.Pointer[shared] // state of the cluster's log; nil without one
	halted   halt
	applied  atomic.Int64 // number of the last command applied
	counting sync.Mutex   // protects the next
	counted  Stats        // what is not read elsewhere
	health   atomic.Pointer[error]
	opened   time.Time
	step     atomic.Int64 // when the writer's current step began, after opened; 0: it waits
	end      func() error // close, run only once
}

// signal holds one token while there is something to do.
type signal chan struct{}

func (s signal) signal() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Append stores r and returns once it is on disk, or once it is known to be a
// duplicate of a stored event. A hidden record changes only the snapshot. Errors:
// ErrOverloaded, ErrUnavailable (wrapping the cause), ErrClosed, ErrReadOnly, and the
// context's. After the context's error the record may be stored nevertheless; the
// outcome of its answer is then unknown until Refused is called.
func (j *Journal) Append(ctx context.Context, r event.Record) (event.Appended, error) {
	start := time.Now()
	r.Dedupe = dedupe.Identity(&r)
	cmd := &request{Rec: tables.Normal(r), Command: j.commands.Add(1)}
	res, err := j.do(ctx, cmd)
	res.appended.Command = cmd.Command
	j.opt.Observe.Append(time.Since(start))
	return res.appended, err
}

// Own appends an event of the receiver's own. It is a duplicate if an event of the
// same name already reports the same thing. Errors are those of Append.
func (j *Journal) Own(ctx context.Context, o event.Own) (event.Appended, error) {
	res, err := j.do(ctx, &owned{Rec: tables.Normal(o.Record())})
	return res.appended, err
}

// do hands a command to the writer and waits for its outcome.
func (j *Journal) do(ctx context.Context, cmd command) (result, error) {
	if j.readOnly {
		return result{}, ErrReadOnly
	}
	if err := ctx.Err(); err != nil {
		return result{}, err
	}
	if j.proposer != nil {
		return j.proposer.propose(ctx, cmd)
	}
	return j.queued(ctx, cmd)
}

// queued gives a command directly to the writer, also in a cluster.
func (j *Journal) queued(ctx context.Context, cmd command) (result, error) {
	k := &work{cmd: cmd, done: make(chan struct{}, 1)}
	if err := j.queue.push(k); err != nil {
		return result{}, err
	}
	select {
	case <-k.done:
		return k.result, k.err
	case <-ctx.Done():
		j.queue.withdraw(k)
		return result{}, ctx.Err()
	}
}

// Acknowledged reports whether Kazoo was sent the 200 for an appended request
// (or for a duplicate of one). Call it once after each successful Append of a
// request from a hook. Until then, and if written is false, an identical request may
// be a duplicate. It doesn't wait.
func (j *Journal) Acknowledged(r event.Record, a event.Appended, written bool) {
	if r.Source == event.SourceWebhook && r.Dedupe.Rule == event.RuleUnacknowledged && !r.Hidden {
		cmd := &outcome{Key: dedupe.Identity(&r).Key, Command: a.Command, Written: written, RequestID: r.RequestID}
		if j.proposer != nil {
			j.proposer.outcome(cmd)
			return
		}
		_ = j.queue.push(&work{cmd: cmd})
	}
}

// Refused reports that a request for which Append failed will be answered 503. If it
// was stored nevertheless, Kazoo's next try is recognised as a duplicate. If it was
// itself such a try, the next one is expected for the full time again.
func (j *Journal) Refused(r event.Record, a event.Appended) { j.Acknowledged(r, a, false) }

// Applied is the number of the last command applied.
func (j *Journal) Applied() int64 { return j.applied.Load() }

// Name is the journal's name: 8 random characters. It is drawn when the journal is
// created, and again whenever its numbers can't be compared with earlier ones.
func (j *Journal) Name() string {
	name, _ := j.name.Load().(string)
	return name
}

// stalledAfter is how long one step of the writer may take. A busy disk needs a second
// or two.
const stalledAfter = 5 * time.Second

// Health is nil, or why the last attempt to write failed, or ErrStalled if the current
// one doesn't end. Writing is tried again with every append, and otherwise every second.
// In a cluster Health also says why the log can't be read, or is no longer applied.
func (j *Journal) Health() error {
	if began := j.step.Load(); began != 0 {
		if took := time.Since(j.opened) - time.Duration(began); took >= stalledAfter {
			return fmt.Errorf("%w: writing in %s has not ended for %s", ErrStalled, j.opt.Dir, took.Round(time.Second))
		}
	}
	return j.failure()
}

// failure is Health for the writer itself: why the last attempt failed.
func (j *Journal) failure() error {
	if err := j.health.Load(); err != nil {
		return *err
	}
	return errors.Join(j.halted.err(), j.proposer.readable())
}

func (j *Journal) setHealth(err error) {
	had := j.health.Load()
	switch {
	case err == nil && had != nil:
		j.health.Store(nil)
		j.opt.Log.Info().Str("dir", j.opt.Dir).Msg("journal can be written again")
	case err != nil:
		reason := j.unavailable(err)
		j.health.Store(&reason)
		j.count(func(s *Stats) { s.LastError = reason.Error() })
		if had == nil {
			msg := "journal can't be written: requests are answered 503 until it can"
			if j.proposer != nil {
				msg = "journal can't be written: this node does not apply the cluster's log until it can"
			}
			j.opt.Log.Error().Err(reason).Str("dir", j.opt.Dir).Msg(msg)
		}
	}
}

// Close stores what is queued, then ends everything. It returns all failures, joined,
// and the same when called again.
func (j *Journal) Close() error { return j.end() }

func (j *Journal) close() error {
	j.proposer.close()
	if j.w != nil {
		j.queue.close()
		j.w.stopPatrol()
		j.w.goroutines.Wait()
	}
	j.tail.End(ErrClosed)
	errs := []error{j.pool.Close()}
	if j.w != nil {
		health := j.health.Load()
		if health != nil {
			errs = append(errs, *health)
		}
		errs = append(errs, j.w.checkpoints.Close(), j.w.c.Close(), j.w.closeNewest(health == nil))
	}
	if j.lock != nil {
		errs = append(errs, j.lock.Release())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}

// Stats are figures of a journal since it was opened, its state and its limits.
type Stats struct {
	Available    bool  // it can take events
	Bytes        int64 // of all its files on disk
	First, Last  int64 // numbers of the oldest and newest event, 0 if none
	Queued       int   // appends waiting
	Appends      int64 // new events stored
	Transactions int64 // committed ones; not all are synced
	Duplicates   map[event.Rule]int64
	Pruned       int64  // events removed by retention
	PrunedUnread int64  // those among them that some consumer had not read
	Damaged      int64  // events that were found unreadable
	Broken       int64  // commands that the rules could not handle
	LastError    string // of the last failure to write, even if it has passed

	QueueLimit int // these are from Options
	MaxBytes   int64
	Retention  time.Duration
}

// Stats returns the figures. From disk it reads only file sizes.
func (j *Journal) Stats(ctx context.Context) (s Stats, _ error) {
	j.count(func(c *Stats) {
		s = *c
		s.Duplicates = maps.Clone(c.Duplicates)
	})
	s.Available, s.Queued, s.Damaged = j.Health() == nil, j.queue.load().requests, j.damage.Damage().Count()
	s.Bytes = database.FileSize(j.path) + database.FileSize(j.path+"-wal")
	s.First, _ = j.First(ctx) // neither fails
	s.Last, _ = j.Last(ctx)
	return s, nil
}

// count calls f to change the figures that are counted.
func (j *Journal) count(f func(*Stats)) {
	j.counting.Lock()
	defer j.counting.Unlock()
	f(&j.counted)
}

const ruleCount = int(event.RuleLifecycle) + 1
