package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Receiver is the real program as a child process, with a supervisor that
// starts it again whenever it is gone.
type Receiver struct {
	Program string
	Environ []string // all of it
	Lines   *Lines
	Line    func([]byte)  // gets each whole line instead of Lines.Take, if set
	Output  io.Writer     // gets what is printed, too; nil: nobody
	Pause   time.Duration // before it is started again; NewReceiver sets 200 ms
	// Excused says that a death of its own accord is nothing to wonder at now; nil: never.
	Excused func() bool

	mu       sync.Mutex
	process  *os.Process // nil: away
	gone     chan struct{}
	expected bool
	until    time.Time // stays away until then
	starts   int
	failures []string
}

// NewReceiver describes a receiver whose log is read into Lines. It dies
// with the test or benchmark.
func NewReceiver(program string, environ []string) *Receiver {
	return &Receiver{Program: program, Environ: environ, Lines: newLines(), Pause: 200 * time.Millisecond}
}

// Supervise keeps the receiver running until ctx ends, then leaves it as it is:
// Stop it.
func (r *Receiver) Supervise(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		wait, done := time.Until(r.until), r.gone
		running := r.process != nil
		r.mu.Unlock()
		switch {
		case running:
			select {
			case <-done:
			case <-ctx.Done():
			}
		case wait > 0:
			Sleep(ctx, min(wait, 50*time.Millisecond))
		default:
			if err := r.Start(); err != nil {
				r.fail("start: %v", err)
				Sleep(ctx, r.Pause)
			}
		}
	}
}

// Start starts the receiver; it may not be running.
func (r *Receiver) Start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	cmd := exec.Command(r.Program, "serve") //nolint:gosec,noctx // the program under test; ended by Signal
	cmd.Env = r.Environ
	cmd.SysProcAttr = dieWithParent()
	var last tailBuffer
	line := r.Line
	if line == nil {
		line = r.Lines.Take
	}
	out := io.Writer(&splitter{line: line})
	if r.Output != nil {
		out = io.MultiWriter(out, r.Output)
	}
	cmd.Stdout, cmd.Stderr = out, &last
	if err := cmd.Start(); err != nil {
		return err
	}
	r.starts++
	r.process, r.gone, r.expected = cmd.Process, make(chan struct{}), false
	go r.attend(cmd, &last, r.gone)
	return nil
}

// attend waits for the end of a process.
func (r *Receiver) attend(cmd *exec.Cmd, last *tailBuffer, gone chan struct{}) {
	err := cmd.Wait()
	excused := r.Excused != nil && r.Excused()
	words := last.String()
	r.mu.Lock()
	expected := r.expected
	r.process = nil
	r.until = later(r.until, time.Now().Add(r.Pause))
	r.mu.Unlock()
	var exit *exec.ExitError
	killed := errors.As(err, &exit) && exit.ExitCode() == -1
	switch {
	case strings.Contains(words, "DATA RACE"), strings.Contains(words, "panic:"), strings.Contains(words, "fatal error:"):
		r.fail("it ended with %v:\n%s", err, words)
	case !expected && !excused:
		r.fail("it ended of itself with %v: %s", err, words)
	case expected && err != nil && !killed && !excused:
		r.fail("it was told to stop and ended with %v: %s", err, words)
	}
	close(gone)
}

// Signal sends a signal that ends the receiver, waits until it is gone and
// keeps it away for a time. It does nothing if the receiver is away already.
func (r *Receiver) Signal(ctx context.Context, sig syscall.Signal, away time.Duration) {
	r.mu.Lock()
	r.until = later(r.until, time.Now().Add(away))
	process, gone := r.process, r.gone
	r.expected = r.expected || process != nil
	r.mu.Unlock()
	if process == nil {
		return
	}
	_ = process.Signal(sig) // gone already: so be it
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	select {
	case <-gone:
	case <-ctx.Done():
	case <-patience.C:
		r.fail("it did not end 20 s after %s", sig)
		_ = process.Kill()
		<-gone
	}
	r.mu.Lock()
	r.until = later(r.until, time.Now().Add(away))
	r.mu.Unlock()
}

// Stop ends the receiver with SIGTERM for good.
func (r *Receiver) Stop(ctx context.Context) { r.Signal(ctx, syscall.SIGTERM, 24*time.Hour) }

// Running reports whether the process is there.
func (r *Receiver) Running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process != nil
}

// Failures says what was wrong with the receiver's lives and deaths.
func (r *Receiver) Failures() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.failures...)
}

// Starts counts the receiver's lives.
func (r *Receiver) Starts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.starts
}

func (r *Receiver) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, "the receiver: "+fmt.Sprintf(format, args...))
}

// Command runs another command of the program and returns its output.
func (r *Receiver) Command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, r.Program, args...) //nolint:gosec // the program under test
	cmd.Env = r.Environ
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", r.Program, strings.Join(args, " "), err, stderr.String())
	}
	return stdout.Bytes(), nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Sleep waits and reports whether ctx is still there.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
