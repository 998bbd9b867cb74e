//go:build real

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kazoohook/handlers"
)

// TestClusterSteps does the steps of docs/cluster.md with real processes. After each
// step every node has each acknowledged event once, with the id that it had from the
// beginning.
func TestClusterSteps(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "http://127.0.0.1:1")
	for _, n := range c.nodes {
		c.destine(n, "")
	}
	begin := time.Now()
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"from one node to three", c.fromOneToThree},
		{"upgrade", func() { c.roll(func(*clusterProcess) {}) }},
		{"change settings", c.changeSettings},
		{"change settings while nodes run", c.changeDestinations},
		{"change a setting that needs a restart", c.changeRetention},
		{"replace a lost node under the same name", c.replaceUnderSameName},
		{"replace a lost node under another name", c.replaceUnderAnotherName},
		{"rotate CLUSTER_SECRET", c.rotateSecret},
		{"rebuild", c.rebuildLog},
		{"back up and restore", c.backUpAndRestore},
		{"back to one", c.backToOne},
	} {
		t.Logf("%s, after %s", step.name, time.Since(begin).Round(time.Second))
		step.do()
		if t.Failed() {
			t.Fatalf("step %q failed", step.name)
		}
	}
	t.Logf("done after %s", time.Since(begin).Round(time.Second))
}

func (c *clusterOfProcesses) fromOneToThree() {
	all := c.nodes
	c.nodes = all[:1]
	c.startWith(all[0])
	c.deliver(20)
	c.complete(all[0])
	c.nodes = all
	c.start(all[1], all[2])
	all[0].stop()
	c.start(all[0])
	c.deliver(10)
	c.whole()
}

// roll stops, changes and starts one node after the other, the leader last. Requests
// are taken all the time.
func (c *clusterOfProcesses) roll(change func(*clusterProcess)) {
	c.t.Helper()
	leader, others := c.leader()
	for _, n := range append(others, leader) {
		n.stop()
		c.deliver(3)
		change(n)
		c.start(n)
		c.deliver(3)
		c.joined()
	}
	c.whole()
}

// changeSettings changes a setting on all nodes. The first nodes with it don't lead.
func (c *clusterOfProcesses) changeSettings() {
	c.t.Helper()
	leader, others := c.leader()
	for _, n := range append(others, leader) {
		n.stop()
		n.environ = append(n.environ, "HOOK_RETRIES=2")
		c.start(n)
		if n != leader { // if the leader is away for seconds, the others' setting becomes the cluster's
			named := func(n *clusterProcess) bool { return slices.Contains(n.status().Settings, "HOOK_RETRIES") }
			n.until("it names the setting", func() bool { return named(n) || named(leader) })
		}
		c.deliver(3)
		c.joined()
	}
	c.whole()
}

// destine gives a node a configuration file with a destination that runs a command;
// without one if command is "".
func (c *clusterOfProcesses) destine(n *clusterProcess, command string) {
	c.t.Helper()
	text := "# none\n"
	if command != "" {
		text = "destinations:\n  audit:\n    type: exec\n    command: [" + command + "]\n"
	}
	c.configure(n, text)
}

// configure gives a node a configuration file.
func (c *clusterOfProcesses) configure(n *clusterProcess, text string) {
	c.t.Helper()
	file := filepath.Join(filepath.Dir(n.dir), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if setting := "KAZOOHOOK_CONFIG=" + file; !slices.Contains(n.environ, setting) {
		n.environ = append(n.environ, setting)
	}
}

// changeDestinations changes each node's file and reloads it while the node runs.
func (c *clusterOfProcesses) changeDestinations() {
	c.t.Helper()
	for _, n := range c.nodes {
		c.destine(n, "/bin/true")
		n.signal(syscall.SIGHUP)
		c.deliver(3)
	}
	c.deliver(3)
	for _, n := range c.nodes {
		n.until("the destination has everything since then", func() bool {
			var list []handlers.Destination
			return n.into("/api/destinations", &list) && len(list) == 1 && list[0].Waiting == 0 && n.status().Problem == ""
		})
	}
	c.whole()
}

// changeRetention changes each node's file while the node runs. A node that has read the
// setting, and does not use it yet, has the cluster's settings.
func (c *clusterOfProcesses) changeRetention() {
	c.t.Helper()
	const more, fixed, read = "journal_retention: 100d\n", `"settings":["JOURNAL_RETENTION"]`, "settings and secrets read again"
	for _, change := range []string{more, ""} {
		for _, n := range c.nodes {
			warned, taken := strings.Count(n.log(), fixed), strings.Count(n.log(), read)
			if change != "" {
				warned++
			}
			c.configure(n, change+"destinations:\n  audit:\n    type: exec\n    command: [/bin/true]\n")
			n.signal(syscall.SIGHUP)
			n.until("the file is read", func() bool { return strings.Count(n.log(), fixed) >= warned && strings.Count(n.log(), read) > taken })
			if s := n.status(); slices.Contains(s.Settings, "JOURNAL_RETENTION") {
				c.t.Errorf("%s claims a setting that it does not use", n.name)
			}
		}
	}
	c.whole()
}

// lose kills a node and deletes its data.
func (c *clusterOfProcesses) lose(n *clusterProcess) {
	c.t.Helper()
	n.kill()
	if err := os.RemoveAll(n.dir); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clusterOfProcesses) replaceUnderSameName() {
	n := c.nodes[1]
	c.lose(n)
	c.deliver(5)
	c.start(n)
	c.whole()
}

func (c *clusterOfProcesses) replaceUnderAnotherName() {
	lost := c.nodes[2]
	c.lose(lost)
	c.deliver(5)
	c.nodes[0].until("the lost node counts as away", func() bool {
		return slices.ContainsFunc(c.nodes[0].status().Nodes, func(n handlers.ClusterNode) bool { return n.Name == lost.name && !n.Alive })
	})
	if out := c.command(c.nodes[0], "cluster", "remove", lost.name); !strings.Contains(out, lost.name+" is no longer a node") {
		c.t.Errorf("remove: %s", out)
	}
	n := c.newNode("n4", lost.listen)
	n.environ = append(n.environ, "HOOK_RETRIES=2")
	c.destine(n, "/bin/true")
	c.nodes[2] = n
	c.start(n)
	c.whole()
}

func (c *clusterOfProcesses) rotateSecret() {
	c.secrets = []string{"the second secret of this cluster", c.secrets[0]}
	c.roll(func(*clusterProcess) {})
	c.secrets = []string{c.secrets[0], ""}
	c.roll(func(*clusterProcess) {})
}

// rebuildLog deletes the files of the log on all nodes.
func (c *clusterOfProcesses) rebuildLog() {
	c.t.Helper()
	c.stop(c.nodes...)
	for _, n := range c.nodes {
		if err := os.RemoveAll(filepath.Join(n.dir, "cluster", "nats")); err != nil {
			c.t.Fatal(err)
		}
	}
	c.start(c.nodes...)
	for _, n := range c.nodes {
		n.until("the loss is noticed", func() bool {
			s := n.status()
			return s.State == "lost" && strings.Contains(s.Problem, "kazoohook cluster rebuild") && len(s.Nodes) == len(c.nodes)
		})
		n.until("/readyz says so", func() bool { // while the servers elect, the node waits for that
			_, ready := n.read(n.admin + "/readyz")
			if strings.Contains(ready, "Make room") {
				c.t.Fatalf("%s isn't ready: %s", n.name, ready)
			}
			return strings.Contains(ready, "kazoohook cluster rebuild")
		})
	}
	c.nodes[0].until("the rebuild is ordered", func() bool { // not while a node counts as away
		out, err := c.try(c.nodes[0], "cluster", "rebuild")
		return err == nil || strings.Contains(out, "nothing to rebuild")
	})
	c.deliver(5)
	c.whole()
}

// backUpAndRestore restores the cluster from one node's backup.
func (c *clusterOfProcesses) backUpAndRestore() {
	c.t.Helper()
	restored, rest := c.nodes[0], c.nodes[1:]
	file := filepath.Join(c.t.TempDir(), "backup.tar")
	c.command(restored, "backup", file)
	sent := c.sent
	c.deliver(5)
	c.stop(c.nodes...)
	c.sent = sent // events after the backup are lost
	if out := c.command(restored, "restore", "--replace", file); !strings.Contains(out, "This is a node of a cluster") {
		c.t.Errorf("restore: %s", out)
	}
	for _, n := range rest {
		if err := os.RemoveAll(n.dir); err != nil {
			c.t.Fatal(err)
		}
	}
	c.start(c.nodes...)
	c.whole()
	c.deliver(5)
	c.whole()
}

func (c *clusterOfProcesses) backToOne() {
	c.t.Helper()
	c.stop(c.nodes...)
	c.nodes = c.nodes[:1]
	c.startWith(c.nodes[0])
	c.deliver(5)
	c.complete(c.nodes[0])
}
