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

// Receiver is the real program as a child process, with a supervisor that restarts
// it whenever it has ended.
type Receiver struct {
	Program string
	Environ []string // the whole environment
	Lines   *Lines
	Line    func([]byte)  // gets each whole line instead of Lines.Take, if set
	Output  io.Writer     // also gets what is printed; may be nil
	Pause   time.Duration // before it is started again; NewReceiver sets 200 ms
	// Excused reports that it may end by itself now; nil: never.
	Excused func() bool
	// Launch starts the command; nil: its own Start.
	Launch func(*exec.Cmd) error
	Name   string // for messages, if there are several

	mu       sync.Mutex
	process  *os.Process // nil: not running
	ended    chan struct{}
	expected bool
	until    time.Time // is not started before
	holds    int       // number of callers that keep it stopped
	starts   int
	failures []string
	deaths   []time.Time
}

// NewReceiver makes a receiver, without starting it. Its log is read into Lines. It
// ends with the test or benchmark.
func NewReceiver(program string, environ []string) *Receiver {
	return &Receiver{Program: program, Environ: environ, Lines: newLines(), Pause: 200 * time.Millisecond}
}

// Supervise keeps the receiver running until ctx ends. It doesn't stop the receiver:
// call Stop.
func (r *Receiver) Supervise(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		wait, done := time.Until(r.until), r.ended
		running := r.process != nil
		if r.holds > 0 {
			wait = max(wait, 10*time.Millisecond)
		}
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

// Start starts the receiver, which must not be running.
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
	launch := cmd.Start
	if r.Launch != nil {
		launch = func() error { return r.Launch(cmd) }
	}
	if err := launch(); err != nil {
		return err
	}
	r.starts++
	r.process, r.ended, r.expected = cmd.Process, make(chan struct{}), false
	go r.attend(cmd, &last, r.ended)
	return nil
}

// attend waits for the end of a process.
func (r *Receiver) attend(cmd *exec.Cmd, last *tailBuffer, ended chan struct{}) {
	err := cmd.Wait()
	excused := r.Excused != nil && r.Excused()
	words := last.String()
	r.mu.Lock()
	expected := r.expected
	r.process = nil
	r.deaths = append(r.deaths, time.Now())
	r.until = later(r.until, time.Now().Add(r.Pause))
	r.mu.Unlock()
	var exit *exec.ExitError
	killed := errors.As(err, &exit) && exit.ExitCode() == -1
	switch {
	case strings.Contains(words, "DATA RACE"), strings.Contains(words, "panic:"), strings.Contains(words, "fatal error:"):
		r.fail("it ended with %v:\n%s", err, words)
	case !expected && !excused:
		r.fail("it ended by itself with %v: %s", err, words)
	case expected && err != nil && !killed && !excused:
		r.fail("it was asked to stop and ended with %v: %s", err, words)
	}
	close(ended)
}

// Signal sends a signal that ends the receiver, waits for its end and keeps it
// stopped for a time. It sends nothing if the receiver isn't running.
func (r *Receiver) Signal(ctx context.Context, sig syscall.Signal, away time.Duration) {
	r.mu.Lock()
	r.until = later(r.until, time.Now().Add(away))
	process, ended := r.process, r.ended
	r.expected = r.expected || process != nil
	r.mu.Unlock()
	if process == nil {
		return
	}
	_ = process.Signal(sig) // it has ended already
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	select {
	case <-ended:
	case <-ctx.Done():
	case <-limit.C:
		r.fail("it did not end a minute after %s", sig)
		_ = process.Kill()
		<-ended
	}
	r.mu.Lock()
	r.until = later(r.until, time.Now().Add(away))
	r.mu.Unlock()
}

// Freeze stops the receiver with SIGSTOP, if it runs, and lets it continue after a
// time.
func (r *Receiver) Freeze(ctx context.Context, d time.Duration) {
	r.mu.Lock()
	process := r.process
	r.mu.Unlock()
	if process == nil {
		return
	}
	_ = process.Signal(syscall.SIGSTOP) // it has ended already
	Sleep(ctx, d)
	_ = process.Signal(syscall.SIGCONT) // likewise
}

// While ends the receiver with a signal and calls do before the receiver is started
// again.
func (r *Receiver) While(ctx context.Context, sig syscall.Signal, away time.Duration, do func() error) error {
	r.mu.Lock()
	r.holds++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.holds--
		r.mu.Unlock()
	}()
	r.Signal(ctx, sig, away)
	return do()
}

// Stop ends the receiver with SIGTERM; it isn't started again.
func (r *Receiver) Stop(ctx context.Context) { r.Signal(ctx, syscall.SIGTERM, 24*time.Hour) }

// Failures lists unexpected ends of the receiver and failed starts.
func (r *Receiver) Failures() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.failures...)
}

// Deaths are the times at which the receiver ended.
func (r *Receiver) Deaths() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.deaths...)
}

// Starts counts the receiver's starts.
func (r *Receiver) Starts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.starts
}

func (r *Receiver) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, strings.TrimSpace("the receiver "+r.Name)+": "+fmt.Sprintf(format, args...))
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

// Sleep waits and reports whether ctx has not ended.
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
