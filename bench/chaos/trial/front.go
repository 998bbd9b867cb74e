package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"kazoohook/bench/chaos/balancer"
)

// front is the proxy in front of the nodes of a cluster: package balancer, or a real
// HAProxy.
type front struct {
	balancer *balancer.Balancer
	server   *http.Server
	haproxy  *exec.Cmd
	words    tailBuffer // HAProxy's last messages
}

// newFront listens at addr and forwards requests to nodes. example is the
// configuration of HAProxy from the documentation; "": package balancer.
func newFront(ctx context.Context, example, dir, addr string, nodes []string) (*front, error) {
	if example != "" {
		return newHAProxy(ctx, example, dir, addr, nodes)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("bind the balancer: %w", err)
	}
	b := balancer.New(nodes...)
	f := &front{balancer: b, server: &http.Server{Handler: b, ReadHeaderTimeout: time.Minute}}
	go func() { _ = f.server.Serve(ln) }() // ends with Close
	return f, nil
}

func newHAProxy(ctx context.Context, example, dir, addr string, nodes []string) (*front, error) {
	raw, err := os.ReadFile(filepath.Clean(example))
	if err != nil {
		return nil, err
	}
	text, err := local(string(raw), addr, nodes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", example, err)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil { //nolint:gosec // a directory of ours
		return nil, err
	}
	f := &front{haproxy: exec.Command("haproxy", "-db", "-f", file)} //nolint:gosec,noctx // ended by close
	f.haproxy.SysProcAttr = dieWithParent()
	f.haproxy.Stdout, f.haproxy.Stderr = &f.words, &f.words
	if err := f.haproxy.Start(); err != nil {
		return nil, err
	}
	var d net.Dialer
	for end := time.Now().Add(time.Minute); ; Sleep(ctx, 20*time.Millisecond) {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return f, c.Close()
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("haproxy doesn't listen: %w: %s", err, f.words.String()), f.close())
		}
	}
}

// local adapts the example to this machine: without TLS, with our addresses.
func local(example, addr string, nodes []string) (string, error) {
	bind := regexp.MustCompile(`(?m)^ {4}bind .*$`)
	server := regexp.MustCompile(`(?m)^( {4}server \S+) 192\.0\.2\.(\d+):8080$`)
	if !bind.MatchString(example) || len(server.FindAllString(example, -1)) != len(nodes) {
		return "", fmt.Errorf("it does not bind one address and name %d nodes", len(nodes))
	}
	text := bind.ReplaceAllString(example, "    bind "+addr)
	for i, n := range nodes {
		text = strings.Replace(text, fmt.Sprintf(" 192.0.2.%d:8080", i+1), " "+n, 1)
	}
	return text, nil
}

func (f *front) close() error {
	if f.haproxy != nil {
		_ = f.haproxy.Process.Kill() // it has ended already
		_ = f.haproxy.Wait()         // it was killed
		return nil
	}
	err := f.server.Close()
	f.balancer.Close()
	return err
}
