package journal

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// shared is the log's state as the writer publishes it.
type shared struct {
	ClusterState
	number int64
	chain  [32]byte
}

// follow reads the log from a position on into the writer's queue. before is the
// SHA-256 of the entry before that.
func (p *proposer) follow(next uint64, before [32]byte) {
	for {
		err := p.c.Replica.Read(p.ctx, next, before, func(position uint64, data []byte) error {
			switch {
			case position < next:
				return nil
			case position > next:
				return fmt.Errorf("entry %d of the cluster's log follows entry %d", position, next-1)
			}
			list := p.codec.decode(data)
			for _, k := range list {
				k.entry.position = position
				if _, alone := k.cmd.(apart); alone {
					list[0].entry.apart = true
				}
			}
			sum := sha256.Sum256(data)
			list[0].entry.sum, list[0].entry.bytes = sum, int64(len(data))
			if err := p.j.queue.follow(p.ctx, list, p.awaited(list)); err != nil {
				return err
			}
			next, before = position+1, sum
			p.failed(nil)
			return nil
		})
		if p.ctx.Err() != nil {
			return
		}
		p.failed(err)
		select {
		case <-time.After(tryEvery):
		case <-p.ctx.Done():
			return
		}
	}
}

// awaited reports whether somebody on this node waits until one of an entry's
// commands is applied.
func (p *proposer) awaited(list []*work) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(list, func(k *work) bool {
		w := p.own(k)
		return w != nil && w.done != nil
	})
}

// own returns this process's command that came back from the log as k; nil if k is
// another process's, or nobody waits for it.
func (p *proposer) own(k *work) *work {
	if k.entry.Node != p.c.Node || k.entry.Boot != p.c.Boot {
		return nil
	}
	return p.waiting[k.entry.Number]
}

// failed notes whether the log can be read.
func (p *proposer) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil && p.trouble == nil:
		p.j.opt.Log.Error().Err(err).Msg("the cluster's log can't be read; will try again")
	case err == nil && p.trouble != nil:
		p.j.opt.Log.Info().Msg("the cluster's log can be read again")
	}
	p.trouble = err
}

// readable is nil, or why the log can't be read. There may be no proposer.
func (p *proposer) readable() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trouble
}

// committed publishes what entries led to, gives their results to the callers that
// wait, and calls Cluster's callbacks. The writer calls it once they are on disk.
func (p *proposer) committed(t *tx, batch []*work) {
	l, j := t.log, p.j
	if t.gap.Last > 0 {
		t.next = t.gap.Last + 1
		j.name.Store(t.name)
		j.damage.Gap(t.gap)
		j.tail.Skip(t.gap.Last)
	}
	s := &shared{ClusterState: l.ClusterState, number: l.last.Number, chain: l.chain}
	j.shared.Store(s)
	p.mu.Lock()
	for _, k := range batch {
		p.result(k)
	}
	p.applied = l.Position
	if p.progress != nil {
		close(p.progress)
		p.progress = nil
	}
	p.mu.Unlock()
	for _, n := range t.news {
		switch {
		case n.leader != "" && p.c.OnLead != nil:
			p.c.OnLead(n.term, n.leader, n.boot)
		case n.leader == "" && n.term > 0 && p.c.OnTick != nil:
			p.c.OnTick(n.term)
		case n.term == 0 && p.c.OnMembers != nil:
			p.c.OnMembers()
		}
	}
}

// result handles the result of one command of the log.
func (p *proposer) result(k *work) {
	w := p.own(k)
	switch k.cmd.(type) {
	case *opened:
		if k.entry.Node == p.c.Node && k.entry.Boot == p.c.Boot && !p.opened {
			p.opened = true
			p.readiness = time.AfterFunc(maxSince, p.begun)
		}
	case *led, *ticked:
		if p.opened && k.err == nil { // else it may be an old one
			p.tick, p.ticked = k.cmd.head().at.Clock, p.j.opt.Now()
			p.readiness.Stop()
			p.begun()
		}
	}
	if w != nil && k.err != errRepeated { //nolint:errorlint // it is never wrapped
		w.result, w.err = k.result, k.err
		select {
		case w.done <- struct{}{}:
		default:
		}
	}
}

// waitApplied waits until a position is applied.
func (p *proposer) waitApplied(ctx context.Context, position uint64) error {
	for {
		p.mu.Lock()
		if p.applied >= position {
			p.mu.Unlock()
			return nil
		}
		if p.progress == nil {
			p.progress = make(chan struct{})
		}
		progress := p.progress
		p.mu.Unlock()
		select {
		case <-progress:
		case <-p.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// halt is why the journal no longer applies commands.
type halt struct{ reason atomic.Pointer[error] }

func (h *halt) err() error {
	if err := h.reason.Load(); err != nil {
		return *err
	}
	return nil
}

// entries is what was read from a cluster's log and waits for the writer, in order. The
// queue's lock protects it.
type entries struct {
	list    []*work // the commands of entries
	bytes   int64
	awaited bool   // somebody on this node waits for one of them
	room    signal // while there may be room
}

// entriesGrace is how long entries wait for more, unless a caller on this node waits
// for one. Once there are manyEntries they wait no longer.
const entriesGrace, manyEntries = 5 * time.Millisecond, 256

// follow queues an entry that was read from the log. It waits while there is no
// room.
func (q *queue) follow(ctx context.Context, list []*work, awaited bool) error {
	e := &q.entries
	for {
		q.mu.Lock()
		switch {
		case q.closed:
			q.mu.Unlock()
			return ErrClosed
		case len(e.list) < 2*maxBatch && e.bytes < 2*maxBatchBytes:
			first := len(e.list) == 0
			e.list, e.bytes, e.awaited = append(e.list, list...), e.bytes+list[0].entry.bytes, e.awaited || awaited
			wake := first || e.awaited || len(e.list) >= manyEntries
			q.mu.Unlock()
			if wake { // else the writer is awake and waits for more
				q.wake.signal()
			}
			return nil
		}
		q.mu.Unlock()
		select {
		case <-e.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take is the queue's take for entries. No entry is split, and an entry with a command
// that is apart comes alone.
func (e *entries) take(dst []*work) []*work {
	n, bytes, alone := 0, int64(0), false
	for ; n < len(e.list); n++ {
		k := e.list[n].entry
		if k.index == 0 {
			if n > 0 && (alone || k.apart || n >= maxBatch || bytes >= maxBatchBytes) {
				break
			}
			alone = k.apart
		}
		bytes += k.bytes
	}
	dst = append(dst, e.list[:n]...)
	e.list, e.bytes = slices.Delete(e.list, 0, n), e.bytes-bytes
	e.awaited = e.awaited && len(e.list) > 0
	e.room.signal()
	return dst
}

// drop discards the queued entries, because one before them can't be applied.
func (q *queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.entries = entries{room: q.entries.room}
}

// accumulate waits for more entries of the log, so that transactions become larger
// and fewer. Requests that other nodes took are answered already.
func (w *writer) accumulate() {
	w.await(entriesGrace, func(l load) bool { return l.entries >= manyEntries || l.awaited || l.others > 0 })
}

// follow applies entries of the log in one transaction. It repeats one that failed,
// because an entry can't be skipped. It returns false if the journal was closed before
// it succeeded.
func (w *writer) follow(batch []*work) bool {
	for {
		err := w.try(batch)
		w.j.setHealth(err)
		if err == nil {
			break
		}
		if !w.await(quietAfter, func(load) bool { return false }) {
			w.j.queue.drop()
			return false
		}
	}
	w.j.proposer.committed(w.tx, batch)
	w.wake()
	return true
}
