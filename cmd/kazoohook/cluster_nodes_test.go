//go:build real

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kazoohook/handlers"
)

// clusterOfProcesses is a cluster whose nodes are processes on this machine.
type clusterOfProcesses struct {
	t        *testing.T
	nodes    []*clusterProcess
	environ  []string // settings of every node, without its cluster settings
	peers    string
	secrets  []string // CLUSTER_SECRET and CLUSTER_SECRET_PREVIOUS
	sent     int      // deletions that were acknowledged
	eventIDs map[string]string
}

// clusterProcess is one node.
type clusterProcess struct {
	*process
	name, listen, dir string
}

// newCluster prepares three nodes, n1 to n3, that Kazoo reaches at one URL. If the test
// fails, it shows the last lines of each.
func newCluster(t *testing.T, publicURL string, environ ...string) *clusterOfProcesses {
	t.Helper()
	c := &clusterOfProcesses{t: t, secrets: []string{"the first secret of this cluster", ""}, eventIDs: map[string]string{}}
	listen := freeAddrs(t, 3)
	c.peers = strings.Join(listen, ",")
	// Without a quorum a request waits for 5 s, and a stop waits for the request.
	c.environ = append([]string{"PUBLIC_URL=" + publicURL, "TRUSTED_PROXIES=127.0.0.0/8", "RECONCILE_INTERVAL=1s", "SHUTDOWN_TIMEOUT=20s"}, environ...)
	for i := range 3 {
		c.nodes = append(c.nodes, c.newNode(fmt.Sprintf("n%d", i+1), listen[i]))
	}
	t.Cleanup(c.show)
	return c
}

// newNode prepares a node with an empty directory.
func (c *clusterOfProcesses) newNode(name, listen string) *clusterProcess {
	n := &clusterProcess{process: newProcess(c.t), name: name, listen: listen, dir: filepath.Join(c.t.TempDir(), "data")}
	n.environ = append(n.environ, "DATA_DIR="+n.dir)
	return n
}

// member returns the settings that make a process a node.
func (c *clusterOfProcesses) member(n *clusterProcess) []string {
	return []string{"CLUSTER_PEERS=" + c.peers, "CLUSTER_LISTEN=" + n.listen, "CLUSTER_NODE=" + n.name, "CLUSTER_SECRET=" + c.secrets[0], "CLUSTER_SECRET_PREVIOUS=" + c.secrets[1]}
}

// start starts nodes as members of the cluster and waits until they listen.
func (c *clusterOfProcesses) start(nodes ...*clusterProcess) {
	c.t.Helper()
	for _, n := range nodes {
		c.startWith(n, c.member(n)...)
	}
}

// startWith starts a node with further settings.
func (c *clusterOfProcesses) startWith(n *clusterProcess, environ ...string) {
	c.t.Helper()
	out, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = out.Close() }() // the process has its own copy
	own := n.environ
	n.environ = slices.Concat(own, c.environ, environ)
	n.launch(out, execServe+" 2>&1")
	n.environ = own
	n.until(n.name+" listens", func() bool { return n.get(n.public+"/healthz") == http.StatusOK })
}

// stop stops nodes, all at the same time.
func (c *clusterOfProcesses) stop(nodes ...*clusterProcess) {
	c.t.Helper()
	for _, n := range nodes {
		n.signal(syscall.SIGTERM)
	}
	for _, n := range nodes {
		n.hasEnded()
	}
}

// command runs the program with the settings of a node and returns its output.
func (c *clusterOfProcesses) command(n *clusterProcess, args ...string) string {
	c.t.Helper()
	out, err := c.try(n, args...)
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// try is command for one that may fail.
func (c *clusterOfProcesses) try(n *clusterProcess, args ...string) (out string, err error) {
	cmd := exec.CommandContext(c.t.Context(), "kazoohook", args...) //nolint:gosec // the test's own
	cmd.Env = slices.Concat(n.environ, c.environ, c.member(n))
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// deliver sends deletions: each to one node after the other until one takes it.
func (c *clusterOfProcesses) deliver(count int) {
	c.t.Helper()
	for i := range count {
		c.sent++
		body := fmt.Sprintf("id=%032x&account_id=%032x&action=doc_deleted&type=user", c.sent, 1)
		at := i
		c.nodes[0].until("a deletion is taken", func() bool {
			n := c.nodes[at%len(c.nodes)]
			at++
			return n.runs() && n.send(http.MethodPost, n.public+"/kazoo/"+processSecret+"/object", body) == http.StatusOK
		})
	}
}

// runs reports whether the node's process was started and has not ended.
func (n *clusterProcess) runs() bool { return n.cmd != nil && len(n.ended) == 0 }

func (n *clusterProcess) logFile() string { return filepath.Join(filepath.Dir(n.dir), "log") }

// log returns what the node has printed and logged so far.
func (n *clusterProcess) log() string {
	raw, _ := os.ReadFile(n.logFile()) // a missing log is like an empty one
	return string(raw)
}

// show logs the last lines of every node when a test has failed, without event lines.
func (c *clusterOfProcesses) show() {
	if !c.t.Failed() {
		return
	}
	for _, n := range c.nodes {
		lines := slices.Collect(strings.Lines(n.log()))
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, `"event_id"`) })
		c.t.Logf("%s:\n%s", n.name, strings.Join(lines[max(0, len(lines)-40):], ""))
	}
}

// deletions returns the deleted users that a node knows, with their events' ids.
func (c *clusterOfProcesses) deletions(n *clusterProcess) map[string]string {
	c.t.Helper()
	out := map[string]string{}
	text, ok := n.fetch("/api/events?format=ndjson&event=user.deleted&limit=100000")
	if !ok {
		return out
	}
	for line := range bytes.Lines(text) {
		var e struct {
			ObjectID string `json:"object_id"`
			EventID  string `json:"event_id"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
		if other := out[e.ObjectID]; other != "" {
			c.t.Errorf("%s: %s has two events, %s and %s", n.name, e.ObjectID, other, e.EventID)
		}
		out[e.ObjectID] = e.EventID
	}
	return out
}

// fetch gets an answer of the node's admin listener; false if it isn't a complete 200.
func (n *clusterProcess) fetch(path string) ([]byte, bool) {
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.admin+path, http.NoBody)
	if err != nil {
		return nil, false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, false
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	body, err := io.ReadAll(resp.Body)
	return body, err == nil && resp.StatusCode == http.StatusOK
}

// into is fetch for a JSON answer.
func (n *clusterProcess) into(path string, into any) bool {
	body, ok := n.fetch(path)
	return ok && json.Unmarshal(body, into) == nil
}

// status returns how a node sees the cluster; zero if it doesn't answer.
func (n *clusterProcess) status() (s handlers.ClusterStatus) {
	n.into("/api/cluster", &s)
	return s
}

func (n *clusterProcess) ready() bool {
	var b struct {
		Ready bool `json:"ready"`
	}
	return n.into("/readyz", &b) && b.Ready
}

// joined waits until every node sees all others as members, with one leader and nothing
// left to apply.
func (c *clusterOfProcesses) joined() {
	c.t.Helper()
	c.see("as members", func(handlers.ClusterStatus, handlers.ClusterNode) bool { return true })
}

// connected waits until all have joined and no node reports a problem.
func (c *clusterOfProcesses) connected() {
	c.t.Helper()
	c.see("ready", func(s handlers.ClusterStatus, n handlers.ClusterNode) bool {
		return s.Problem == "" && n.State == "ready"
	})
}

func (c *clusterOfProcesses) see(how string, ok func(handlers.ClusterStatus, handlers.ClusterNode) bool) {
	c.t.Helper()
	for _, n := range c.nodes {
		n.until(n.name+" sees the whole cluster "+how, func() bool {
			s := n.status()
			seen := 0
			for _, other := range s.Nodes {
				if other.Alive && other.Member && other.Lag == 0 && ok(s, other) {
					seen++
				}
			}
			return s.Quorum && s.Leader != "" && seen == len(c.nodes)
		})
	}
}

// whole waits until the cluster is whole and each node has each deletion once, with the
// id that it had from the beginning.
func (c *clusterOfProcesses) whole() {
	c.t.Helper()
	c.connected()
	for _, n := range c.nodes {
		c.complete(n)
	}
}

// complete waits until a node has every acknowledged deletion.
func (c *clusterOfProcesses) complete(n *clusterProcess) {
	c.t.Helper()
	var got map[string]string
	n.until(fmt.Sprintf("%s holds %d events", n.name, c.sent), func() bool {
		got = c.deletions(n)
		return len(got) >= c.sent
	})
	for object, id := range got {
		if known := c.eventIDs[object]; known != "" && known != id {
			c.t.Errorf("%s: %s has the id %s, and had %s", n.name, object, id, known)
		}
	}
	if len(got) > c.sent {
		c.t.Errorf("%s has %d events of %d", n.name, len(got), c.sent)
	}
	maps.Copy(c.eventIDs, got)
}

// leader waits for a leader that is not in not, and returns it and all other nodes.
func (c *clusterOfProcesses) leader(not ...*clusterProcess) (leader *clusterProcess, others []*clusterProcess) {
	c.t.Helper()
	asked := c.nodes[slices.IndexFunc(c.nodes, func(n *clusterProcess) bool { return !slices.Contains(not, n) })]
	asked.until("there is a leader", func() bool {
		leader, others = nil, nil
		for _, n := range c.nodes {
			if leader == nil && !slices.Contains(not, n) && n.runs() && n.status().Leads {
				leader = n
			} else {
				others = append(others, n)
			}
		}
		return leader != nil
	})
	return leader, others
}
