package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/config"
	"kazoohook/handlers"
)

// whole is the status of a cluster without problems.
func whole(change func(*handlers.ClusterStatus)) handlers.ClusterStatus {
	s := handlers.ClusterStatus{
		Node: "node1", State: "ready", Leader: "node2", Term: 4, Journal: "q7m3xk2p", Size: 3, Quorum: true, Position: 120,
		Nodes: []handlers.ClusterNode{
			{Name: "node1", State: "ready", Version: "1.2.0", Alive: true, Member: true, Applied: 120},
			{Name: "node2", State: "ready", Version: "1.2.0", Alive: true, Member: true, Leader: true, Applied: 118, Lag: 2},
			{Name: "node3", State: "ready", Version: "1.2.0", Alive: true, Member: true, Applied: 120},
		},
	}
	if change != nil {
		change(&s)
	}
	return s
}

func TestClusterCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change         func(*handlers.ClusterStatus)
		reason, detail string
	}{
		"whole": {nil, "", ""},
		"a node away": {func(s *handlers.ClusterStatus) { s.Nodes[2].Alive = false },
			"a node of the cluster is missing", "not connected: node3. The cluster goes on without; start the node, or, if it is lost for good, kazoohook cluster remove node3"},
		"a node that joins is away": {func(s *handlers.ClusterStatus) { s.Nodes[2].Alive, s.Nodes[2].Member = false, false }, "", ""},
		"no quorum": {func(s *handlers.ClusterStatus) { s.Quorum, s.Nodes[1].Alive, s.Nodes[2].Alive = false, false, false },
			"the cluster has no quorum: events can't be kept", "1 of 3 nodes are connected, which is less than a quorum"},
		"no leader": {func(s *handlers.ClusterStatus) { s.Leader = "" }, "the cluster has no leader", "A new one is elected within 20 seconds"},
		"joining": {func(s *handlers.ClusterStatus) { s.State, s.Leader = "copying", "" },
			"this node of the cluster is copying the journal", "node node1 is copying the journal"},
		"settings": {func(s *handlers.ClusterStatus) { s.State, s.Problem = "settings", "HOOKS differs" },
			"this node of the cluster has other settings than the cluster", "node node1 has other settings than the cluster: HOOKS differs"},
	} {
		got := clusterCheck(whole(c.change))
		if got.Name != "cluster" || got.OK != (c.reason == "") || got.Reason != c.reason || !strings.Contains(got.Detail, c.detail) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := journalCheck(errJoining, nil); got.OK || !strings.Contains(got.Detail, "The check cluster says") || strings.Contains(got.Detail, "Make room") {
		t.Errorf("before it has joined: %+v", got)
	}
}

func TestClusterTable(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*handlers.ClusterStatus)
		want   string
	}{
		"whole": {nil, `3 of 3 nodes connected, quorum, leader node2 since term 4; journal q7m3xk2p at 120; asked: node1
NODE   STATE  ROLE    APPLIED  LAG  VERSION  SEEN  PROBLEM
node1  ready          120      0    1.2.0    now   
node2  ready  leader  118      2    1.2.0    now   
node3  ready          120      0    1.2.0    now   
`},
		"broken": {func(s *handlers.ClusterStatus) {
			s.Quorum, s.Leader, s.Settings = false, "", []string{"HOOKS", "HOOK_RETRIES"}
			s.Nodes[1] = handlers.ClusterNode{Name: "node2", State: "ready", Version: "1.2.0", Seen: now.Add(-3 * time.Minute)}
			s.Nodes[2] = handlers.ClusterNode{Name: "node\x1b[31m3", Member: true}
		}, `1 of 3 nodes connected, NO QUORUM: events can't be kept, no leader; journal q7m3xk2p at 120; asked: node1
`},
	} {
		var b bytes.Buffer
		if err := clusterTable(&b, whole(c.change), now); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		if name == "broken" && strings.Contains(got, "\x1b") {
			t.Errorf("%s: a control character reaches the terminal: %q", name, got)
		}
		if name != "broken" && got != c.want {
			t.Errorf("%s:\n%s", name, got)
		}
		if name == "broken" {
			for _, part := range []string{"NO QUORUM", "no leader", "3m ago", "joining", "differ from the cluster's: HOOKS, HOOK_RETRIES"} {
				if !strings.Contains(got, part) {
					t.Errorf("%s lacks %q:\n%s", name, part, got)
				}
			}
		}
	}
}

// TestLimitsOfTheStop: a stop ends within SHUTDOWN_TIMEOUT and the 20 s that supervisors
// are asked to grant, also if every stage hangs, and the journal has time to be closed.
func TestLimitsOfTheStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shutdown, began, hang := config.Default().ShutdownTimeout, time.Now(), make(chan struct{})
		hangs := func() error { <-hang; return nil }
		stopping := stopTime(began.Add(shutdown + stopLimit))
		const last = closeLimit + tracerLimit
		for _, limit := range [][2]time.Duration{{shutdown + stageLimit, stopLimit}, {finishLimit, stopLimit}, {stageLimit, stageLimit + last}, {stageLimit, last}} {
			if err := stopping.ended(limit[0], limit[1], "a stage", hangs); err == nil {
				t.Error("it ended")
			}
		}
		if left := stopping.left(closeLimit); left < 5*time.Second {
			t.Errorf("%s are left for the journal", left)
		}
		for _, limit := range [][2]time.Duration{{closeLimit, tracerLimit}, {tracerLimit, stopLimit}} {
			if err := stopping.ended(limit[0], limit[1], "a stage", hangs); err == nil {
				t.Error("it ended")
			}
		}
		if all := time.Since(began) + 2*flushLimit; all >= shutdown+20*time.Second {
			t.Errorf("a stop may take %s", all)
		}
		quick := stopTime(time.Now().Add(shutdown + stopLimit))
		if err := quick.ended(stageLimit, stageLimit+last, "a stage", func() error { return pause(t.Context(), 3*stageLimit) }); err != nil {
			t.Errorf("a stage had no time although the ones before it left some: %v", err)
		}
		close(hang)
	})
	for path, want := range map[string]string{
		"deploy/systemd/kazoohook.service": "TimeoutStopSec=30\n", "deploy/systemd/kazoohook@.service": "TimeoutStopSec=30\n",
		"compose.yaml": "stop_grace_period: 30s", "deploy/compose-several.yaml": "stop_grace_period: 30s", "docs/operations.md": "--stop-timeout 30 ",
		"deploy/helm/templates/statefulset.yaml": "terminationGracePeriodSeconds: 60",
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", path))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q: %v", path, want, err)
		}
	}
}

// TestClusterCommand runs the command on a single node and with wrong arguments.
func TestClusterCommand(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"single node": {nil, codeFailed, "This is a single node: CLUSTER_PEERS is not set."},
		"rebuild":     {[]string{"rebuild"}, codeFailed, "This is a single node"},
		"no name":     {[]string{"remove"}, codeUsage, "cluster remove needs the name of a node"},
		"too many":    {[]string{"rebuild", "node1"}, codeUsage, `"node1" is one argument too many`},
		"unknown":     {[]string{"destroy"}, codeUsage, "destroy"},
	} {
		var out, errs bytes.Buffer
		err := run(t.Context(), append([]string{"cluster"}, c.args...), []string{"ADMIN_ADDR=" + strings.TrimPrefix(s.admin, "http://")}, strings.NewReader(""), &out, &errs)
		if code := exitCode(err); code != c.code || !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("%s: code %d\n%s%s", name, code, out.String(), errs.String())
		}
	}
}
