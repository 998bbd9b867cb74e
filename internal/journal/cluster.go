package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
)

// Replica is a log of commands that several journals apply in the same order.
// Its methods may be called from any goroutine.
type Replica interface {
	// Publish appends an entry of one or more commands, and returns its position once
	// a quorum has it on disk. id is the same at each try: an entry that is published
	// again may be in the log twice, but is applied once. Errors: ErrNoQuorum,
	// ErrTooLarge, the context's. After any error but ErrTooLarge the entry may
	// nevertheless be in the log.
	Publish(ctx context.Context, id string, data []byte) (position uint64, err error)
	// Read calls f for the entries from a position on, in order and without gaps,
	// until ctx ends or f fails. It never returns nil. After any other error it is
	// called again, from the first position that f has not had. before is the SHA-256
	// of the entry before from, zero if unknown: a log that has another entry there is
	// not continued. f must not change data.
	Read(ctx context.Context, from uint64, before [32]byte, f func(position uint64, data []byte) error) error
}

// Cluster makes a journal one of several that apply the same log.
type Cluster struct {
	// Node is the name of this node. Boot is the name of this process, random and new
	// at each start; if empty, it is drawn.
	Node, Boot string
	// Replica is the log, Epoch its name. Open returns ErrEpoch for a journal that
	// follows another epoch, or none.
	Replica Replica
	Epoch   string
	// OnLead is called for each election, OnTick for each tick of the leader, OnMembers
	// when members or the version of the rules changed. One goroutine calls them in the
	// order of the log, when the entry is applied here. After a start, old entries may
	// be among these. They must not block. Each may be nil.
	OnLead    func(term uint64, node, boot string)
	OnTick    func(term uint64)
	OnMembers func()
}

// clusterSeams are for tests, except begins: the journal is opened by Begin.
type clusterSeams struct {
	begins bool
	grace  time.Duration // how long a request waits to be applied, 0: applyGrace
	// fold is the newest known version of the rules (0: Fold). rule changes a command
	// according to the version that is in effect.
	fold int
	rule func(fold int, cmd command) command
}

// ruled is a command as the rules in effect have it.
func (t *tx) ruled(cmd command) command {
	if t.log != nil && t.j.opt.rule != nil {
		return t.j.opt.rule(t.log.Fold, cmd)
	}
	return cmd
}

// ClusterState is the state of the cluster, as far as its log is applied here.
type ClusterState struct {
	Journal  string   // the journal's name, the same on each node
	Epoch    string   // of the log that the journal follows; "": none
	Base     int64    // number of the last command before the epoch
	Position uint64   // of the last entry applied
	Entry    [32]byte // its SHA-256; zero: unknown
	Term     uint64   // of the newest election; 0: there was none
	Leader   string   // the node that was elected
	Boot     string   // and its process
	Fold     int      // version of the rules in effect
	Members  []Member
}

// Member is a node that the log knows.
type Member struct {
	Node, ID string
	Removed  bool // it was removed and not added again
}

// Fold is the newest version of the rules that this program knows.
const Fold = 1

// The errors of a cluster.
var (
	// ErrNoQuorum says that no quorum of the nodes has acknowledged a command in
	// time: try again. It wraps ErrUnavailable.
	ErrNoQuorum = fmt.Errorf("%w: no quorum of the cluster's nodes has acknowledged the command in time", ErrUnavailable)
	// ErrTooLarge says that the log can never take a command of this size.
	ErrTooLarge = errors.New("the command is larger than the cluster's log takes")
	// ErrTerm says that a command was ignored because this node doesn't lead, or no
	// longer leads.
	ErrTerm = errors.New("this node does not lead the cluster")
	// ErrEpoch says that the journal doesn't follow the log that it was given.
	ErrEpoch = errors.New("the journal does not follow this log of the cluster")
)

var errNoCluster = errors.New("the journal is no member of a cluster")

// FounderKey is the key of the node whose journal the log was made from. It has no value
// if that journal was empty.
const FounderKey = "cluster/founder"

// Begin makes the journal in o.Dir follow a new and empty log. It creates the journal
// if there is none; nobody may have it open. The other nodes begin with a copy of it.
// A new journal begins with the first version of the rules; RaiseFold changes that.
// What nodes kept under keys that begin with "cluster/" is removed: an earlier log's
// secrets may be sealed with a secret that nobody knows any longer. founder is stored
// under FounderKey. With lossy, acknowledged events may be missing: the journal gets a new
// name and skips numbers. Either all of this is done, or nothing.
func Begin(ctx context.Context, o Options, epoch, founder string, lossy bool) (s ClusterState, err error) {
	o.Cluster, o.begins = nil, true
	j, err := Open(ctx, o)
	if err != nil {
		return s, err
	}
	var failed error
	_, err = j.do(ctx, &probe{run: func() {
		c, base := j.w.c, j.w.tx.at.Number
		failed = c.Exec("UPDATE cluster SET epoch = ?, base = ?, position = 0, term = 0, leader = '', boot = '', tick = ?, fold = max(fold, 1), chain = zeroblob(32)",
			epoch, base, int64(j.w.tx.at.Clock))
		for _, table := range []string{"boots", "members", "chain"} {
			failed = errors.Join(failed, c.Exec("DELETE FROM "+table))
		}
		failed = errors.Join(failed, c.Exec("DELETE FROM state WHERE substr(key, 1, length(?1)) = ?1", "cluster/"))
		if founder != "" {
			failed = errors.Join(failed, c.Exec("INSERT INTO state (key, value) VALUES (?,?)", FounderKey, founder))
		}
		s = ClusterState{Journal: j.Name(), Epoch: epoch, Base: base}
		if lossy {
			s.Journal = integrity.NewName()
			j.w.tx.rename(s.Journal)
		}
		j.w.tx.look(failed)
	}})
	return s, errors.Join(err, failed, j.Close())
}

// Cluster returns the state of the cluster, as far as its log is applied here.
func (j *Journal) Cluster() ClusterState {
	if s := j.shared.Load(); s != nil {
		return s.ClusterState
	}
	return ClusterState{}
}

// Listening returns a name for the current span of time in which the cluster has
// taken requests without a break, as far as the log is applied here. In one span the
// name is the same on all nodes and under all leaders. The election of a new leader is
// no break. A break is a silence of the log that is longer than longestSilence, or a
// new log. On a single node the name is "".
func (j *Journal) Listening(ctx context.Context) (string, error) {
	epoch := j.Cluster().Epoch
	if epoch == "" {
		return "", nil
	}
	interruptions, err := j.State(ctx, interruptionsKey)
	return epoch + "/" + interruptions, err
}

// process identifies this process in a cluster; it is zero on a single node.
func (j *Journal) process() process {
	if p := j.proposer; p != nil {
		return process{p.c.Node, p.c.Boot}
	}
	return process{}
}

// WaitApplied waits until the entry at a position is applied.
func (j *Journal) WaitApplied(ctx context.Context, position uint64) error {
	if j.proposer == nil {
		return errNoCluster
	}
	return j.proposer.waitApplied(ctx, position)
}

// Settle waits until all that this node has acknowledged is applied, for a second at
// most, so that its callers can read it. On a single node it doesn't wait.
func (j *Journal) Settle(ctx context.Context) {
	if p := j.proposer; p != nil {
		ctx, cancel := context.WithTimeout(ctx, settleWait)
		defer cancel()
		p.mu.Lock()
		position := p.acked
		p.mu.Unlock()
		_ = p.waitApplied(ctx, position)
	}
}

// Synced syncs, and returns the position up to which this node's disk holds what the
// log led to. The leader asks for it before it removes entries that a node would need
// again after a power cut.
func (j *Journal) Synced(ctx context.Context) (position uint64, err error) {
	if j.proposer == nil {
		return 0, errNoCluster
	}
	position = j.Cluster().Position
	_, err = j.queued(ctx, &probe{})
	return position, err
}

// Lead makes this node the leader in a term, and returns when the election is applied.
// It returns ErrTerm if a node was already elected in that term or a later one.
func (j *Journal) Lead(ctx context.Context, term uint64) error { return j.agree(ctx, &led{Term: term}) }

// Tick advances the cluster's clock by elapsed, the time since the leader's previous
// tick or its election. It returns when the tick is applied, or ErrTerm if this node
// no longer leads.
func (j *Journal) Tick(ctx context.Context, term uint64, elapsed time.Duration) error {
	return j.agree(ctx, &ticked{header: header{term: term}, Elapsed: elapsed})
}

// Keep stores a small value durably, as SetState does, but on any node.
func (j *Journal) Keep(ctx context.Context, key, value string) error {
	return j.agree(ctx, &kept{Key: key, Value: value})
}

// KeepFirst stores a value unless the key has one, and returns the stored value.
func (j *Journal) KeepFirst(ctx context.Context, key, value string) (string, error) {
	if j.proposer == nil {
		return "", errNoCluster
	}
	res, err := j.do(ctx, &kept{Key: key, Value: value, First: true})
	return res.kept, err
}

// States lists the values stored by Keep or SetState under keys that begin with prefix.
func (j *Journal) States(ctx context.Context, prefix string) (values map[string]string, err error) {
	values = map[string]string{}
	err = j.rows(ctx, "SELECT key, value FROM state WHERE substr(key, 1, length(?1)) = ?1", []any{prefix}, func(v database.Row) error {
		values[v.Text(0)] = v.Text(1)
		return nil
	})
	return values, err
}

// RaiseFold puts a version of the rules into effect. Every node must know it.
func (j *Journal) RaiseFold(ctx context.Context, version int) error {
	if known := j.newestFold(); version > known {
		return tooNew(version, known)
	}
	return j.agree(ctx, &raised{Version: version})
}

// AddMember notes that a node belongs to the cluster, under the id of its
// directory.
func (j *Journal) AddMember(ctx context.Context, node, id string) error {
	return j.agree(ctx, &joined{Node: node, ID: id})
}

// RemoveMember notes that a node is permanently lost.
func (j *Journal) RemoveMember(ctx context.Context, node string) error {
	return j.agree(ctx, &left{Node: node})
}

// agree gives the log a command that exists only in a cluster.
func (j *Journal) agree(ctx context.Context, cmd command) error {
	if j.proposer == nil {
		return errNoCluster
	}
	_, err := j.do(ctx, cmd)
	return err
}

// Halt stops the application of commands, because this node's journal differs from
// the others'. Reads fail with the reason; requests are still taken.
func (j *Journal) Halt(reason error) {
	if j.halted.reason.CompareAndSwap(nil, &reason) {
		j.tail.End(reason)
		j.opt.Log.Error().Err(reason).Msg("journal no longer applies the cluster's log, and is not read; requests are still taken")
	}
}

// newestFold is the newest version of the rules that is known.
func (j *Journal) newestFold() int { return max(Fold, j.opt.fold) }

// readLog reads what the journal keeps of a cluster's log. A journal of an older
// version that is read offline has none.
func (j *Journal) readLog(ctx context.Context, f func(*conn) error) error {
	return j.read(ctx, func(c *conn) error {
		var version int64
		if _, err := c.Ints(ctx, "PRAGMA user_version", nil, &version); err != nil || version < tables.ClusterSchema {
			return err
		}
		return f(c)
	})
}
