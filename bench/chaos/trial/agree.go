package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
)

// settle waits until all nodes of a cluster are up again after the last fault.
func (r *run) settle(ctx context.Context) {
	if r.opts.Nodes == 1 {
		return
	}
	from := time.Now()
	for _, n := range r.nodes {
		if !r.await(ctx, 2*time.Minute, func() bool { return n.whole(ctx, len(r.nodes)) }) {
			state, ok := n.cluster(ctx)
			r.violate("2 minutes after the last fault %s is not whole: answers %t, %+v", n.name, ok, state)
		}
	}
	r.logf("the cluster is whole %s after the last fault", time.Since(from).Round(time.Millisecond))
}

// sameHistory proves that every node has the same events.
func (r *run) sameHistory(ctx context.Context, first []Event) error {
	for _, n := range r.nodes[1:] {
		events, err := n.receiver.History(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		if len(events) != len(first) {
			r.violate("%s has %d events, and %s has %d", r.nodes[0].name, len(first), n.name, len(events))
			continue
		}
		for i, e := range events {
			if e.content != first[i].content || e.Journal != first[i].Journal {
				r.violate("event %d differs:\n\t%s: %s of %s\n\t%s: %s of %s", e.Seq, r.nodes[0].name, first[i].content, first[i].Journal, n.name, e.content, e.Journal)
				break
			}
		}
	}
	return nil
}

// takeOvers returns the spans in which another node took over. The cause may also be
// that the previous leader was busy.
func (l *Lines) takeOvers() (spans []span) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.turns {
		spans = append(spans, span{t.Add(-recordedWithin), t.Add(recordedWithin)})
	}
	return spans
}

// repeated proves that an event has several lines only around a take-over.
func (r *run) repeated() (violations []string) {
	if r.opts.Nodes == 1 {
		return nil
	}
	lines := r.receiver.Lines
	lines.mu.Lock()
	defer lines.mu.Unlock()
	for _, again := range lines.repeats {
		around := func(t span) bool { return again.at.After(t.from) && again.at.Before(t.to) }
		if again.at.After(r.start) && !slices.ContainsFunc(r.troubles, around) {
			violations = append(violations, fmt.Sprintf("event %d has a line once more at %s, when no node took over", again.seq, stamp(again.at)))
		}
	}
	return violations
}

// failed proves that Kazoo counted no failure in a trial in which only nodes break.
func (e *evidence) failed() (violations []string) {
	for _, f := range e.firings {
		if e.plain && f.ObjectType != "" && (f.Outcome == fakekazoo.OutcomeRefused || f.Outcome == fakekazoo.OutcomeExhausted) {
			violations = append(violations, fmt.Sprintf("%s of %s ended as %s at %s, and nothing but nodes was broken: %d %s", f.Event, f.ObjectID, f.Outcome, stamp(f.ended), f.Status, f.ClientError))
		}
	}
	return violations
}

// agree proves that the journals of a cluster are the same. It freezes all nodes at
// one moment and copies the journals, until each copy has applied the same commands.
// Then all copies must give the same digest of all tables.
func (r *run) agree(ctx context.Context) {
	if r.opts.Nodes == 1 {
		return
	}
	var found []applied
	for try := range 100 {
		Sleep(ctx, time.Duration(try)*5*time.Millisecond)
		copies := filepath.Join(r.dir, "copies")
		err := r.photograph(ctx, copies)
		if err == nil {
			found, err = r.compare(ctx, copies)
		}
		if err = errors.Join(err, os.RemoveAll(copies)); err != nil {
			r.violate("the journals could not be compared: %v", err)
			return
		}
		if same(found, func(a applied) any { return a.position }) {
			break
		}
	}
	r.logf("journals: %v", found)
	switch {
	case !same(found, func(a applied) any { return a.position }):
		r.violate("the nodes never had applied the same commands: %v", found)
	case !same(found, func(a applied) any { return a }):
		r.violate("the nodes applied the same commands, and their journals differ: %v", found)
	default:
		r.report.Compared++
	}
}

// applied is the state of a node's journal.
type applied struct {
	epoch    string
	position uint64
	chain    [32]byte
	digest   [32]byte
}

// String is short, for people.
func (a applied) String() string {
	return fmt.Sprintf("[%s %d: chain %x, digest %x]", a.epoch, a.position, a.chain[:4], a.digest[:4])
}

func same(list []applied, of func(applied) any) bool {
	for _, a := range list {
		if of(a) != of(list[0]) {
			return false
		}
	}
	return len(list) > 0
}

// photograph copies the journals of all nodes at one moment.
func (r *run) photograph(ctx context.Context, to string) (err error) {
	frozen, thaw := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer thaw()
	for _, n := range r.nodes {
		all.Go(func() { n.receiver.Freeze(frozen, time.Minute) })
	}
	Sleep(ctx, 20*time.Millisecond) // until the signals have arrived
	for _, n := range r.nodes {
		for _, suffix := range []string{"", "-wal"} {
			name := journal.FileName + suffix
			err = errors.Join(err, os.MkdirAll(filepath.Join(to, n.name), 0o700), copyFile(filepath.Join(n.data, name), filepath.Join(to, n.name, name)))
		}
	}
	return err
}

// compare reads the copies. It makes digests only if the positions are the same.
func (r *run) compare(ctx context.Context, copies string) (found []applied, err error) {
	for _, n := range r.nodes {
		j, err := journal.OpenReadOnly(ctx, journal.Options{Dir: filepath.Join(copies, n.name)})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.name, err)
		}
		state := j.Cluster()
		a := applied{epoch: state.Epoch, position: state.Position}
		if len(found) == 0 || a.position == found[0].position {
			_, a.chain = j.Chain()
			a.digest, err = j.Digest(ctx)
		}
		if err = errors.Join(err, j.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", n.name, err)
		}
		found = append(found, a)
	}
	return found, nil
}
