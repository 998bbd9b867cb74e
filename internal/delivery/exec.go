package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// Limits of what a command gets and of what it prints.
const (
	maxVariable = 1 << 10 // bytes of a variable's value
	maxOutput   = 4 << 10 // bytes of output that are logged
)

// check reports what is wrong with the settings.
func (s *ExecSettings) check(p *problems) {
	if len(s.Command) == 0 || s.Command[0] == "" {
		p.add("command", "it is missing: a list of a program's path and its arguments")
		return
	}
	for i, arg := range s.Command {
		if strings.ContainsRune(arg, 0) {
			p.add(fmt.Sprintf("command[%d]", i), "it holds a zero byte")
		}
	}
}

// execSender runs a command for each event.
type execSender struct {
	d   *Destination
	log zerolog.Logger
	env []string // the part of our environment that the command gets
	// late is how long output is awaited after a command has ended. Processes that left
	// its process group aren't killed, and may hold the output open for ever.
	late time.Duration
}

func newExecSender(d *Destination, o SenderOptions) *execSender {
	s := &execSender{d: d, log: o.Log, late: time.Second}
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			s.env = append(s.env, name+"="+value)
		}
	}
	return s
}

// Send runs the command once, with the event on its standard input. When it has ended,
// the other processes of its group are killed, so that they don't pile up.
func (s *execSender) Send(ctx context.Context, m *Message) Result {
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	var out output
	c := s.command(ctx, m)
	left, err := s.run(c, &out)
	if left && ctx.Err() == nil {
		s.log.Warn().Str("destination", s.d.Name).Str("event_id", m.EventID).Msg("a destination's command left processes running, which were killed")
	}
	said := out.String()
	if said != "" {
		s.log.Info().Str("destination", s.d.Name).Str("event_id", m.EventID).Str("output", said).Bool("output_cut", out.cut()).Msg("output of a destination's command")
	}
	r := Result{Excerpt: cut(said, maxExcerpt)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil && !(c.ProcessState != nil && c.ProcessState.Success()):
		r.Err = s.ended(ctx)
	case errors.As(err, &exit):
		r.Answered = true
		r.Status = exitStatus(exit.ProcessState)
		r.Err = fmt.Errorf("the command %s: %s", quoted(s.d.Exec.Command[0]), r.Status)
	case c.ProcessState != nil && c.ProcessState.Success():
		r.Status = "exit status 0"
	default:
		r.Err = s.notRun(err)
	}
	return r
}

// run runs a command. left reports that it left processes behind. The output is read
// here, because the library would wait for those processes before they can be killed.
func (s *execSender) run(c *exec.Cmd, out io.Writer) (left bool, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return false, err
	}
	c.Stdout, c.Stderr = w, w
	err = c.Start()
	_ = w.Close() // the process has its own copy
	if err != nil {
		_ = r.Close()
		return false, err
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(out, r) // until no process can write any more, or r is closed
	}()
	err = c.Wait()
	left = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) == nil
	late := time.NewTimer(s.late)
	defer late.Stop()
	select {
	case <-read:
	case <-late.C:
	}
	_ = r.Close()
	<-read
	return left, err
}

// command prepares the process, in its own group.
func (s *execSender) command(ctx context.Context, m *Message) *exec.Cmd {
	args := s.d.Exec.Command
	c := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the operator's command, and nothing of the event in it
	c.Env = append(append([]string(nil), s.env...),
		variable("EVENT_ID", m.EventID), variable("EVENT_SEQ", strconv.FormatInt(m.Seq, 10)), variable("EVENT_NAME", m.Event),
		variable("EVENT_ACCOUNT", m.Account), variable("EVENT_OBJECT", m.Object))
	c.Stdin = bytes.NewReader(m.Body)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = s.late
	return c
}

// variable sets an environment variable to a value from Kazoo, cut and without zero
// bytes.
func variable(name, value string) string {
	value = strings.ToValidUTF8(strings.ReplaceAll(value, "\x00", ""), "\ufffd")
	return name + "=" + cut(value, maxVariable)
}

func (s *execSender) ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the command %s did not end within %v and was killed", quoted(s.d.Exec.Command[0]), s.d.Timeout)
	}
	return fmt.Errorf("the command %s was killed: the attempt was interrupted: %w", quoted(s.d.Exec.Command[0]), ctx.Err())
}

// notRun says why a command could not be run.
func (s *execSender) notRun(err error) error {
	var path *fs.PathError
	var lookup *exec.Error
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &lookup):
		err = lookup.Err
	}
	return fmt.Errorf("the command %s can't be run: %w", quoted(s.d.Exec.Command[0]), err)
}

func exitStatus(p *os.ProcessState) string {
	if w, ok := p.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return "killed by signal " + strconv.Itoa(int(w.Signal())) + " (" + w.Signal().String() + ")"
	}
	return "exit status " + strconv.Itoa(p.ExitCode())
}

// Check reports whether the command exists and may be run.
func (s *execSender) Check(context.Context) error {
	if _, err := exec.LookPath(s.d.Exec.Command[0]); err != nil {
		return s.notRun(err)
	}
	return nil
}

// Close does nothing: no process outlives its attempt.
func (s *execSender) Close() error { return nil }

// output keeps the beginning of what a command writes and drops the rest.
type output struct {
	kept []byte
	more bool // something was dropped
}

func (o *output) Write(p []byte) (int, error) {
	room := min(len(p), maxOutput-len(o.kept))
	o.kept = append(o.kept, p[:room]...)
	o.more = o.more || room < len(p)
	return len(p), nil
}

func (o *output) String() string { return printed(o.kept) }

func (o *output) cut() bool { return o.more }
