package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/integrity"
)

// Options are the settings of this node.
type Options struct {
	Dir            string   // DATA_DIR
	Node           string   // CLUSTER_NODE
	Listen         string   // CLUSTER_LISTEN, host:port
	Peers          []string // CLUSTER_PEERS: host:port of all nodes, or one name that resolves to all
	Size           int      // 3 or 5
	Secret         string   // CLUSTER_SECRET
	PreviousSecret string   // CLUSTER_SECRET_PREVIOUS
	Version        string   // of the program
	// Settings are the settings that must be the same on every node: the value, or a
	// hash of it, by name.
	Settings map[string]string
	Log      zerolog.Logger
}

// dir holds the cluster's own files.
func (o *Options) dir() string { return filepath.Join(o.Dir, "cluster") }

// Errors of Node's methods. Errors of the log itself are the journal's.
var (
	// ErrNoLeader: no leader is known, or it doesn't answer. Try again.
	ErrNoLeader = errors.New("the cluster has no leader that answers now")
	// ErrRestart: the node must start again from what is on its disk. The process ends,
	// so that a supervisor starts it again.
	ErrRestart = errors.New("the node begins anew: the process must be started again")
	// ErrRemoved: the node was removed from the cluster.
	ErrRemoved = errors.New("this node was removed from the cluster: empty its DATA_DIR to let it join as a new one")
	// ErrNotOpen: the node has no journal yet.
	ErrNotOpen = errors.New("the node has not joined its cluster yet")
)

var errLost = errors.New("the cluster's log is lost or ends too early")

// Node is one node of a cluster.
type Node struct {
	o        Options
	id       identity
	embedded *embedded
	peers    *registry
	copies   *donor
	links    *links
	journal  atomic.Pointer[journal.Journal]
	stream   atomic.Pointer[stream]
	election *election

	acked   atomic.Uint64        // newest position that any node is known to have had, in the journal's epoch
	calls   atomic.Uint64        // of Publish
	synced  atomic.Uint64        // position up to which everything is applied and on disk
	lost    atomic.Bool          // the log that was followed can't be found, or ends too early for this node
	cut     atomic.Bool          // the log lacks what a node has had: cut.go
	differs time.Time            // since when this leader's settings differ from the cluster's; only lookAround uses it
	strayed map[string]time.Time // since when servers are strays for this leader, by peerID; only lookAround uses it
	off     int                  // seconds for which the server hasn't written; only remember uses it

	work  sync.WaitGroup
	stop  context.CancelFunc
	ended chan struct{} // closed at the first call of fail
	end   error         // why the node must end; read after ended

	sealing sync.Mutex // held while shared secrets are read and written again

	mu        sync.Mutex
	once      sync.Once
	self      view
	state     State
	reason    string
	settings  map[string]string // hashes by name
	order     order
	withdrawn []order // orders of this process that not all nodes have taken
	diverged  *dispute
	doubted   time.Time         // since when this node's journal differs and no majority says which is right; only lookAround uses it
	agreed    map[string]string // the cluster's settings in the log: hashes by name
	handlers  map[string]Handler
}

// Start starts the node's server and shows the node to the others. Call Open next: it
// waits for the other nodes. The node works until Close.
func Start(ctx context.Context, o Options) (*Node, error) {
	n := &Node{o: o, state: StateWaiting, ended: make(chan struct{}), peers: newRegistry(time.Now), links: &links{},
		settings: hashed(o.Settings), handlers: map[string]Handler{}, strayed: map[string]time.Time{}}
	n.election = newElection(o.Node, monotonic())
	n.copies = newDonor(n)
	if err := n.load(ctx); err != nil {
		return nil, err
	}
	peers, err := resolve(ctx, &o)
	if err != nil {
		return nil, err
	}
	if n.embedded, err = serve(&o, n.id, peers); err != nil {
		return nil, err
	}
	ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := errors.Join(n.present(ctx), n.answer(ctx)); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	n.work.Go(func() { n.remember(ctx) })
	if len(o.Peers) == 1 {
		n.work.Go(func() { n.resolveAgain(ctx, peers) })
	}
	return n, nil
}

// load reads from the directory what is known of this node.
func (n *Node) load(ctx context.Context) (err error) {
	if err := integrity.Unfinished(n.o.Dir); err != nil { // the journal is missing only for now
		return err
	}
	dir := n.o.dir()
	// First check whose directory it is, so that nothing of another node's is changed.
	if _, err = identify(dir, n.o.Node); err != nil {
		return err
	}
	if n.order, err = readOrder(dir); err != nil {
		return err
	}
	if n.order.Epoch != "" && !n.order.Go { // of a rebuild that failed
		if err := n.order.done(dir); err != nil {
			return err
		}
		n.order = order{}
	}
	if err := removePartial(dir); err != nil {
		return err
	}
	if n.self, err = peek(ctx, n.o.Dir); err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(dir, natsName))
	alone := err == nil && !n.self.Empty && n.self.Epoch == "" && n.order.Epoch == ""
	if alone {
		n.o.Log.Info().Msg("this node's journal went on outside a cluster: the files of the earlier log are removed")
	}
	if n.order.Anew || alone {
		if err := clearServer(dir); err != nil {
			return err
		}
		n.order.Anew = false
		if n.order.Epoch != "" {
			if err := n.order.write(dir); err != nil {
				return err
			}
		}
	}
	if n.id, err = identify(dir, n.o.Node); err != nil {
		return err
	}
	h := readHad(dir, n.self.Epoch)
	n.acked.Store(h.Position)
	n.self.Replaced, n.self.Disputed = h.Replaced, h.Disputed
	n.self.Node, n.self.Server, n.self.Version, n.self.Making = n.o.Node, n.id.server(), n.o.Version, n.order.Epoch
	n.self.Fold = journal.Fold
	return nil
}

// peek reads what the journal in a directory holds, and closes the journal again.
func peek(ctx context.Context, dir string) (v view, err error) {
	j, err := journal.OpenReadOnly(ctx, journal.Options{Dir: dir})
	if errors.Is(err, fs.ErrNotExist) {
		return view{Empty: true}, nil
	}
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	last, err := j.Last(ctx)
	if err != nil {
		return v, err
	}
	known, err := j.Holders(ctx)
	if err != nil {
		return v, err
	}
	c := j.Cluster()
	return view{Journal: j.Name(), Number: j.Applied(), Epoch: c.Epoch, Position: c.Position, entry: c.Entry,
		Empty: last == 0 && len(known) == 0 && c.Epoch == ""}, nil
}

// Publish implements journal.Replica.
func (n *Node) Publish(ctx context.Context, id string, data []byte) (uint64, error) {
	s := n.stream.Load()
	if s == nil {
		return 0, fmt.Errorf("%w: %w", journal.ErrNoQuorum, ErrNotOpen)
	}
	if n.lost.Load() || n.cut.Load() { // an entry would take the place of one that was acknowledged
		return 0, fmt.Errorf("%w: %w", journal.ErrUnavailable, errLost)
	}
	// An entry of an earlier call may be in the log, and known: this one is another.
	id += "-" + strconv.FormatUint(n.calls.Add(1), 10)
	position, err := s.publish(ctx, id, data, n.acked.Load())
	switch {
	case errors.Is(err, errCut):
		n.cut.Store(true) // lookAtEnd says why
		return 0, fmt.Errorf("%w: %w", journal.ErrUnavailable, err)
	case err == nil:
		n.note(position)
	}
	return position, err
}

// Read implements journal.Replica.
func (n *Node) Read(ctx context.Context, from uint64, before [32]byte, f func(position uint64, data []byte) error) error {
	s := n.stream.Load()
	if s == nil {
		return ErrNotOpen
	}
	found := func() {
		if n.lost.CompareAndSwap(true, false) && !n.cut.Load() {
			n.say(StateReady, "")
		}
	}
	last := from - 1
	err := s.read(ctx, from, before, found, func(position uint64, data []byte) error {
		n.note(position)
		last = position
		return f(position, data)
	})
	switch {
	case errors.Is(err, errReplaced):
		n.lost.Store(true)
		n.say(StateLost, n.replace(replacedAt(n.o.Node, last)))
	case errors.Is(err, errTruncated):
		n.o.Log.Warn().Err(err).Msg("this node fell behind: it fetches a copy of the journal when it starts again")
		n.fail(fmt.Errorf("%w: %w", ErrRestart, err))
	case errors.Is(err, errEpoch), errors.Is(err, errCut):
		n.lost.Store(true)
		n.say(StateLost, err.Error()+": "+advice)
	}
	if err != nil && ctx.Err() == nil {
		pause(ctx, 100*time.Millisecond) // the journal calls again
	}
	return err
}

// SetSettings replaces Options.Settings after a reload.
func (n *Node) SetSettings(settings map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settings = hashed(settings)
}

// Close leaves the cluster for now. Close the journal first. The error is always nil.
func (n *Node) Close() error {
	n.fail(journal.ErrClosed)
	if n.stop != nil {
		n.stop()
	}
	n.work.Wait()
	n.copies.close()
	if n.embedded != nil {
		n.embedded.close()
	}
	return nil
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// monotonic returns a clock that a jump of the wall clock doesn't change.
func monotonic() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
