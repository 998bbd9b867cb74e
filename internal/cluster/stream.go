package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kazoohook/internal/journal"
)

const (
	streamName = "kazoohook"
	subjects   = "kazoohook.log."
	// followed is the subject on which the stream's leader repeats each entry that a
	// quorum has.
	followed = "kazoohook.follow."
	// Keys of the stream's metadata.
	epochKey, journalKey = "epoch", "journal"
	// MaxCommand is the size in bytes of the largest command.
	MaxCommand = 1280 << 10
	// repeats is how long the servers themselves recognise a repeated publish. The
	// journal recognises it at any age, so this can be short.
	repeats = 2 * time.Second
	// publishTry bounds one try of a publish, publishLimit all of them: Kazoo must not
	// wait long for an answer.
	publishTry   = time.Second
	publishLimit = 5 * time.Second
	// stateTry bounds the first question about the stream. A question sent before the
	// servers have found each other gets no answer, so the first is short. Each next
	// one takes twice as long, up to publishTry.
	stateTry = 250 * time.Millisecond
)

var (
	// errNoStream: the servers know of no stream.
	errNoStream = errors.New("the cluster has no stream")
	// errEpoch: the stream was made anew or can't be found; the journal doesn't follow
	// it.
	errEpoch = errors.New("the cluster's stream is not the one that this node's journal follows")
	// errTruncated: the stream begins after the next position that the journal needs.
	errTruncated = errors.New("the cluster's stream no longer holds what this node has not applied")
	// errLeaderless: the stream has no leader now, so nobody knows where it ends.
	errLeaderless = errors.New("the cluster's stream has no leader now")
	// errReplaced: the stream has another entry where the journal has applied one.
	errReplaced = errors.New("the cluster's stream has another entry than this node has applied")
	// errCut: the stream ends before the last position that the journal has applied.
	errCut = errors.New("the cluster's log is cut")
)

// stream is the replicated log of one epoch.
type stream struct {
	app  *nats.Conn
	js   jetstream.JetStream
	log  logState
	size int
}

// logState is the state of the stream when it was asked for.
type logState struct {
	found       bool
	epoch       string
	journal     string   // name of the journal that the log was made from
	first, last uint64   // positions; last is first-1 if it is empty
	voters      []string // servers with a vote, connected or not, as peerID names them
	// leader: there is one. Otherwise any server has answered, and a quorum may have more than
	// what it has.
	leader bool
}

// votes counts the nodes whose servers have a vote.
func (l logState) votes(nodes []view) (votes int) {
	for _, v := range nodes {
		if slices.Contains(l.voters, peerID(v.Server)) {
			votes++
		}
	}
	return votes
}

// final reports whether the state says where the log ends. Without a leader it does if no
// other can be elected: all nodes are connected, and a quorum of the votes is lost.
func (l logState) final(size int, all []view) bool {
	return l.leader || len(all) >= size && l.votes(all) < quorum(size)
}

// votesLost says that the log can have no leader any more, or returns "". While a node is
// missing, nobody knows.
func (l logState) votesLost(size int, all []view) string {
	if l.leader || len(all) < size || len(l.voters) < quorum(size) || l.votes(all) >= quorum(size) {
		return ""
	}
	return "all nodes are connected, and a quorum has other disks than those that keep the cluster's log: start them with the DATA_DIRs that they had, or, if these are lost, " + advice
}

func newEpoch() string { return strings.ToLower(rand.Text()) }

// state reads the stream's state. Without a stream the error is errNoStream; other
// errors may pass, except errConfig.
func (s *stream) state(ctx context.Context) (l logState, err error) {
	for try := stateTry; try <= publishTry; try *= 2 {
		if l, err = s.stateWithin(ctx, try); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			break
		}
	}
	return l, err
}

func (s *stream) stateWithin(ctx context.Context, limit time.Duration) (logState, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, err := s.js.Stream(ctx, streamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return logState{}, errNoStream
	}
	if err != nil {
		return logState{}, err
	}
	info := found.CachedInfo()
	m := info.Config.Metadata
	l := logState{found: true, epoch: m[epochKey], journal: m[journalKey],
		first: info.State.FirstSeq, last: info.State.LastSeq}
	if c := info.Cluster; c != nil {
		if l.leader = c.Leader != ""; l.leader {
			l.voters = append(l.voters, peerID(c.Leader))
		}
		for _, r := range c.Replicas {
			l.voters = append(l.voters, r.Peer)
		}
	}
	return l, differs(info.Config, streamConfig(l, s.size))
}

// vote is a server's vote about the stream.
type vote struct {
	server  string // its name, if the server that answered knows it
	current bool   // it has caught up, so that its disk counts for the quorum
}

// votes returns the votes about the stream, by peerID.
func (s *stream) votes(ctx context.Context) (map[string]vote, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTry)
	defer cancel()
	found, err := s.js.Stream(ctx, streamName)
	if err != nil {
		return nil, err
	}
	votes := map[string]vote{}
	if c := found.CachedInfo().Cluster; c != nil {
		if c.Leader != "" {
			votes[peerID(c.Leader)] = vote{c.Leader, true}
		}
		for _, r := range c.Replicas {
			votes[r.Peer] = vote{r.Name, r.Current && !r.Offline}
		}
	}
	return votes, nil
}

// create makes the stream. It is no error if the stream exists.
func (s *stream) create(ctx context.Context, l logState) error {
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	_, err := s.js.CreateStream(ctx, streamConfig(l, s.size))
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return err
}

// streamConfig is how the stream must be configured. JetStream's own limits are off:
// only the leader decides what is removed.
func streamConfig(l logState, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: streamName, Subjects: []string{subjects + l.epoch},
		Metadata:  map[string]string{epochKey: l.epoch, journalKey: l.journal},
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxMsgs: -1, MaxBytes: -1, MaxAge: 0, MaxMsgSize: maxPayload, MaxConsumers: -1, MaxMsgsPerSubject: -1,
		Storage: jetstream.FileStorage, Replicas: replicas, Duplicates: repeats,
		DenyDelete: true, AllowDirect: true,
		RePublish: &jetstream.RePublish{Source: subjects + l.epoch, Destination: followed + l.epoch},
	}
}

var errConfig = errors.New("the cluster's stream has other settings than this version needs")

// differs names the first setting of the stream that is not as it must be.
func differs(is, want jetstream.StreamConfig) error {
	for _, c := range []struct {
		name     string
		is, want any
	}{
		{"subject", strings.Join(is.Subjects, " "), strings.Join(want.Subjects, " ")},
		{"storage", is.Storage, want.Storage},
		{"replicas", is.Replicas, want.Replicas},
		{"retention", is.Retention, want.Retention},
		{"discard", is.Discard, want.Discard},
		{"duplicate window", is.Duplicates, want.Duplicates},
		{"greatest age", is.MaxAge, want.MaxAge},
		{"most messages", is.MaxMsgs, want.MaxMsgs},
		{"most bytes", is.MaxBytes, want.MaxBytes},
		{"persist mode", is.PersistMode, want.PersistMode},
		{"deletion of single messages", is.DenyDelete, want.DenyDelete},
		{"direct reading", is.AllowDirect, want.AllowDirect},
		{"republishing", is.RePublish != nil && *is.RePublish == *want.RePublish, true},
	} {
		if c.is != c.want {
			return fmt.Errorf("%w: %s is %v, not %v", errConfig, c.name, c.is, c.want)
		}
	}
	return nil
}

// publish appends data to the log, and returns its position once a quorum has it on
// disk. The id is this call's own, the same at each try. newest is a position that was
// known before: if the entry doesn't come after it, the error is errCut.
func (s *stream) publish(ctx context.Context, id string, data []byte, newest uint64) (uint64, error) {
	if len(data) > MaxCommand {
		return 0, fmt.Errorf("%w: %d bytes, the limit is %d", journal.ErrTooLarge, len(data), MaxCommand)
	}
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	for {
		try, done := context.WithTimeout(ctx, publishTry)
		ack, err := s.js.PublishMsg(try, &nats.Msg{Subject: subjects + s.log.epoch, Data: data},
			jetstream.WithMsgID(id), jetstream.WithExpectStream(streamName), jetstream.WithRetryAttempts(0))
		done()
		switch {
		case err != nil:
		case ack.Sequence <= newest:
			return 0, errCut
		default:
			return ack.Sequence, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %w", journal.ErrNoQuorum, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// purge removes the entries before a position.
func (s *stream) purge(ctx context.Context, before uint64) error {
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	found, err := s.js.Stream(ctx, streamName)
	if err == nil && found.CachedInfo().Config.Metadata[epochKey] != s.log.epoch {
		err = errEpoch
	}
	if err == nil {
		err = found.Purge(ctx, jetstream.WithPurgeSequence(before))
	}
	return err
}
