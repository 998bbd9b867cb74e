//go:build real

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kazoohook/handlers"
	"kazoohook/internal/fakekazoo"
)

// TestCluster runs three processes. Requests arrive while leaders are killed and
// stopped. None is lost, and each is one event in all outputs and histories.
func TestCluster(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	kazoo, err := newFake(ctx, fakekazoo.Options{Speed: 50, Seed: 1}, "127.0.0.1:0", "127.0.0.1:0", 3)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = kazoo.run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	front := newClusterFront()
	t.Cleanup(front.Close)
	c := newCluster(t, front.URL, "KAZOO_API_URL="+kazoo.api, "KAZOO_API_RATE=10", "HOOK_SECRET=", "HOOKS=object:user")
	front.c = c
	c.start(c.nodes...)
	for _, n := range c.nodes {
		n.until(n.name+" is ready", n.ready)
	}
	first, others := c.leader()
	c.answerForEachOther(others[0])

	traffic := beginTraffic(c, front.URL+"/kazoo/"+c.sharedSecret()+"/object")
	defer traffic.end()
	traffic.more(50)
	first.kill()
	c.printedByOthers(first)
	traffic.more(50)
	c.comesBackWithAnotherSetting(first)
	c.leaderIsStoppedAndContinues(traffic)
	traffic.end()
	traffic.check()
	c.stop(c.nodes...)
}

// sharedSecret returns the secret that the nodes share.
func (c *clusterOfProcesses) sharedSecret() (secret string) {
	c.t.Helper()
	for _, n := range c.nodes {
		raw, err := os.ReadFile(filepath.Join(n.dir, "hook_secret"))
		if err != nil || secret != "" && secret != string(raw) {
			c.t.Fatalf("%s has another secret, %v", n.name, err)
		}
		secret = string(raw)
	}
	return strings.TrimSpace(secret)
}

// answerForEachOther: every node answers what only the leader knows.
func (c *clusterOfProcesses) answerForEachOther(follower *clusterProcess) {
	c.t.Helper()
	for _, n := range c.nodes {
		n.until(n.name+" shows the hooks", func() bool {
			var hooks handlers.Overview
			return n.into("/api/hooks", &hooks) && len(hooks.Registration.Hooks) > 0 && hooks.Registration.AccountID != ""
		})
	}
	follower.until("a node that doesn't lead makes a resync", func() bool { // the leader may change meanwhile
		resp, err := http.Post(follower.admin+"/api/resync", "application/json", strings.NewReader(`{"dry_run":true}`)) //nolint:noctx,forbidigo // the test's own end ends it
		if err != nil {
			return false
		}
		defer func() { _ = resp.Body.Close() }() // only read from
		answer, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == http.StatusOK && strings.Contains(string(answer), `"result"`)
	})
}

// printed counts the event lines of all nodes except one.
func (c *clusterOfProcesses) printed(without *clusterProcess) (lines int) {
	for _, n := range c.nodes {
		if n != without {
			lines += strings.Count(n.log(), `"event":"user.deleted"`)
		}
	}
	return lines
}

// printedByOthers waits until another node prints more events.
func (c *clusterOfProcesses) printedByOthers(than *clusterProcess) {
	c.t.Helper()
	before := c.printed(than)
	c.nodes[0].until("another node prints", func() bool { return c.printed(than) > before })
}

// comesBackWithAnotherSetting starts a node with its own setting: it takes requests,
// doesn't lead, and names the setting. Then it starts with the others' setting.
func (c *clusterOfProcesses) comesBackWithAnotherSetting(n *clusterProcess) {
	c.t.Helper()
	own := n.environ
	n.environ = slices.Concat(own, []string{"HOOK_RETRIES=1"})
	c.start(n)
	n.until("the setting is named", func() bool { return strings.Contains(strings.Join(n.status().Settings, " "), "HOOK_RETRIES") })
	n.until("it takes requests", func() bool {
		return n.send(http.MethodPost, n.public+"/kazoo/"+c.sharedSecret()+"/object", fmt.Sprintf("id=%032x&account_id=%032x&action=doc_deleted&type=user", 9, 1)) == http.StatusOK
	})
	if n.status().Leads {
		c.t.Errorf("%s leads with another setting", n.name)
	}
	n.stop()
	n.environ = own
	c.start(n)
	n.until("it is ready again", n.ready)
}

// leaderIsStoppedAndContinues suspends the leader until another leads. When it
// continues and knows that, it prints no event received since then, unless it is elected
// again.
func (c *clusterOfProcesses) leaderIsStoppedAndContinues(traffic *clusterTraffic) {
	c.t.Helper()
	stopped, _ := c.leader()
	for stopped.signal(syscall.SIGSTOP); !stopped.led(); stopped.signal(syscall.SIGSTOP) {
		stopped.signal(syscall.SIGCONT) // another was elected meanwhile
		stopped, _ = c.leader()
	}
	c.leader(stopped)
	c.printedByOthers(stopped)
	until := len(stopped.log())
	stopped.signal(syscall.SIGCONT)
	stopped.until("it knows that it no longer leads", func() bool { return strings.Contains(stopped.log()[until:], noLonger) })
	ended := time.Now()
	received := func(text string) string {
		for line := range strings.Lines(text) {
			var e struct {
				Event    string    `json:"event"`
				Received time.Time `json:"received_at"`
			}
			if json.Unmarshal([]byte(line), &e) == nil && e.Event != "" && e.Received.After(ended) {
				return line
			}
		}
		return ""
	}
	traffic.more(50)
	c.nodes[0].until("a node prints what was received since then", func() bool {
		return slices.ContainsFunc(c.nodes, func(n *clusterProcess) bool { return received(n.log()) != "" })
	})
	_, since, _ := strings.Cut(stopped.log()[until:], noLonger)
	since, _, _ = strings.Cut(since, leadsNow)
	if line := received(since); line != "" {
		c.t.Errorf("a leader that was stopped prints when it continues: %s", line)
	}
}

// What a node logs when it begins and ends to lead.
const leadsNow, noLonger = "this node leads the cluster", "no longer leads"

// led reports whether the node leads according to what it has logged.
func (n *clusterProcess) led() bool {
	log := n.log()
	return strings.LastIndex(log, leadsNow) > strings.LastIndex(log, noLonger)
}

// clusterLine is an event in a line or a history.
type clusterLine struct {
	Event    string `json:"event"`
	ID       string `json:"event_id"`
	ObjectID string `json:"object_id"`
	Seq      int64  `json:"seq"`
}

// eventLines returns the events of a text, and leaves out other lines.
func eventLines(text string) (list []clusterLine) {
	for l := range strings.Lines(text) {
		var e clusterLine
		if strings.Contains(l, `"event_id"`) && json.Unmarshal([]byte(l), &e) == nil && e.ID != "" {
			list = append(list, e)
		}
	}
	return list
}

// check checks that each request is one event, in every history and in all outputs
// together.
func (f *clusterTraffic) check() {
	t := f.c.t
	t.Helper()
	f.c.nodes[0].until("all histories are whole and the same", func() bool {
		first, whole := f.history(f.c.nodes[0])
		for _, n := range f.c.nodes[1:] {
			other, too := f.history(n)
			whole = whole && too && maps.Equal(first, other)
		}
		return whole
	})
	missing := ""
	defer func() {
		if t.Failed() {
			t.Log("printed: " + missing)
		}
	}()
	f.c.nodes[0].until("every event is printed", func() bool {
		missing = f.unprinted()
		return missing == ""
	})
	t.Logf("%d deletions and %d edits, of %d more it isn't known whether they were taken", len(f.taken), f.edits, f.doubts)
}

// history returns the ids in a node's history by number, and whether every acknowledged
// deletion is there. None may be there twice.
func (f *clusterTraffic) history(n *clusterProcess) (ids map[int64]string, whole bool) {
	f.c.t.Helper()
	text, _ := n.fetch("/api/events?format=ndjson&limit=1000000")
	ids = map[int64]string{}
	deleted := map[string]bool{}
	for _, e := range eventLines(string(text)) {
		ids[e.Seq] = e.ID
		if e.Event != "user.deleted" {
			continue
		}
		if deleted[e.ObjectID] {
			f.c.t.Fatalf("%s has two deletions of %s", n.name, e.ObjectID)
		}
		deleted[e.ObjectID] = true
	}
	for id := range f.taken {
		if !deleted[id] {
			return ids, false
		}
	}
	return ids, true
}

// unprinted says what no node has printed yet. An event that was printed twice must be
// the same.
func (f *clusterTraffic) unprinted() string {
	f.c.t.Helper()
	deleted, seqs, edits := map[string]bool{}, map[int64]string{}, map[string]bool{}
	for _, n := range f.c.nodes {
		for _, e := range eventLines(n.log()) {
			if was, ok := seqs[e.Seq]; ok && was != e.ID {
				f.c.t.Fatalf("number %d is of %s and %s", e.Seq, was, e.ID)
			}
			seqs[e.Seq] = e.ID
			switch {
			case e.Event == "user.deleted":
				deleted[e.ObjectID] = true
			case e.Event == "user.edited" && e.ObjectID == editedUser:
				edits[e.ID] = true
			}
		}
	}
	for id := range f.taken {
		if !deleted[id] {
			return "no deletion of " + id
		}
	}
	if len(edits) > f.edits+f.doubts {
		f.c.t.Fatalf("%d edits became %d events", f.edits, len(edits))
	}
	if len(edits) < f.edits {
		return fmt.Sprintf("%d of %d edits", len(edits), f.edits)
	}
	return ""
}
