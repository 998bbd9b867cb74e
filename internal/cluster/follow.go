package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// quiet is how long the reader waits for an entry before it asks for one. Ticks
	// come more often, so it asks only when something is wrong.
	quiet = 700 * time.Millisecond
	// partWait bounds the wait for the next entry of a requested part. If the node that
	// answers dies, another may answer the next request.
	partWait = 500 * time.Millisecond
	// partEntries and partBytes bound one request.
	partEntries, partBytes = 512, 2 << 20
	// aheadEntries and aheadBytes bound what waits here to be applied. More entries are
	// dropped, and asked for again.
	aheadEntries, aheadBytes = 8192, 8 << 20
)

// errReader: the reading itself failed. It can begin again at the same position.
var errReader = errors.New("read the cluster's stream")

// read gives f each entry in order, beginning with position from, until ctx ends or f
// returns an error. Before, it calls found if the log can be continued there: the entry
// before has the hash before, if that is known.
//
// The stream's leader repeats each entry to all subscribers. Entries that didn't arrive
// this way are asked for, and any node that has them answers. There is no JetStream
// consumer, because a consumer lives on one node and dies with it.
func (s *stream) read(ctx context.Context, from uint64, before [32]byte, found func(), f func(uint64, []byte) error) error {
	live, err := s.app.SubscribeSync(followed + s.log.epoch)
	if err == nil {
		err = live.SetPendingLimits(aheadEntries, aheadBytes)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errReader, err)
	}
	defer func() { _ = live.Unsubscribe() }()
	r := reader{s: s, next: from, before: before, f: f}
	if err := r.check(ctx); err != nil {
		return err
	}
	found()
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	for {
		wait, cancel := context.WithTimeout(ctx, quiet)
		m, err := live.NextMsgWithContext(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrSlowConsumer):
			r.sure = false
			err = r.catchUp(ctx)
		case err == nil:
			err = r.take(ctx, m)
		}
		if err != nil {
			return err
		}
	}
}

// reader is one run of read.
type reader struct {
	s    *stream
	next uint64 // position
	f    func(uint64, []byte) error
	// The entry before next, if it was read in this run, or its hash. sure: the log still
	// had it, and since then each entry came right after the one before. In a silence
	// other nodes may have begun again from earlier disks.
	last   []byte
	before [32]byte
	sure   bool
}

// check returns an error if the stream is not the one to continue with.
func (r *reader) check(ctx context.Context) error {
	l, err := r.s.state(ctx)
	switch {
	case errors.Is(err, errNoStream):
		return errEpoch
	case err != nil:
		return fmt.Errorf("%w: %w", errReader, err)
	}
	err = continues(l, r.s.log.epoch, r.next)
	switch {
	case errors.Is(err, errCut) && !l.leader:
		return fmt.Errorf("%w: %w", errReader, errLeaderless)
	case err != nil:
		return err
	}
	return r.holds(ctx)
}

// holds returns an error if the stream doesn't have the entry before next.
func (r *reader) holds(ctx context.Context) error {
	if r.last != nil {
		r.before, r.last = sha256.Sum256(r.last), nil
	}
	return r.s.holds(ctx, r.s.log.epoch, r.next-1, r.before)
}

// give gives f the next entry.
func (r *reader) give(ctx context.Context, data []byte) error {
	if !r.sure {
		if err := r.holds(ctx); errors.Is(err, errReplaced) {
			return err
		} else if err != nil {
			if err := r.check(ctx); err != nil { // it says more
				return err
			}
		}
		r.sure = true
	}
	if err := r.f(r.next, data); err != nil {
		return err
	}
	r.last = data
	r.next++
	return nil
}

// take gives f an entry. If the entry comes too early, the missing ones are asked for
// first.
func (r *reader) take(ctx context.Context, m *nats.Msg) error {
	at, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("%w: an entry without a position: %w", errReader, err)
	case at < r.next:
		r.sure = false
		return nil
	case at > r.next:
		r.sure = false
		if err := r.catchUp(ctx); err != nil || at != r.next {
			return err
		}
	}
	return r.give(ctx, m.Data)
}

// catchUp asks for entries until there are no more.
func (r *reader) catchUp(ctx context.Context) error {
	for {
		more, err := r.part(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// part asks for the next entries, and reports whether there are more. It is no error if
// nobody answers: the log may have no quorum.
func (r *reader) part(ctx context.Context) (more bool, err error) {
	request, err := json.Marshal(map[string]any{"seq": r.next, "batch": partEntries, "max_bytes": partBytes})
	if err != nil {
		return false, err
	}
	inbox := r.s.app.NewRespInbox()
	answers, err := r.s.app.SubscribeSync(inbox)
	if err == nil {
		defer func() { _ = answers.Unsubscribe() }()
		err = r.s.app.PublishRequest("$JS.API.DIRECT.GET."+streamName, inbox, request)
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", errReader, err)
	}
	for {
		wait, cancel := context.WithTimeout(ctx, partWait)
		m, err := answers.NextMsgWithContext(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("%w: %w", errReader, err)
		}
		switch m.Header.Get("Status") {
		case "":
			if err := r.takePart(ctx, m); err != nil {
				return false, err
			}
		case "204": // the end of this part
			pending, _ := strconv.ParseUint(m.Header.Get("Nats-Num-Pending"), 10, 64)
			return pending > 0, nil
		default: // no such entry
			return false, nil
		}
	}
}

// takePart gives f an entry that was asked for. If entries before it are missing, check
// says whether they were purged.
func (r *reader) takePart(ctx context.Context, m *nats.Msg) error {
	at, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: an entry without a position: %w", errReader, err)
	}
	if m.Header.Get(jetstream.SubjectHeader) != subjects+r.s.log.epoch {
		return errEpoch
	}
	switch {
	case at < r.next:
		return nil
	case at > r.next:
		if err := r.check(ctx); err != nil {
			return err
		}
		return fmt.Errorf("%w: %d follows %d", errReader, at, r.next-1)
	}
	return r.give(ctx, m.Data)
}
