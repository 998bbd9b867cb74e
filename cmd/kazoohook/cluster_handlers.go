package main

import (
	"context"
	"errors"
	"time"

	"kazoohook/handlers"
	"kazoohook/internal/cluster"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/requests"
)

// events returns the journal for the consumers of a turn. In a cluster, reading it waits
// until this node leads.
func (s *service) events() readJournal {
	if node := s.node.Load(); node != nil {
		return ledJournal{s.journal, node}
	}
	return s.journal
}

// readJournal is what consumers need of the journal.
type readJournal interface {
	Read(ctx context.Context, after int64, limit int) ([]event.Record, error)
	Wait(ctx context.Context, after int64) error
	Cursor(ctx context.Context, consumer string) (int64, error)
	MoveCursor(ctx context.Context, consumer string, from, to int64) error
}

// ledJournal is read only while the node leads: a process that was suspended prints
// nothing before it knows that it still leads.
type ledJournal struct {
	*journal.Journal
	node *cluster.Node
}

// Read waits until this node leads.
func (j ledJournal) Read(ctx context.Context, after int64, limit int) ([]event.Record, error) {
	for !j.node.Leads() {
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return j.Journal.Read(ctx, after, limit)
}

// clusterHandlers is what the API does with the cluster.
func (s *service) clusterHandlers() handlers.Cluster {
	if !s.cfg.Clustered() {
		return handlers.Cluster{}
	}
	node := func() (*cluster.Node, error) {
		if n := s.node.Load(); n != nil {
			return n, nil
		}
		return nil, errors.New("this node has not started yet: the log says why")
	}
	return handlers.Cluster{
		Status: s.clusterStatus, Leads: func() bool { return s.leading() != nil }, Ask: s.askLeader,
		Remove: func(ctx context.Context, name string) error {
			n, err := node()
			if err != nil {
				return err
			}
			return n.Remove(ctx, name)
		},
		Rebuild: func(ctx context.Context) error {
			n, err := node()
			if err != nil {
				return err
			}
			return n.Rebuild(ctx)
		},
		Requests: func(ctx context.Context, seq int64) ([]requests.Request, []string) {
			n, err := node()
			if err != nil {
				return nil, nil
			}
			return askOthers[requests.Request](ctx, n, seq)
		},
		Duplicated: func(ctx context.Context) []int64 {
			n, err := node()
			if err != nil {
				return nil
			}
			list, _ := askOthers[int64](ctx, n, 0)
			return list
		},
		Readable: func(ctx context.Context) error {
			n, err := node()
			if err != nil {
				return err
			}
			if err := n.Diverged(); err != nil {
				return err
			}
			s.journal.Settle(ctx)
			return nil
		},
	}
}

// clusterWaiting is clusterHandlers for the time before the node has joined.
func (s *service) clusterWaiting() handlers.Cluster {
	c := s.clusterHandlers()
	c.Readable = nil // the stand-in for the journal says why
	return c
}

// clusterStatus is the answer of /api/cluster.
func (s *service) clusterStatus(ctx context.Context) handlers.ClusterStatus {
	n := s.node.Load()
	if n == nil {
		return handlers.ClusterStatus{Node: s.cfg.ClusterNode, Size: int(s.cfg.ClusterSize), State: string(cluster.StateWaiting), Problem: "the node has not started yet"}
	}
	c := n.Status(ctx)
	out := handlers.ClusterStatus{
		Node: c.Node, State: string(c.State), Leader: c.Leader, Leads: c.Leads, Term: c.Term, Epoch: c.Epoch, Journal: c.Journal, Size: c.Size,
		Quorum: c.Quorum, Position: c.Position, Fold: c.Fold, Problem: c.Problem, Settings: c.Settings, Diverged: c.Diverged,
	}
	for _, o := range c.Nodes {
		out.Nodes = append(out.Nodes, handlers.ClusterNode{
			Name: o.Name, Version: o.Version, State: string(o.State), Alive: o.Alive, Leader: o.Leader, Member: o.Member, Applied: o.Applied,
			Lag: o.Lag, LagSeconds: o.LagSeconds, Seen: o.Seen.UTC(), Problem: o.Problem,
		})
	}
	return out
}
