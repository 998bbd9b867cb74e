package handlers

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kazoohook/internal/requests"
)

// Cluster is what the API does with the cluster of which this process is a node.
// The zero value is for a single node: /api/cluster answers 404.
type Cluster struct {
	// Status returns the state of the cluster as this node knows it. It asks no
	// other node.
	Status func(context.Context) ClusterStatus
	// Remove removes a lost node for good. Rebuild makes a new log from the most
	// advanced journal.
	Remove  func(ctx context.Context, node string) error
	Rebuild func(context.Context) error

	// Leads reports whether this process is the leader. If not, Ask passes a
	// request to the leader. It calls piece with each piece of the answer before the
	// last, and returns the last one; ErrNoLeader while there is no leader.
	Leads func() bool
	Ask   func(ctx context.Context, r LeaderRequest, piece func(LeaderAnswer)) (LeaderAnswer, error)
	// Requests asks the other nodes for the requests of an event that they took, and
	// names those that didn't answer; Duplicated asks them for the events of which
	// they keep duplicates. May be nil.
	Requests   func(ctx context.Context, seq int64) (list []requests.Request, silent []string)
	Duplicated func(context.Context) []int64
	// Readable is called before the journal is read. It waits until everything that
	// this node has acknowledged can be read. An error, which is for the operator,
	// means that this node must not show its journal.
	Readable func(context.Context) error
}

// ErrNoLeader says that the cluster has no leader now.
var ErrNoLeader = errors.New("the cluster has no leader now; try again in some seconds")

// noLeader is the type of the problem (RFC 9457) that reports ErrNoLeader.
const noLeader = "urn:kazoohook:no-leader"

// ClusterStatus is the answer of /api/cluster.
type ClusterStatus struct {
	Node     string        `json:"node"`             // that answers
	State    string        `json:"state"`            // ready, waiting, copying, refused, lost, diverged or settings
	Leader   string        `json:"leader,omitempty"` // "": none known
	Leads    bool          `json:"leads"`            // this node leads, and may act now
	Term     uint64        `json:"term"`
	Epoch    string        `json:"epoch"`
	Journal  string        `json:"journal,omitempty"`
	Size     int           `json:"size"`   // nodes of the whole cluster
	Quorum   bool          `json:"quorum"` // enough nodes are connected to take requests
	Position uint64        `json:"position"`
	Fold     int           `json:"fold"` // version of the rules in effect
	Problem  string        `json:"problem,omitempty"`
	Settings []string      `json:"settings,omitempty"` // that differ from the cluster's
	Diverged bool          `json:"diverged,omitempty"`
	Nodes    []ClusterNode `json:"nodes"`
}

// ClusterNode describes one node, as another node knows it.
type ClusterNode struct {
	Name       string    `json:"name"`
	Version    string    `json:"version,omitempty"`
	State      string    `json:"state,omitempty"`
	Alive      bool      `json:"alive"`
	Leader     bool      `json:"leader"`
	Member     bool      `json:"member"`
	Applied    uint64    `json:"applied"`
	Lag        uint64    `json:"lag"` // entries of the log that it has not applied yet
	LagSeconds float64   `json:"lag_seconds"`
	Seen       time.Time `json:"seen,omitzero"`
	Problem    string    `json:"problem,omitempty"`
}

// readable waits until the journal shows everything that this node has
// acknowledged. It refuses the request if the journal must not be shown.
func readable(d AdminDeps) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if d.Cluster.Readable == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := d.Cluster.Readable(r.Context()); err != nil {
				writeProblem(w, http.StatusServiceUnavailable, err.Error())
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// clusterStatus answers /api/cluster.
func clusterStatus(d AdminDeps) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.Cluster.Status == nil {
			writeProblem(w, http.StatusNotFound, "This is a single node: CLUSTER_PEERS is not set.")
			return
		}
		s := d.Cluster.Status(r.Context())
		s.Nodes = append([]ClusterNode{}, s.Nodes...)
		writeJSON(w, s)
	})
}

// removeNode answers POST /api/cluster/remove {"node":"node2"}.
func removeNode(d AdminDeps) http.Handler {
	return changeCluster(d, func(r *http.Request, w http.ResponseWriter) (func(context.Context) error, bool) {
		var q struct {
			Node string `json:"node"`
		}
		if !oneObject(w, r, &q) || q.Node == "" {
			return nil, false
		}
		return func(ctx context.Context) error { return d.Cluster.Remove(ctx, q.Node) }, true
	}, `Send one object: {"node":"node2"}.`)
}

// rebuildCluster answers POST /api/cluster/rebuild {}.
func rebuildCluster(d AdminDeps) http.Handler {
	return changeCluster(d, func(r *http.Request, w http.ResponseWriter) (func(context.Context) error, bool) {
		var q struct{}
		return d.Cluster.Rebuild, oneObject(w, r, &q)
	}, "Send an empty object: {}.")
}

// changeCluster answers a request that changes the cluster, with the status
// afterwards. An error is for the operator and says what to do.
func changeCluster(d AdminDeps, read func(*http.Request, http.ResponseWriter) (func(context.Context) error, bool), usage string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.Cluster.Status == nil {
			clusterStatus(d).ServeHTTP(w, r)
			return
		}
		do, ok := read(r, w)
		if !ok {
			writeProblem(w, http.StatusBadRequest, usage)
			return
		}
		err := do(r.Context())
		extend(w, d.WriteTimeout)
		if err != nil {
			d.Log.Error().Err(err).Str("path", r.URL.Path).Msg("a change of the cluster failed")
			writeProblem(w, http.StatusConflict, err.Error())
			return
		}
		clusterStatus(d).ServeHTTP(w, r)
	})
}
