package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// script makes the sender of a script for /bin/sh.
func script(t *testing.T, text string, limit time.Duration, args ...string) (*execSender, *logged) {
	t.Helper()
	return program(t, limit, append([]string{"/bin/sh", "-c", text, "sh"}, args...)...)
}

func program(t *testing.T, limit time.Duration, command ...string) (*execSender, *logged) {
	t.Helper()
	log := &logged{}
	s, err := NewSender(compiled(t, Settings{Type: TypeExec, Exec: &ExecSettings{Command: command}, Timeout: limit}), SenderOptions{Log: zerolog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	e, _ := s.(*execSender)
	e.late = wait // what holds the output open is killed
	return e, log
}

// logged collects log lines.
type logged struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// output returns the command's output from the log.
func (l *logged) output(t *testing.T) (text string, cut bool) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var line struct {
		Output    string
		OutputCut bool `json:"output_cut"`
	}
	for text := range bytes.Lines(l.Bytes()) {
		if err := json.Unmarshal(text, &line); err != nil {
			t.Error(err)
		}
	}
	return line.Output, line.OutputCut
}

func TestExec(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script   string
		err      string
		answered bool
		status   string
		output   string
	}{
		"success":        {"cat", "", false, "exit status 0", `{"event":"user.deleted"}`},
		"both outputs":   {"echo out; echo err >&2", "", false, "exit status 0", "out err"},
		"exit status":    {"echo no such user; exit 3", `the command "/bin/sh": exit status 3`, true, "exit status 3", "no such user"},
		"signal":         {"kill -TERM $$", `the command "/bin/sh": killed by signal 15 (terminated)`, true, "killed by signal 15 (terminated)", ""},
		"reads nothing":  {"exit 0", "", false, "exit status 0", ""},
		"closes input":   {"exec <&-; exit 0", "", false, "exit status 0", ""},
		"control":        {`printf 'a\033[31m\000b\377'`, "", false, "exit status 0", "a[31mb\ufffd"},
		"arguments":      {`echo "$1|$2"`, "", false, "exit status 0", "one two|$(three)"},
		"nothing leaks":  {`echo "${EVENT_EXTRA-unset}"; ls /proc/self/fd 2>/dev/null | wc -l >/dev/null`, "", false, "exit status 0", "unset"},
		"command absent": {"exec /nowhere/at/all", `the command "/bin/sh": exit status 127`, true, "exit status 127", "*"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, log := script(t, test.script, wait, "one two", "$(three)")
			r := s.Send(t.Context(), message())
			got := ""
			if r.Err != nil {
				got = r.Err.Error()
			}
			if got != test.err || r.Answered != test.answered || r.Status != test.status || test.output != "*" && r.Excerpt != test.output {
				t.Errorf("got %q, %+v", got, r)
			}
			if said, _ := log.output(t); said != r.Excerpt {
				t.Errorf("logged %q", said)
			}
		})
	}
}

// TestExecThatReadsNothing: the command succeeds even if the event is longer than a
// pipe holds.
func TestExecThatReadsNothing(t *testing.T) {
	t.Parallel()
	s, _ := script(t, "exit 0", wait)
	m := message()
	m.Body = bytes.Repeat([]byte("x"), 1<<20)
	if r := s.Send(t.Context(), m); r.Err != nil || r.Status != "exit status 0" {
		t.Errorf("got %+v", r)
	}
}

// TestExecEnvironment checks all variables that the command sees.
func TestExecEnvironment(t *testing.T) {
	t.Setenv("HOME", "/home/of/somebody")
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("TZ", "UTC")
	t.Setenv("KAZOO_PASSWORD", secretToken)
	file := filepath.Join(t.TempDir(), "environment")
	s, _ := script(t, `env -0 >"$1"`, wait, file)
	m := message()
	m.Account, m.Object = "a=1\nb\x00c\xff", "x"+strings.Repeat("\u00e9", 1000)
	if r := s.Send(t.Context(), m); r.Err != nil {
		t.Fatal(r.Err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\x00"), "\x00") {
		name, value, _ := strings.Cut(line, "=")
		got[name] = value
	}
	for name, value := range map[string]string{
		"EVENT_ID": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "EVENT_SEQ": "42", "EVENT_NAME": "user.deleted", "EVENT_ACCOUNT": "a=1\nbc\ufffd",
		"EVENT_OBJECT": "x" + strings.Repeat("\u00e9", 511), "HOME": "/home/of/somebody", "LANG": "C.UTF-8", "TZ": "UTC", "PATH": os.Getenv("PATH"),
	} {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
		delete(got, name)
	}
	for _, own := range []string{"PWD", "OLDPWD", "SHLVL", "_"} { // the shell's
		delete(got, own)
	}
	if len(got) > 0 {
		t.Errorf("also %q", got)
	}
}

// TestExecLimit: the whole process group is killed, whatever it does.
func TestExecLimit(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"hangs":                 `echo $$ >"$1"; exec sleep 1000`,
		"has a child":           `sleep 1000 & echo $! >"$1"; wait`,
		"ignores signals":       `trap '' TERM INT HUP; echo $$ >"$1"; while :; do sleep 1; done`,
		"reads nothing":         `echo $$ >"$1"; exec sleep 1000 <&-`,
		"never stops to write":  `echo $$ >"$1"; while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done`,
		"children of a child":   `(sleep 1000 & echo $! >"$1"; wait) & wait`,
		"stops itself":          `echo $$ >"$1"; kill -STOP $$`,
		"child with the output": `sh -c 'trap "" TERM; sleep 1000 & echo $! >"$1"; wait' sh "$1" & wait`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			s, _ := script(t, text, wait, file)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			m := message()
			m.Body = bytes.Repeat([]byte("x"), 1<<20) // more than a pipe holds
			done := make(chan Result, 1)
			go func() { done <- s.Send(ctx, m) }()
			pid := readPID(t, file)
			cancel(nil)
			select {
			case r := <-done:
				if r.Err == nil || r.Err.Error() != `the command "/bin/sh" was killed: the attempt was interrupted: context canceled` || r.Answered {
					t.Errorf("got %+v", r)
				}
			case <-time.After(wait):
				t.Fatal("the attempt goes on")
			}
			awaitDeath(t, pid)
		})
	}
}

// TestExecTimeout: the error names the limit.
func TestExecTimeout(t *testing.T) {
	t.Parallel()
	s, _ := script(t, "sleep 1000", 100*time.Millisecond)
	r := s.Send(t.Context(), message())
	if r.Err == nil || r.Err.Error() != `the command "/bin/sh" did not end within 100ms and was killed` || r.Answered || r.Pause {
		t.Errorf("got %+v", r)
	}
}

// TestExecLeavesNothingBehind: processes that an ended command left running are killed,
// even if they hold the output open.
func TestExecLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		code string
	}{
		"success": {`sleep 1000 & echo $! >"$1"; echo done; exit 0`, ""},
		"failure": {`sleep 1000 & echo $! >"$1"; echo done; exit 7`, `the command "/bin/sh": exit status 7`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			s, log := script(t, test.text, wait, file)
			r := s.Send(t.Context(), message())
			if !agrees(r.Err, test.code) || (r.Err != nil) != (test.code != "") {
				t.Errorf("got %+v", r)
			}
			if said, _ := log.output(t); said != "done" {
				t.Errorf("logged %q", said)
			}
			if !strings.Contains(log.String(), "a destination's command left processes running, which were killed") {
				t.Errorf("logged %s", log.String())
			}
			awaitDeath(t, readPID(t, file))
		})
	}
}

// readPID waits until a process has written its id.
func readPID(t *testing.T, file string) int {
	t.Helper()
	var pid int
	eventually(t, "no process began", func() bool {
		raw, err := os.ReadFile(file)
		if err != nil || !bytes.HasSuffix(raw, []byte("\n")) {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(raw)))
		return err == nil
	})
	return pid
}

// awaitDeath waits until a process is dead. A zombie counts as dead.
func awaitDeath(t *testing.T, pid int) {
	t.Helper()
	eventually(t, "process "+strconv.Itoa(pid)+" lives", func() bool {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil && errors.Is(err, os.ErrNotExist) && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || bytes.Contains(stat, []byte(") Z "))
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(wait); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// TestExecOutputIsBounded: the output that is kept is limited.
func TestExecOutputIsBounded(t *testing.T) {
	t.Parallel()
	s, log := script(t, `head -c 20000000 /dev/zero | tr '\0' x; echo end >&2; exit 1`, wait)
	r := s.Send(t.Context(), message())
	if r.Err == nil || r.Status != "exit status 1" || r.Excerpt != strings.Repeat("x", maxExcerpt) {
		t.Errorf("%v, %s, %d bytes", r.Err, r.Status, len(r.Excerpt))
	}
	if said, cut := log.output(t); said != strings.Repeat("x", maxOutput) || !cut {
		t.Errorf("logged %d bytes, cut %v", len(said), cut)
	}
}

// TestExecThatCannotRun: the error differs from that of a command that failed.
func TestExecThatCannotRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain, noProgram := filepath.Join(dir, "plain"), filepath.Join(dir, "program")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A file that another test's new process holds open for writing can't be run.
	syscall.ForkLock.RLock()
	err := os.WriteFile(noProgram, []byte("#!/nowhere/at/all\n"), 0o700) //nolint:gosec // it must be a program
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		command, send, check string
	}{
		"missing":            {filepath.Join(dir, "absent"), "no such file or directory", "no such file or directory"},
		"not in PATH":        {"no-such-command-anywhere", "executable file not found in $PATH", "executable file not found in $PATH"},
		"not executable":     {plain, "permission denied", "permission denied"},
		"directory":          {dir, "permission denied", "is a directory"},
		"interpreter absent": {noProgram, "no such file or directory", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := program(t, wait, test.command)
			r := s.Send(t.Context(), message())
			if prefix := "the command " + strconv.Quote(test.command) + " can't be run: "; r.Err == nil || r.Err.Error() != prefix+test.send || r.Answered {
				t.Errorf("got %+v", r)
			}
			if err := s.Check(t.Context()); !agrees(err, test.check) {
				t.Errorf("check: %v", err)
			}
		})
	}
	s, _ := program(t, wait, "sh")
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestExecConcurrently: attempts at the same time don't mix their data.
func TestExecConcurrently(t *testing.T) {
	t.Parallel()
	s, _ := script(t, `read -r line; echo "$EVENT_SEQ $line"`, wait)
	results := make(chan string)
	for i := range 8 {
		go func() {
			m := message()
			m.Seq, m.Body = int64(i), []byte("body "+strconv.Itoa(i)+"\n")
			results <- s.Send(t.Context(), m).Excerpt
		}()
	}
	var got []string
	for range 8 {
		got = append(got, <-results)
	}
	slices.Sort(got)
	for i, text := range got {
		if n := strconv.Itoa(i); text != n+" body "+n {
			t.Errorf("got %q", text)
		}
	}
}
