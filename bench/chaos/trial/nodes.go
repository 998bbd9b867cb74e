package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kazoohook/bench/chaos/links"
	"kazoohook/bench/chaos/power"
)

// node is one receiver of a trial: the only one, or one of a cluster.
type node struct {
	name     string // CLUSTER_NODE
	receiver *Receiver
	disk     *disk
	data     string          // DATA_DIR
	admin    string          // URL of its admin listener
	clock    string          // file with the error of its wall clock
	synced   *power.Recorder // nil: its power is not cut
	diskBad  atomic.Int64    // Unix nanoseconds until which a death is excused
}

// AddrsOf is the number of addresses that a trial with this many nodes needs.
func AddrsOf(nodes int) int {
	if nodes > 1 {
		return 3*nodes + 1
	}
	return 2
}

// prepare makes the receivers, without starting them.
func (r *run) prepare(ctx context.Context) error {
	addrs := r.opts.Addrs
	if len(addrs) == 0 {
		var err error
		if addrs, err = FreeAddrs(ctx, AddrsOf(r.opts.Nodes)); err != nil {
			return err
		}
	}
	if r.opts.Nodes > 1 {
		if err := r.connect(ctx, addrs); err != nil {
			return err
		}
	}
	for i := range r.opts.Nodes {
		n, err := r.describe(i, addrs[2*i:2*i+2], "PUBLIC_URL=http://"+addrs[len(addrs)-1])
		if err != nil {
			return err
		}
		r.nodes = append(r.nodes, n)
	}
	first := r.nodes[0]
	r.receiver, r.disk, r.admin, r.report.DiskSkipped = first.receiver, first.disk, first.admin, first.disk.why
	return nil
}

// connect makes the network between the nodes and the proxy in front of them.
func (r *run) connect(ctx context.Context, addrs []string) (err error) {
	n := r.opts.Nodes
	var lc net.ListenConfig
	listen := func() (net.Listener, error) { return lc.Listen(ctx, "tcp", "127.0.0.1:0") }
	if r.network, err = links.New(addrs[2*n:3*n], listen); err != nil {
		return err
	}
	var publics []string
	for i := range n {
		publics = append(publics, addrs[2*i])
	}
	r.front, err = newFront(ctx, r.opts.HAProxy, r.dir, addrs[3*n], publics)
	return err
}

// describe makes one receiver and its data directory, without starting it.
func (r *run) describe(i int, addrs []string, more ...string) (*node, error) {
	n := &node{name: fmt.Sprintf("n%d", i+1), admin: "http://" + addrs[1]}
	dir := r.dir
	if r.opts.Nodes > 1 {
		dir = filepath.Join(dir, n.name)
	}
	var err error
	if n.disk, err = newDisk(dir, r.opts.Disk); err != nil {
		return nil, err
	}
	n.data, n.clock = filepath.Join(n.disk.dir, "data"), filepath.Join(dir, "clock")
	environ := []string{
		"HOOKS=" + r.opts.Hooks, "INCLUDE_SUBACCOUNTS=true",
		"RECONCILE_INTERVAL=1s", "RESYNC_INTERVAL=" + r.opts.Resync.String(), "KAZOO_API_RATE=10", "LOG_LEVEL=debug",
		"KAZOOHOOK_CONFIG=" + r.onwards.file(),
	}
	if r.opts.Nodes > 1 {
		environ = append(environ, more...)
		environ = append(environ, "CLUSTER_NODE="+n.name, "CLUSTER_PEERS="+strings.Join(r.network.Peers(i), ","), "CLUSTER_LISTEN="+r.network.Peers(i)[i],
			"CLUSTER_SECRET=the secret of this trial", "TRUSTED_PROXIES=127.0.0.0/8",
			"SHUTDOWN_TIMEOUT=15s", // without a quorum a request waits for 5 s
			ClockVariable+"="+n.clock)
	}
	n.receiver = NewReceiver(r.opts.Receiver, Environ(r.world.api, addrs[0], addrs[1], n.data, append(environ, r.opts.Environ...)...))
	n.receiver.Output = r.opts.Output
	n.receiver.Excused = func() bool { return time.Now().UnixNano() < n.diskBad.Load() }
	if i > 0 {
		n.receiver.Lines = r.nodes[0].receiver.Lines
	}
	if r.opts.Nodes > 1 {
		n.receiver.Name = n.name
	}
	if r.opts.Power {
		if n.synced, err = power.NewRecorder(n.disk.dir, filepath.Join(dir, "synced")); err != nil {
			return nil, errors.Join(err, n.disk.close())
		}
		n.receiver.Launch = n.synced.Start
	}
	return n, nil
}

// dismantle removes what prepare made.
func (r *run) dismantle() (err error) {
	for _, n := range r.nodes {
		err = errors.Join(err, n.disk.close())
	}
	if r.front != nil {
		err = errors.Join(err, r.front.close())
	}
	if r.network != nil {
		r.network.Close()
	}
	return err
}

// signal ends all receivers at once; see Receiver.Signal.
func (r *run) signal(ctx context.Context, sig syscall.Signal, away time.Duration) {
	var all sync.WaitGroup
	for _, n := range r.nodes {
		all.Go(func() { n.receiver.Signal(ctx, sig, away) })
	}
	all.Wait()
}

func (r *run) failures() (all []string) {
	for _, n := range r.nodes {
		all = append(all, n.receiver.Failures()...)
		if n.synced != nil && n.synced.Err() != nil {
			all = append(all, fmt.Sprintf("the syncs of %s could not be observed: %v", n.name, n.synced.Err()))
		}
	}
	return all
}

func (r *run) starts() (all int) {
	for _, n := range r.nodes {
		all += n.receiver.Starts()
	}
	return all
}

// clusterState is the state of the cluster as a node reports it.
type clusterState struct {
	Leader string `json:"leader"`
	Term   uint64 `json:"term"`
	Quorum bool   `json:"quorum"`
	State  string `json:"state"`
	Reason string `json:"reason"`
	Nodes  []struct {
		Name  string `json:"name"`
		Alive bool   `json:"alive"`
		Lag   uint64 `json:"lag"`
	} `json:"nodes"`
}

// cluster asks a node; false: it doesn't answer now.
func (n *node) cluster(ctx context.Context) (s clusterState, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.admin+"/api/cluster", http.NoBody)
	if err != nil {
		return s, false
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return s, false
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	return s, resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&s) == nil
}

// whole reports whether a node sees all others, and none of them lags.
func (n *node) whole(ctx context.Context, nodes int) bool {
	s, ok := n.cluster(ctx)
	alive := 0
	for _, other := range s.Nodes {
		if other.Alive && other.Lag < 100 {
			alive++
		}
	}
	return ok && s.Quorum && s.Leader != "" && s.State == "ready" && alive == nodes
}

// leader is the number of the leader, from 0; the first node if none is known.
func (r *run) leader(ctx context.Context) int {
	for _, n := range r.nodes {
		s, ok := n.cluster(ctx)
		i := slices.IndexFunc(r.nodes, func(n *node) bool { return n.name == s.Leader })
		if ok && i >= 0 {
			return i
		}
	}
	return 0
}

// anyAdmin is the admin listener of a node that answers.
func (r *run) anyAdmin(ctx context.Context) string {
	if r.opts.Nodes > 1 {
		for _, n := range r.nodes {
			if s, ok := n.cluster(ctx); ok && s.Leader != "" {
				return n.admin
			}
		}
	}
	return r.admin
}

// empty removes the contents of a directory.
func empty(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
	}
	return err
}
