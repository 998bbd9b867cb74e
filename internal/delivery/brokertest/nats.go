package brokertest

import (
	"net/url"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/nats-io/nats.go"
)

// NATS is a nats-server with JetStream, in its own process.
type NATS struct {
	Port int

	t       TB
	program string
	dir     string
	process *command
}

// StartNATS starts a server. program is the one from bench/chaos/natsserver.
func StartNATS(t TB, program string) *NATS {
	t.Helper()
	n := &NATS{t: t, Port: FreePort(t), program: program, dir: directory(t, "nats")}
	n.Start()
	return n
}

// Start starts the server with the data that it had when it was stopped.
func (n *NATS) Start() {
	n.t.Helper()
	cmd := exec.Command(n.program, "-port", strconv.Itoa(n.Port), "-store", n.dir) //nolint:gosec,noctx // the test stops it
	n.process = run(n.t, syscall.SIGKILL, cmd)
	n.process.until(n.t, "nats-server", func() error {
		nc, err := nats.Connect(n.URL())
		if err != nil {
			return err
		}
		nc.Close()
		return nil
	})
}

// Stop kills the server.
func (n *NATS) Stop() { n.process.kill(syscall.SIGKILL) }

// Freeze stops the server's work until Thaw: its connections stay open.
func (n *NATS) Freeze() { n.process.send(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (n *NATS) Thaw() { n.process.send(syscall.SIGCONT) }

// URL returns the server's URL.
func (n *NATS) URL() string {
	return (&url.URL{Scheme: "nats", Host: "127.0.0.1:" + strconv.Itoa(n.Port)}).String()
}
