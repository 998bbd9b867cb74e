package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// answering gives one answer to each question about the stream.
type answering struct {
	jetstream.JetStream
	answer answered
}

type answered struct {
	jetstream.Stream
	info *jetstream.StreamInfo
}

func (a answering) Stream(context.Context, string) (jetstream.Stream, error) { return a.answer, nil }

func (a answered) CachedInfo() *jetstream.StreamInfo { return a.info }

// answerOf is the answer of a server that has entries up to last.
func answerOf(last uint64, leader string, replicas ...string) answering {
	c := &jetstream.ClusterInfo{Leader: leader}
	for _, server := range replicas {
		c.Replicas = append(c.Replicas, &jetstream.PeerInfo{Name: server, Peer: peerID(server)})
	}
	return answering{answer: answered{info: &jetstream.StreamInfo{Config: streamConfig(logState{epoch: "e1"}, 3),
		State: jetstream.StreamState{FirstSeq: 50, LastSeq: last}, Cluster: c}}}
}

// TestWithoutLeader: any server may answer while the stream has no leader. That its log
// ends earlier says nothing, unless a quorum of the votes is lost.
func TestWithoutLeader(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, c := range map[string]struct {
		answer   answering
		lost     bool
		problem  string // of a rebuild; "": none
		readable error
	}{
		"a leader has all":         {answerOf(90, "n1.a", "n2.b", "n3.c"), false, "is whole", nil},
		"a leader has less":        {answerOf(80, "n1.a", "n2.b", "n3.c"), true, "", errCut},
		"a follower has all":       {answerOf(90, "", "n1.a", "n2.b", "n3.c"), false, "no leader now", nil},
		"a follower has less":      {answerOf(80, "", "n1.a", "n2.b", "n3.c"), false, "no leader now", errReader},
		"the last one of three":    {answerOf(80, "", "n1.a", "n2.lost", "n3.lost"), true, "", errReader},
		"the last one, and it has": {answerOf(90, "", "n1.a", "n2.lost", "n3.lost"), false, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, _ := followingNode(t)
			n.peers.now = func() time.Time { return time.Time{} } // nobody is away for long
			n.self = view{Node: "n1", Server: "n1.a", Epoch: "e1", Position: 60, Acked: 90}
			n.note(90)
			n.peers.saw(view{Node: "n2", Server: "n2.b", Epoch: "e1", Position: 90, Acked: 90, Open: true})
			n.peers.saw(view{Node: "n3", Server: "n3.c", Epoch: "e1", Position: 90, Acked: 90, Open: true})
			s := &stream{js: c.answer, size: 3, log: logState{epoch: "e1"}}
			n.stream.Store(s)
			next, err := n.situation(ctx, s)
			if d := decide(next); err != nil || c.lost != (d.step == stepLost) || !c.lost && d.step != stepFollow {
				t.Errorf("at the start: %v, %+v, %+v", err, d, next.log)
			}
			n.lookAtEnd(ctx, n.journal.Load())
			stuck := c.lost || strings.HasPrefix(name, "the last one")
			if n.cut.Load() != stuck || (n.state == StateLost) != stuck {
				t.Errorf("while it runs: %s, cut is %v", n.state, n.cut.Load())
			}
			r := reader{s: s, next: 91}
			if err := r.check(ctx); !is(err, c.readable) {
				t.Errorf("while it reads: %v", err)
			}
			l, err := s.state(ctx)
			all := append(byNode(n.others()), n.self)
			err = replaceable(3, all, l, err)
			if (err == nil) != (c.problem == "") || err != nil && !contains(err.Error(), c.problem) {
				t.Errorf("a rebuild: %v", err)
			}
			if got, want := lacks(all[0], all, l), l.leader && c.lost; got != want {
				t.Errorf("events are missing: %v, not %v", got, want)
			}
		})
	}
}

// TestRefusedWhereApplied: a node runs on while the log is cut under it, and nobody else has
// more than it. Once an entry was refused, it takes no more, however often it looks.
func TestRefusedWhereApplied(t *testing.T) {
	t.Parallel()
	n, l := followingNode(t)
	l.set(0)
	j := n.journal.Load()
	eventually(t, "first entry", func() error {
		if n.note(j.Cluster().Position); n.acked.Load() == 0 {
			return errors.New("none is applied")
		}
		return nil
	})
	n.self.Epoch = "e1"
	for name, c := range map[string]struct {
		answer answering
		lost   bool
	}{
		"its leader has less":        {answerOf(0, "n1.a", "n2.b", "n3.c"), true},
		"nobody knows where it ends": {answerOf(0, "", "n1.a", "n2.b", "n3.c"), true},
		"its leader has all":         {answerOf(1000, "n1.a", "n2.b", "n3.c"), false},
	} {
		n.stream.Store(&stream{js: c.answer, size: 3, log: logState{epoch: "e1"}})
		n.cut.Store(true) // as Publish does
		for range 2 {
			if n.lookAtEnd(t.Context(), j); n.cut.Load() != c.lost {
				t.Errorf("%s: cut is %v, %s", name, n.cut.Load(), n.reason)
			}
		}
	}
}
