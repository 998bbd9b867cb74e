package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"kazoohook/config"
	"kazoohook/internal/cluster"
	"kazoohook/internal/event"
)

// clusterOptions returns the settings of this node.
func clusterOptions(cfg *config.Config, l logs) cluster.Options {
	return cluster.Options{
		Dir: cfg.DataDir, Node: cfg.ClusterNode, Listen: cfg.ClusterListen.String(), Peers: cfg.ClusterPeers, Size: int(cfg.ClusterSize),
		Secret: cfg.ClusterSecret.Reveal(), PreviousSecret: cfg.ClusterSecretPrevious.Reveal(), Version: version().Version,
		Settings: clusterSettings(cfg), Log: l.Log,
	}
}

// clusterSettings returns the settings that must be the same on every node.
// CLUSTER_SECRET is not among them: it may change on one node after the other.
func clusterSettings(cfg *config.Config) map[string]string { return cfg.ClusterSettings(digest) }

func digest(text string) string {
	sum := sha256.Sum256([]byte("kazoohook " + text))
	return hex.EncodeToString(sum[:16])
}

var errJoining = errors.New("this node has not joined its cluster yet")

// joinCluster listens, starts this node and waits until it has joined its cluster: it
// waits for the other nodes and for a copy of the journal. Until then requests are
// answered 503.
func (s *service) joinCluster(ctx context.Context) error {
	cause := &closedJournal{dir: s.cfg.DataDir, since: time.Now()}
	cause.set(errJoining)
	s.answerWithout(cause)
	if err := s.listen(ctx); err != nil {
		return err
	}
	s.startServing(ctx)
	s.logs.Log.Info().Str("node", s.cfg.ClusterNode).Str("peers", s.cfg.ClusterPeers.String()).Str("listen", s.server.Addr().String()).
		Msg("joining the cluster; requests are answered 503 until then, and Kazoo sends them again")
	for {
		err := s.untilServed(ctx, s.openNode)
		switch {
		case err == nil:
			s.logs.Log.Info().Str("node", s.cfg.ClusterNode).Str("journal", s.journal.Name()).Msg("joined the cluster")
			return nil
		case !passing(err):
			return errors.Join(err, s.endServing())
		}
		cause.set(err)
		s.logs.Log.Error().Err(err).Msg("this node can't join its cluster for now; it is tried again")
		if err := s.untilServed(ctx, func(ctx context.Context) error { return pause(ctx, reopenPause) }); err != nil {
			return errors.Join(err, s.endServing())
		}
	}
}

// untilServed calls f with a context that ends when the server does. When that has
// ended, it waits for f a limited time: the disk may not answer.
func (s *service) untilServed(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	ends := func() error { return <-done }
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.Join(ctx.Err(), ended(closeLimit, "joining the cluster", ends))
	case err := <-s.serving.ended:
		cancel()
		_ = ended(closeLimit, "joining the cluster", ends) // the error of the server says why
		s.serving.ended <- err
		return err
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// openNode starts the node, and opens the journal and the secrets that it shares
// with the others.
func (s *service) openNode(ctx context.Context) (err error) {
	node, err := cluster.Start(ctx, clusterOptions(s.cfg, s.logs))
	if err != nil {
		return err
	}
	s.node.Store(node)
	defer func() {
		if err != nil {
			s.node.Store(nil)
			err = errors.Join(err, node.Close())
		}
	}()
	if err := s.answerNodes(node); err != nil {
		return err
	}
	o := s.journalOptions()
	count := o.Observe.Event
	o.Observe.Event = func(r *event.Record, elsewhere bool) { count(r, elsewhere); s.noteDelivery(r) }
	if s.journal, err = node.Open(ctx, o); err != nil {
		return err
	}
	if err = s.openShared(ctx, node); err != nil {
		err = errors.Join(err, s.journal.Close())
	}
	return err
}

// noteDelivery notes that Kazoo has reached a node.
func (s *service) noteDelivery(r *event.Record) {
	if at := r.ReceivedAt.UnixNano(); r.Source == event.SourceWebhook && at > s.delivered.Load() {
		s.delivered.Store(at)
	}
}

// leadInTurns runs a turn, the work of the leader, whenever this node leads.
func (s *service) leadInTurns(ctx, front context.Context) error {
	return s.node.Load().Run(ctx, func(ctx context.Context) error {
		t, err := s.beginTurn(ctx, s.node.Load())
		if err != nil {
			return nil //nolint:nilerr // it ended before it began
		}
		defer s.turn.Store(nil)
		err = t.run(ctx, front)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // another node leads now, or this one stops
		}
		return err
	})
}

// beginTurn begins a turn with secrets that the other nodes accept. After a failure it
// tries again until ctx ends.
func (s *service) beginTurn(ctx context.Context, node sharing) (*turn, error) {
	for {
		err := s.shareSecrets(ctx, node)
		var t *turn
		if err == nil {
			t, err = s.newTurn(ctx)
		}
		switch {
		case err == nil:
			return t, nil
		case errors.Is(err, errUnshared):
			continue // a reload came in between
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		s.logs.Log.Error().Err(err).Msg("this node leads, but can't begin yet; it is tried again")
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

// fence returns nil on a single node. On a node of a cluster its result returns an error
// if no request to Kazoo and no attempt at a destination may begin.
func (s *service) fence() func() error {
	node := s.node.Load()
	if node == nil {
		return nil
	}
	return func() error {
		if node.Leads() {
			return nil
		}
		return errNotLeading
	}
}

// clusterAppend bounds how long Kazoo waits for a quorum. Requests share timers, which
// may add a tenth: it is answered within 5 s.
const clusterAppend = 4500 * time.Millisecond
