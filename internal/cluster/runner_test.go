package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// runner is one node with its journal, as the service runs it.
type runner struct {
	t       *testing.T
	o       Options
	retain  time.Duration
	n       *Node
	j       *journal.Journal // once opened is closed, if Open succeeded
	opened  chan struct{}    // closed when Open has ended
	leading atomic.Bool
	cancel  context.CancelFunc // ends Open and Run; nil: they have ended
	done    chan error         // of Open if that failed, of Run otherwise
}

// begin starts the node's server.
func (r *runner) begin() {
	r.t.Helper()
	n, err := Start(r.t.Context(), r.o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.n = n
}

// opens begins to open the journal beside the test. Once it is open, the node runs.
func (r *runner) opens() {
	ctx, cancel := context.WithCancel(r.t.Context())
	n, opened, done := r.n, make(chan struct{}), make(chan error, 1)
	r.opened, r.cancel, r.done = opened, cancel, done
	go func() {
		j, err := n.Open(ctx, journal.Options{Dir: r.o.Dir, Log: r.o.Log, Retention: r.retain})
		r.j = j
		close(opened)
		if err == nil {
			err = n.Run(ctx, r.lead)
		}
		done <- err
	}()
}

// isOpen reports whether the journal is open.
func (r *runner) isOpen() bool {
	select {
	case <-r.opened:
		return r.j != nil
	default:
		return false
	}
}

// open waits until the node gives the log commands, so that it has read what the log
// had. A node that must begin again does so.
func (r *runner) open() {
	r.t.Helper()
	err := repeated(r.t.Context(), func() error {
		r.again()
		if !r.isOpen() || !r.j.Begun() {
			return errors.New(r.n.Status(r.t.Context()).Problem)
		}
		return nil
	})
	if err != nil {
		r.t.Errorf("open %s: %v", r.o.Node, err)
	}
}

// again does what a supervisor does with a node that must begin again.
func (r *runner) again() {
	r.t.Helper()
	if errors.Is(r.n.ending(), ErrRestart) {
		r.stop()
		r.begin()
		r.opens()
	}
}

// run goes on after rest.
func (r *runner) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	n, done := r.n, make(chan error, 1)
	r.cancel, r.done = cancel, done
	go func() { done <- n.Run(ctx, r.lead) }()
}

func (r *runner) lead(ctx context.Context) error {
	r.leading.Store(true)
	defer r.leading.Store(false)
	<-ctx.Done()
	return nil
}

// ends waits until Open has failed or Run has ended.
func (r *runner) ends() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.cancel()
		r.cancel = nil
		return err
	case <-time.After(2 * waitLimit):
		panic(r.o.Node + " doesn't end: the goroutines below say why")
	}
}

// rest ends Open or Run, unless it has ended; after Run the node still takes and applies
// commands.
func (r *runner) rest() {
	r.t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	if err := r.ends(); r.isOpen() && err != nil && !errors.Is(err, journal.ErrClosed) && !errors.Is(err, ErrRestart) {
		r.t.Errorf("%s ends with %v", r.o.Node, err)
	}
}

// stop stops a node as SIGTERM does.
func (r *runner) stop() {
	if r.n == nil {
		return
	}
	r.rest()
	if r.j != nil {
		if err := r.j.Close(); err != nil {
			r.t.Errorf("close the journal of %s: %v", r.o.Node, err)
		}
	}
	_ = r.n.Close()
	r.n, r.j, r.opened = nil, nil, nil
}

// kill cuts a node off, so that it can no longer say anything, and then ends it.
func (r *runner) kill() {
	r.n.embedded.server.Shutdown()
	r.rest()
	if r.j != nil {
		_ = r.j.Close()
	}
	_ = r.n.Close()
	r.n, r.j, r.opened = nil, nil, nil
}

// deletion is a request about a deleted user.
func deletion(n int) event.Record {
	const account = "0123456789abcdef0123456789abcdef"
	id := fmt.Sprintf("%032x", n+1)
	body := url.Values{"id": {id}, "account_id": {account}, "action": {"doc_deleted"}, "type": {"user"}}.Encode()
	return event.Record{
		Request: event.Request{Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object", HookID: "5f1e6f0c2a3b4c5d6e7f8091a2b3c4d5",
			HookAccountID: account, Method: "POST", ContentType: "application/x-www-form-urlencoded", RemoteAddr: "192.0.2.7:41234", Body: []byte(body)},
		Event: "user.deleted", AccountID: account, ObjectType: "user", ObjectID: id, Action: event.Deleted,
		Dedupe: event.Dedupe{Rule: event.RuleLifecycle, Key: event.LifecycleKey(account, "user", id)},
	}
}

// take appends deletions on a node, and repeats each until it is taken, as Kazoo does.
func (r *runner) take(from, to int) {
	r.t.Helper()
	taking, ctx := errgroup.WithContext(r.t.Context())
	taking.SetLimit(16)
	for i := from; i < to && ctx.Err() == nil; i++ {
		taking.Go(func() error {
			err := repeated(ctx, func() error {
				_, err := r.j.Append(ctx, deletion(i))
				return err
			})
			if err != nil {
				return fmt.Errorf("event %d was never taken by %s: %w", i, r.o.Node, err)
			}
			return nil
		})
	}
	if err := taking.Wait(); err != nil {
		r.t.Fatal(err)
	}
}

// wait waits until a node has a state.
func (r *runner) wait(s State) (status Status) {
	r.t.Helper()
	eventually(r.t, "state "+string(s)+" of "+r.o.Node, func() error {
		if status = r.n.Status(r.t.Context()); status.State != s {
			return errors.New(string(status.State) + ": " + status.Problem)
		}
		return nil
	})
	return status
}

// empty removes a node's whole directory.
func (r *runner) empty() {
	r.t.Helper()
	if err := os.RemoveAll(r.o.Dir); err != nil {
		r.t.Fatal(err)
	}
}
