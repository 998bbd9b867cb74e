//go:build real

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// clusterProxies lists the examples for a cluster and how each is run. The Kubernetes
// example is the ingress controller's HAProxy with our snippet in its backend.
func clusterProxies(t *testing.T) map[string]func(p *proxy, nodes []string) *exec.Cmd {
	t.Helper()
	kinds := proxyKinds()
	example := func(file, kind string) func(*proxy, []string) *exec.Cmd {
		return func(p *proxy, nodes []string) *exec.Cmd {
			return kinds[kind](p, p.fill(readExample(t, filepath.Join("proxies", file)), nodes))
		}
	}
	return map[string]func(*proxy, []string) *exec.Cmd{
		"haproxy-cluster.cfg": example("haproxy-cluster.cfg", "haproxy%s.cfg"),
		"nginx-cluster.conf":  example("nginx-cluster.conf", "nginx%s.conf"),
		"ingress-haproxy.yaml": func(p *proxy, nodes []string) *exec.Cmd {
			return kinds["haproxy%s.cfg"](p, p.fill(controllerConfig(t), nodes))
		},
	}
}

func readExample(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "deploy", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// controllerConfig returns what the ingress controller makes of the annotations, as far
// as it affects requests.
func controllerConfig(t *testing.T) string {
	t.Helper()
	var file struct {
		Ingress struct{ Annotations map[string]string }
	}
	if err := yaml.Unmarshal([]byte(readExample(t, filepath.Join("helm", "examples", "ingress-haproxy.yaml"))), &file); err != nil {
		t.Fatal(err)
	}
	a := file.Ingress.Annotations
	if a["haproxy.org/ssl-redirect"] != "false" || a["haproxy.org/check-http"] != "/healthz" {
		t.Errorf("%v", a)
	}
	snippet := strings.ReplaceAll(strings.TrimSpace(a["haproxy.org/backend-config-snippet"]), "\n", "\n    ")
	return `defaults
    mode http
    timeout connect 5s
    timeout client 150s
    timeout http-request 30s
    timeout http-keep-alive 150s

frontend https
    bind :443 ssl crt /etc/haproxy/hooks.example.com.pem alpn h2,http/1.1
    http-request deny deny_status 404 unless { path_beg /kazoo/ } or { path /healthz }
    default_backend hooks

backend hooks
    balance roundrobin
    option forwardfor
    timeout server ` + a["haproxy.org/timeout-server"] + `
    timeout check ` + a["haproxy.org/timeout-check"] + `
    option httpchk GET ` + a["haproxy.org/check-http"] + `
    default-server check inter ` + a["haproxy.org/check-interval"] + `
    ` + snippet + `
    server SRV_1 192.0.2.1:8080
    server SRV_2 192.0.2.2:8080
    server SRV_3 192.0.2.3:8080
`
}

// fill puts the test's addresses, files and timeouts into an example.
func (p *proxy) fill(text string, nodes []string) string {
	text = strings.NewReplacer(
		"listen 443 ssl", "listen "+p.addr+" ssl", "bind :443", "bind "+p.addr,
		"192.0.2.1:8080", nodes[0], "192.0.2.2:8080", nodes[1], "192.0.2.3:8080", nodes[2],
		"/etc/ssl/hooks.example.com.pem", p.path("cert.pem"), "/etc/ssl/hooks.example.com.key", p.path("key.pem"), "/etc/haproxy/hooks.example.com.pem", p.path("both.pem"),
		"/var/log/nginx/error.log", p.path("error.log"),
		"timeout connect 2s", "timeout connect 30s", "timeout check 2s", "timeout check 30s", "proxy_connect_timeout       2s", "proxy_connect_timeout 30s",
		"timeout server 15s", "timeout server "+p.wait, "proxy_read_timeout          15s", "proxy_read_timeout "+p.wait,
		"fail_timeout=5s", "fail_timeout=1s",
	).Replace(text)
	if p.paused {
		text = strings.NewReplacer("#http-request return", "http-request return", "#return 504", "return 504").Replace(text)
	}
	return text
}

// startInFront starts an example in front of three nodes.
func (p *proxy) startInFront(nodes []string, run func(*proxy, []string) *exec.Cmd) {
	p.t.Helper()
	p.dir = p.t.TempDir()
	if err := os.Chmod(p.dir, 0o755); err != nil { //nolint:gosec // the proxy's workers have a user of their own
		p.t.Fatal(err)
	}
	if p.addr == "" {
		p.addr = freeAddrs(p.t, 1)[0]
	}
	p.certificate()
	p.run(run(p, nodes))
}

// TestClusterProxies runs each cluster example with the real proxy before three fake
// nodes. Whatever they do, Kazoo gets one 200, or 503 with Retry-After. All tries of a
// request have the same id, and no two requests do.
func TestClusterProxies(t *testing.T) {
	t.Parallel()
	for name, run := range clusterProxies(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClusterCase(&proxy{t: t, wait: "60s"}, run)
			for _, how := range []string{"refused", "resets", "breaks off", "502", "504"} {
				for i := range c.nodes {
					c.oneFails(i, how)
				}
				c.allFail(how)
			}
			// Other answers of a node are passed on.
			c.all("")
			c.settled()
			c.all("503")
			c.expect("a node has no quorum", http.StatusServiceUnavailable, "5", 1, false)
			c.all("404")
			c.expect("a node knows no such secret", http.StatusNotFound, "", 1, false)
			c.all("")
			c.secretNowhere()
		})
		t.Run(name+" with nodes that hang", func(t *testing.T) {
			t.Parallel()
			c := newClusterCase(&proxy{t: t, wait: hangWait}, run)
			c.oneFails(0, "hangs")
			c.allFail("hangs")
		})
		t.Run(name+" that takes no requests", func(t *testing.T) {
			t.Parallel()
			c := newClusterCase(&proxy{t: t, wait: "60s", paused: true}, run)
			c.expect("paused", http.StatusServiceUnavailable, "10", 0, false)
			for i, n := range c.nodes {
				if ids := n.taken(); ids != nil {
					t.Errorf("node %d got %v", i+1, ids)
				}
			}
		})
	}
}

// hangWait is how long a proxy waits for a node that hangs: long enough for a good node on
// a busy machine, except for a single answer now and then.
const hangWait = "6s"

// clusterCase is a proxy with its nodes, and the ids seen so far.
type clusterCase struct {
	*proxy
	nodes []*fakeNode
	seen  map[string]bool
	count int
	kept  net.Conn
}

func newClusterCase(p *proxy, run func(*proxy, []string) *exec.Cmd) *clusterCase {
	p.t.Helper()
	nodes := []*fakeNode{newFakeNode(p.t), newFakeNode(p.t), newFakeNode(p.t)}
	p.startInFront([]string{nodes[0].addr, nodes[1].addr, nodes[2].addr}, run)
	return &clusterCase{proxy: p, nodes: nodes, seen: map[string]bool{}}
}

func (c *clusterCase) all(how string) {
	for _, n := range c.nodes {
		n.behave(how)
		n.taken()
	}
}

// oneFails lets one node fail: another node answers each request with 200, also over a
// connection that the sender keeps, as Kazoo does.
func (c *clusterCase) oneFails(i int, how string) {
	c.t.Helper()
	c.all("")
	c.settled()
	defer c.keep()()
	c.nodes[i].behave(how)
	for n := range 4 {
		c.expect(fmt.Sprintf("node %d %s", i+1, how), http.StatusOK, "", 1, n%2 == 0)
	}
}

// allFail lets all nodes fail in the same way. Where they break off an answer, HAProxy
// does the same with a kept connection.
func (c *clusterCase) allFail(how string) {
	c.t.Helper()
	c.all("")
	c.settled()
	defer c.keep()()
	c.all(how)
	c.expect("all nodes: "+how, http.StatusServiceUnavailable, "10", 0, false)
	switch how {
	case "refused", "502", "504":
		c.expect("all nodes: "+how, http.StatusServiceUnavailable, "10", 0, true)
	}
}

// keep sends a request over a connection that stays open until end.
func (c *clusterCase) keep() (end func()) {
	c.t.Helper()
	conn, err := c.dial()
	if err != nil {
		c.t.Fatal(err)
	}
	c.kept = conn
	if got := c.send(true); got.status != http.StatusOK {
		c.t.Errorf("the first request of a connection: %d %v", got.status, got.header)
	}
	for _, n := range c.nodes {
		n.taken()
	}
	return func() { _ = conn.Close() } // nothing more is needed
}

// settled waits until the proxy sends requests to every node again.
func (c *clusterCase) settled() {
	c.t.Helper()
	reached := map[int]bool{}
	for end := time.Now().Add(2 * time.Minute); len(reached) < len(c.nodes); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("the proxy uses only %v", reached)
		}
		c.send(false)
		for i, n := range c.nodes {
			if len(n.taken()) > 0 {
				reached[i] = true
			}
		}
	}
}

// send sends a request, over the kept connection or a new one.
func (c *clusterCase) send(kept bool) response {
	c.t.Helper()
	connection := "close"
	if kept {
		connection = "keep-alive"
	}
	c.count++
	text := fmt.Sprintf("POST /kazoo/%s/object HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: %s\r\nX-Request-Id: of-the-sender\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\nid=%07d", processSecret, connection, c.count)
	if kept {
		return c.over(c.kept, text)
	}
	return c.raw(text)
}

// expect sends a request. answered is the number of nodes that take it and answer.
func (c *clusterCase) expect(what string, status int, after string, answered int, kept bool) {
	c.t.Helper()
	got := c.send(kept)
	var ids []string
	good := 0
	for _, n := range c.nodes {
		taken := n.taken()
		ids = append(ids, taken...)
		n.mu.Lock()
		if n.how == "" || n.how == "503" || n.how == "404" {
			good += len(taken)
		}
		n.mu.Unlock()
	}
	if got.status != status || got.header.Get("Retry-After") != after {
		c.t.Errorf("%s: %d %v", what, got.status, got.header)
	}
	if good != answered && (c.wait != hangWait || good < answered) { // a short wait may be too short even for a good node
		c.t.Errorf("%s: %d nodes answered", what, good)
	}
	if len(ids) == 0 {
		return // all connections were refused
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) != 1 || len(ids[0]) < 16 || ids[0] == "of-the-sender" || c.seen[ids[0]] {
		c.t.Errorf("%s: the tries have the ids %q", what, ids)
	}
	c.seen[ids[0]] = true
}
