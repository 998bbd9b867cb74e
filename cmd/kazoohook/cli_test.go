package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

// TestMain lets scripts run the program as a process: the test binary runs itself again
// under the name kazoohook.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"kazoohook": main})
}

// leakChecked runs the tests, then looks for goroutines that they left behind.
type leakChecked struct{ *testing.M }

// Run runs the tests and returns the exit code.
func (m leakChecked) Run() int {
	code := m.M.Run()
	if code == 0 {
		http.DefaultClient.CloseIdleConnections()
		var err error
		for end := time.Now().Add(time.Minute); time.Now().Before(end); { // they may need a while to end
			// Some goroutines of Pebble and of the ACME library never end.
			err = goleak.Find(
				goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"),
				goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
				goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
			if err == nil {
				break
			}
		}
		if err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err) // there is nowhere else to report it
			return 1
		}
	}
	return code
}

// TestScripts runs testdata/script. In a script,
//
//	exec kazoohook ...     runs the program and expects success (! exec: failure)
//	code 2 kazoohook ...   runs it and expects that exit code
//	clean SECRET           fails if the last output holds SECRET
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":  scriptCode,
			"clean": scriptClean,
		},
	})
}

func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptClean(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: clean SECRET")
	}
	for _, stream := range []string{"stdout", "stderr"} {
		if strings.Contains(ts.ReadFile(stream), args[0]) {
			ts.Fatalf("%s holds %s", stream, args[0])
		}
	}
}

// program runs the program in this process.
func program(t *testing.T, environ []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, diagnostics bytes.Buffer
	err := run(t.Context(), args, environ, strings.NewReader(""), &out, &diagnostics)
	return out.String(), diagnostics.String(), exitCode(err)
}

// TestHelpOfEveryCommand: -h works for every command and needs no settings.
func TestHelpOfEveryCommand(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(newCommands(), kong.Name("kazoohook"), kong.Vars{"version": "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Leaves(false) {
		args := append(strings.Fields(command.Path()), "-h")
		stdout, stderr, code := program(t, nil, args...)
		if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "Usage: kazoohook "+command.Path()) {
			t.Errorf("%v: code %d, %q %q", args, code, stdout, stderr)
		}
		if command.Help == "" {
			t.Errorf("%s has no help", command.Path())
		}
	}
}

// TestExitCodes maps errors to exit codes and to what is printed.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	cause := errors.New("no room")
	for name, c := range map[string]struct {
		err    error
		code   int
		stderr string
	}{
		"none":    {nil, 0, ""},
		"failure": {cause, 1, "kazoohook: no room\n"},
		"pending": {exit(codePending, nil), 3, ""},
		"usage":   {exit(codeUsage, cause), 2, "kazoohook: no room\n"},
	} {
		var stderr bytes.Buffer
		report(&stderr, c.err)
		if got := exitCode(c.err); got != c.code || stderr.String() != c.stderr {
			t.Errorf("%s: code %d, %q", name, got, stderr.String())
		}
	}
	if err := exit(codeUsage, cause); !errors.Is(err, cause) || err.Error() != "no room" || exit(3, nil).Error() != "exit code 3" {
		t.Error("exit hides its cause")
	}
}

// TestEmptyValues: a script whose variable is not set gets an error. Without one,
// dead --discard --event-id "" would end all dead letters.
func TestEmptyValues(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"dead --discard --event-id=":         "--event-id is empty",
		"dead --discard --destination=":      "--destination is empty",
		"destinations --pause=":              "--pause is empty",
		"config --check=":                    "--check is empty",
		"events --event=user.* --account=":   "--account is empty",
		"redeliver --destination=x --event=": "--event is empty",
		"backup ''":                          "<file> is empty",
	} {
		list := strings.Fields(strings.ReplaceAll(args, "''", "E"))
		for i, arg := range list {
			if arg == "E" {
				list[i] = ""
			}
		}
		stdout, stderr, code := program(t, []string{"ADMIN_ADDR=off", "DATA_DIR=" + t.TempDir()}, list...)
		if code != codeUsage || stdout != "" || !strings.Contains(stderr, want) || !strings.Contains(stderr, "kazoohook "+list[0]+" -h") {
			t.Errorf("%s: code %d, %q %q", args, code, stdout, stderr)
		}
	}
	// A setting may be empty, as in the environment.
	if _, stderr, code := program(t, []string{"ADMIN_ADDR=off"}, "config", "--config=", "--hook-name="); code != codeUsage || strings.Contains(stderr, "is empty") {
		t.Errorf("code %d, %q", code, stderr)
	}
}

// errWriter is a standard output that can't be written.
type errWriter struct{}

func (errWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

// TestOutputGone: a result that can't be written is a failure.
func TestOutputGone(t *testing.T) {
	t.Parallel()
	environ := []string{
		"KAZOO_API_URL=http://kazoo:8000", "KAZOO_USERNAME=a", "KAZOO_PASSWORD=b", "KAZOO_ACCOUNT_NAME=c", "PUBLIC_URL=http://hooks.example.com",
	}
	for _, args := range [][]string{{"config"}, {"config", "--format", "json"}, {"version"}} {
		err := run(context.Background(), args, environ, strings.NewReader(""), errWriter{}, &bytes.Buffer{})
		if exitCode(err) != codeFailed {
			t.Errorf("%v: %v", args, err)
		}
	}
}
