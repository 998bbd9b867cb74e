package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// proposer gives this node's commands to the replicated log, and passes what comes
// back to the writer. propose encodes and publishes a command. On every node, follow
// reads it from the log into the writer's queue. The writer applies it, and on this
// node gives the result to the caller.
type proposer struct {
	j     *Journal
	c     *Cluster
	codec *codec

	ctx        context.Context //nolint:containedctx // ends with the journal
	stop       context.CancelFunc
	goroutines sync.WaitGroup
	ready      chan struct{} // closed by begun: this process may give commands
	begun      func()
	answer     signal // outcomes of answers wait
	outbox     outbox

	mu        sync.Mutex
	closed    bool
	ids       tables.IDs
	number    uint64           // of the last command of this process
	waiting   map[uint64]*work // by number
	bytes     int64            // of the requests among them
	acked     uint64           // highest position that was acknowledged
	applied   uint64
	progress  chan struct{} // closed when applied grows; nil while nobody waits
	outcomes  []*outcome
	opened    bool           // the command that began this process is applied
	tick      snapshot.Clock // the cluster's clock at the newest tick
	ticked    time.Time      // when that tick was read; zero: none since this process began
	away      snapshot.Clock // the clock when this process began, by the wall clock
	behind    bool           // the wall clock was behind the journal then
	started   time.Time
	trouble   error // why the log can't be read
	readiness *time.Timer
}

const (
	// applyGrace is how long a webhook's request that is in the log waits to be applied,
	// to learn its number. It is stored in any case.
	applyGrace = 100 * time.Millisecond
	// outcomesEvery is how long outcomes of answers are gathered. mostOutcomes is how
	// many one command has, keptOutcomes how many may wait for a quorum.
	outcomesEvery, mostOutcomes, keptOutcomes = 50 * time.Millisecond, 256, 1 << 16
	// tryEvery is how long to wait before a failed log is tried again.
	tryEvery = 200 * time.Millisecond
	// quorumWait is how long a command waits until this process may give commands.
	quorumWait = 5 * time.Second
	// settleWait is how long a reader waits until acknowledged commands are applied.
	settleWait = time.Second
)

func newProposer(j *Journal, l *log, ms uint64) (*proposer, error) {
	c := *j.opt.Cluster
	if c.Boot == "" {
		c.Boot = rand.Text()
	}
	codec, err := newCodec()
	if err != nil {
		return nil, err
	}
	now := j.opt.Now()
	clock := newOwnClock(l.last, now)
	p := &proposer{
		j: j, c: &c, codec: codec, ready: make(chan struct{}), answer: make(signal, 1), outbox: outbox{wake: make(signal, 1)}, ids: tables.NewIDs(ms), waiting: map[uint64]*work{},
		acked: l.Position, applied: l.Position, tick: l.tick, away: clock.now(now), started: now,
	}
	p.begun = sync.OnceFunc(func() { close(p.ready) })
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.behind = l.last.Wall.Sub(now) > longestSilence
	return p, nil
}

// start begins to follow the log after what is applied.
func (p *proposer) start(s ClusterState) {
	p.goroutines.Go(func() { p.follow(s.Position+1, s.Entry) })
	p.goroutines.Go(func() { _ = p.persist(p.ctx, &opened{}) })
	p.goroutines.Go(p.giveOutcomes)
	for range senders {
		p.goroutines.Go(p.send)
	}
}

// propose gives a command to the log and waits until it is applied. A webhook's request
// waits less: it counts as stored once the log has acknowledged it.
func (p *proposer) propose(ctx context.Context, cmd command) (result, error) {
	if _, local := cmd.(*probe); local {
		return p.j.queued(ctx, cmd)
	}
	if err := p.wait(ctx, cmd); err != nil {
		return result{}, err
	}
	k, err := p.prepare(&work{cmd: cmd, done: make(chan struct{}, 1)})
	if err != nil {
		return result{}, err
	}
	defer p.forget(k)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	give := p.publish
	if _, ok := cmd.(*request); ok {
		give = p.together
	}
	if err := give(ctx, k); err != nil {
		select {
		case <-k.done: // it is applied, so it is in the log
			return k.result, k.err
		default:
			return result{}, err
		}
	}
	return p.await(ctx, k)
}

// prepare makes a command's envelope, and registers that its result is awaited.
func (p *proposer) prepare(k *work) (*work, error) {
	cmd := k.cmd
	kind, ok := p.codec.kind(cmd)
	if !ok {
		return nil, fmt.Errorf("no command of the log: %T", cmd)
	}
	k.entry = &entry{}
	now := p.j.opt.Now()
	e := &k.entry.envelope
	*e = envelope{Fold: p.j.newestFold(), Kind: kind.code, Node: p.c.Node, Boot: p.c.Boot, Term: cmd.head().term, Wall: tables.Nanos(now)}
	if kind.leader {
		if e.Term = p.leads(); e.Term == 0 {
			return nil, ErrTerm
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if r, ok := cmd.(*request); ok {
		n := int64(len(r.Rec.Body))
		if len(p.waiting) >= p.j.opt.QueueSize || p.bytes+n > p.j.opt.QueueBytes && len(p.waiting) > 0 {
			return nil, ErrOverloaded
		}
		p.bytes += n
	}
	draw(&p.ids, cmd, now)
	l, election := cmd.(*led)
	if election {
		l.Unknown = p.ticked.IsZero() && p.behind
	}
	e.ID, e.Clock = cmd.head().id, int64(p.clock(now, election))
	p.number++
	e.Number = p.number
	p.waiting[e.Number] = k
	return k, nil
}

// publish gives a command to the log, in an entry of its own.
func (p *proposer) publish(ctx context.Context, k *work) error {
	data, err := p.codec.encode(k.entry.envelope, k.cmd)
	if err != nil {
		return err
	}
	return p.give(ctx, k.entry.Number, data)
}

// give gives an entry to the log. The entry is named after its first command.
func (p *proposer) give(ctx context.Context, first uint64, data []byte) error {
	position, err := p.c.Replica.Publish(ctx, p.name(first), data)
	switch {
	case err == nil:
		p.mu.Lock()
		p.acked = max(p.acked, position)
		p.mu.Unlock()
		return nil
	case errors.Is(err, ErrTooLarge):
		return err
	case p.ctx.Err() != nil:
		return ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrUnavailable):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// await waits for the result of a command that the log has, for that of a webhook's
// request only for applyGrace: Kazoo needs an answer, not the result.
func (p *proposer) await(ctx context.Context, k *work) (result, error) {
	var grace <-chan time.Time
	if r, ok := k.cmd.(*request); ok && r.Rec.Source == event.SourceWebhook {
		if p.j.halted.err() != nil {
			return result{}, nil
		}
		timer := time.NewTimer(max(applyGrace, p.j.opt.grace))
		defer timer.Stop()
		grace = timer.C
	}
	select {
	case <-k.done:
		return k.result, k.err
	case <-grace:
		return result{}, nil
	case <-ctx.Done():
	}
	switch {
	case grace != nil:
		return result{}, nil
	case p.ctx.Err() != nil:
		return result{}, ErrClosed
	}
	return result{}, ctx.Err()
}

// forget ends the wait for a command.
func (p *proposer) forget(k *work) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, k.entry.Number)
	if r, ok := k.cmd.(*request); ok {
		p.bytes -= int64(len(r.Rec.Body))
	}
}

// close gives the last outcomes of answers to the log, within settleWait, and ends.
// There may be no proposer.
func (p *proposer) close() {
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, settleWait)
	p.flushOutcomes(ctx)
	cancel()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
	p.goroutines.Wait()
}
