package brokertest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// TB is what a server needs of a test. A *testing.T has it; a program may provide the
// same. Fatal and Fatalf don't return.
type TB interface {
	Helper()
	Cleanup(f func())
	Context() context.Context
	Failed() bool
	Logf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// startWithin is how long a server may take to start on a busy machine.
const startWithin = 6 * time.Minute

// FreePort returns a loopback port that nobody listens on. It is below the kernel's
// range for outgoing connections: one of those could take the port before the server
// does. Until the test ends, nobody else gets the port here, in any process: a socket
// in the abstract namespace stands for it.
func FreePort(t TB) int {
	t.Helper()
	const first, outgoing, tries = 10_000, 32_768, 100
	var err error
	for range tries {
		port := strconv.Itoa(first + rand.IntN(outgoing-first)) //nolint:gosec // any will do
		var held, l net.Listener
		if held, err = new(net.ListenConfig).Listen(t.Context(), "unix", "@brokertest-port-"+port); err != nil {
			continue
		}
		if l, err = new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", port)); err != nil {
			_ = held.Close() // nothing was accepted
			continue
		}
		_ = l.Close() // nor here
		t.Cleanup(func() { _ = held.Close() })
		return l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on TCP
	}
	t.Fatal(err)
	return 0
}

// directory makes a directory that every user may enter, because a server may run as
// its own user. It is removed after the test.
func directory(t TB, pattern string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", pattern) // only the test's own user may enter its t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	return dir
}

// command is the process of a server, in its own process group.
type command struct {
	cmd  *exec.Cmd
	out  output
	done chan struct{}
}

// run starts a server that stop ends. Its output is shown if the test fails.
func run(t TB, stop syscall.Signal, cmd *exec.Cmd) *command {
	t.Helper()
	c := &command{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &c.out, &c.out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = startWithin // its children hold the output, and the port, as long as they live
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = cmd.Wait() // a killed server's exit code says nothing
	}()
	t.Cleanup(func() {
		c.kill(stop)
		if t.Failed() {
			t.Logf("%s:\n%s", cmd.Path, c.out.String())
		}
	})
	return c
}

// kill sends a signal to the server's process group, and waits until the server has
// ended.
func (c *command) kill(signal syscall.Signal) {
	c.send(signal)
	c.send(syscall.SIGCONT) // a frozen server would not notice the signal
	<-c.done
}

// send sends a signal to the server's process group.
func (c *command) send(signal syscall.Signal) {
	if err := syscall.Kill(-c.cmd.Process.Pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		panic(err)
	}
}

// until tries something until it works. The test fails if the server ends first.
func (c *command) until(t TB, what string, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(startWithin); time.Now().Before(deadline); {
		if err = try(); err == nil {
			return
		}
		select {
		case <-c.done:
			t.Fatalf("%s: the server ended: %v\n%s", what, err, c.out.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("%s: %v\n%s", what, err, c.out.String())
}

// output keeps what a server prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
