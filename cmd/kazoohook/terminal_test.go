package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"kazoohook/config"
	"kazoohook/internal/fakekazoo"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Ann Lee, Zoë, 李雷, שלום, 👩‍🚀": "Ann Lee, Zoë, 李雷, שלום, 👩\\u200d🚀",
		"a\x1b[2Jb":                 `a\u001b[2Jb`,
		"row\r\nforged\trow":        `row\r\nforged\trow`,
		"\x00\x07\x7f\u0085\u009b":  `\u0000\u0007\u007f\u0085\u009b`,
		"\u202egnp.exe\u2066\u2069": `\u202egnp.exe\u2066\u2069`,
		"\u200b\u200e\ufeff\u00ad":  `\u200b\u200e\ufeff\u00ad`,
		"\u2028\u2029\u061c\u180e":  `\u2028\u2029\u061c\u180e`,
		"\u3164\u115f\u034f":        `\u3164\u115f\u034f`,
		"\U000e0041\U000e0100":      `\udb40\udc41\udb40\udd00`,
		"bad \xff\xc3 utf":          `bad \xff\xc3 utf`,
		"a replacement \ufffd":      "a replacement \ufffd",
		"no-break\u00a0space":       "no-break\u00a0space",
		"":                          "",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := printableLines("one\ntwo\x1b"); got != "one\n  two\\u001b" {
		t.Errorf("%q", got)
	}
}

// nasty are characters that affect a terminal.
const nasty = "\x1b]0;x\x07\r\n\x00\x7f\u009b\u202e\u200b\u2066\U000e0041"

// tame reports the first character in a text that would affect a terminal or be
// invisible.
func tame(text string) error {
	for i, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return fmt.Errorf("%U at %d in %q", r, i, text)
		}
	}
	return nil
}

func TestJSONForATerminal(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(map[string]string{"name": nasty, "other": `back\slash "quoted"`})
	if err != nil {
		t.Fatal(err)
	}
	shown := jsonVisible(raw)
	if err := tame(string(shown)); err != nil {
		t.Error(err)
	}
	var back map[string]string
	if err := json.Unmarshal(shown, &back); err != nil || back["name"] != nasty {
		t.Errorf("%q means %q: %v", shown, back["name"], err)
	}
	if plain := []byte(`{"a":"ä"}`); &jsonVisible(plain)[0] != &plain[0] {
		t.Error("a copy without need")
	}
	var text map[string]string
	if err := json.Unmarshal(textVisible(raw), &text); err != nil || tame(text["name"]) != nil || strings.Contains(text["name"], "\n") || text["other"] != `back\slash "quoted"` {
		t.Errorf("%q: %v", text, err)
	}
}

// TestConsoleIsTame: no field and no message of a log line affects a terminal.
func TestConsoleIsTame(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := logTo(t, &out, config.LogConsole)
	l.Log.Error().Str("name", nasty).Interface("data", map[string]string{nasty: nasty}).Err(errors.New(nasty)).Msg(nasty)
	l.flush()
	if err := tame(out.String()); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%v\n%q", err, out.String())
	}
}

// TestNastyNames: whatever a user is called, every command shows one row for each event
// and nothing that affects the terminal.
func TestNastyNames(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	user, err := s.CreateUser(fakekazoo.User{AccountID: "acme", FirstName: "Eve" + nasty + "99  user.deleted", LastName: nasty})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteUser(user.ID); err != nil {
		t.Fatal(err)
	}
	s.logged(`"event":"user.deleted"`)
	s.deliver("object", "id="+strings.Repeat("%1b%0d%0a", 4)+"%e2%80%ae&account_id=%c2%9b&action=doc_deleted&type=user")
	environ := []string{"ADMIN_ADDR=" + strings.TrimPrefix(s.admin, "http://"), "DATA_DIR=" + s.service.cfg.DataDir}
	for _, args := range [][]string{
		{"events"}, {"events", "--format", "json"}, {"resync", "--dry-run"}, {"replay", "--from", "1", "--dry-run"}, {"events", "--event", "no\x1bsense"},
	} {
		stdout, stderr, code := program(t, environ, args...)
		if code != 0 {
			t.Errorf("%v: code %d: %s", args, code, stderr)
		}
		if err := errors.Join(tame(stdout), tame(stderr)); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	stdout, _, _ := program(t, environ, "events", "--event", "user.deleted")
	if rows := strings.Count(stdout, "\n"); rows != 3 {
		t.Errorf("%d lines, want a heading and two events:\n%s", rows, stdout)
	}
}

// TestTailShowsLinesLikeTheLog: each has the time, the level and what happened.
func TestTailShowsLinesLikeTheLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := consoleWriter{&out, consoleLines(true)}
	for _, line := range []string{
		`{"event":"user.deleted","seq":7,"received_at":"2026-01-02T03:04:05.678Z","object_name":"Ann"}`, `{"event":"unknown","seq":8,"received_at":"2026-01-02T03:04:05.678Z"}`,
	} {
		if _, err := w.Write(append(asLogLine([]byte(line)), '\n')); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(out.String(), "\n")
	if !strings.Contains(lines[0], ":05.678 INF user deleted event=user.deleted object_name=Ann seq=7") || !strings.Contains(lines[1], " WRN unknown ") || strings.Contains(out.String(), "???") {
		t.Errorf("%q", lines)
	}
	if got := string(asLogLine([]byte("no JSON"))); got != "no JSON" {
		t.Errorf("%q", got)
	}
}

// TestNoSuchEvent: an unknown event name gets a warning on standard error. It is no
// error, because other applications have their own hooks.
func TestNoSuchEvent(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	environ := []string{"ADMIN_ADDR=" + strings.TrimPrefix(s.admin, "http://")}
	for args, said := range map[string]bool{"nonsense": true, "user.delete": true, "user.*": false, "channel.destroy": false, "*": false, "notification.new_user": false} {
		_, stderr, code := program(t, environ, "events", "--event", args, "--since", "1d12h")
		if code != 0 || strings.Contains(stderr, "no event is known") != said {
			t.Errorf("%s: code %d, %s", args, code, stderr)
		}
		if _, stderr, _ = program(t, environ, "redeliver", "--destination", "x", "--from", "1h", "--event", args); strings.Contains(stderr, "no event is known") != said {
			t.Errorf("redeliver %s: %s", args, stderr)
		}
	}
}

// TestNoSuchDestination: a misspelt name is no destination without dead letters.
func TestNoSuchDestination(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, more := range [][]string{nil, {"--discard"}, {"--format", "json"}} {
		stdout, stderr, code := program(t, []string{"ADMIN_ADDR=" + strings.TrimPrefix(s.admin, "http://")}, append([]string{"dead", "--destination", "biling"}, more...)...)
		if code != codeFailed || stdout != "" || !strings.Contains(stderr, `there is no destination "biling"`) {
			t.Errorf("%v: code %d, %q %q", more, code, stdout, stderr)
		}
	}
}

// TestWrongFilters: the error names the value and what is accepted, whether or not the
// service runs.
func TestWrongFilters(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	running := strings.TrimPrefix(s.admin, "http://")
	stopped := t.TempDir()
	used(t, stopped, true)
	for args, want := range map[string]string{
		"events --limit 0":    `kazoohook: --limit "0" is wrong; use a number from 1`,
		"events --source fax": `kazoohook: --source "fax" is wrong; use webhook, `,
	} {
		for _, environ := range [][]string{{"ADMIN_ADDR=" + running}, {"ADMIN_ADDR=off", "DATA_DIR=" + stopped}} {
			stdout, stderr, code := program(t, environ, strings.Fields(args)...)
			if code != codeUsage || stdout != "" || !strings.HasPrefix(lastLine(stderr), want) {
				t.Errorf("%s with %v: code %d, %q %q", args, environ, code, stdout, stderr)
			}
		}
	}
}

// TestWrongArguments: they are usage errors. Times are judged before anything is asked;
// the rest is refused by the service.
func TestWrongArguments(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	environ := []string{"ADMIN_ADDR=" + strings.TrimPrefix(s.admin, "http://")}
	for args, want := range map[string]string{
		"events --since nonsense":                       `--since: "nonsense" is wrong; use a time like `,
		"events --until 1x":                             `--until: "1x" is wrong; use a time like `,
		"tail --since nonsense":                         `--since: "nonsense" is wrong; use a time like `,
		"destinations --preview x --since soon":         `--since: "soon" is wrong; use a time like `,
		"replay --from nonsense":                        `--from: "nonsense" is wrong; use the seq of an event, from 1, a time like `,
		"replay --from 0":                               `--from: "0" is wrong; use the seq of an event`,
		"redeliver --destination x --from 2x":           `--from: "2x" is wrong; use a time like `,
		"redeliver --destination x --from 2h --to soon": `--to: "soon" is wrong; use a time like `,
		"resync --timeout 0":                            `--timeout: 0 is too short; use e.g. 15s`,
		"plan --timeout 0s":                             `--timeout: 0s is too short`,
		"register --timeout 0s":                         `--timeout: 0s is too short`,
		"unregister --timeout 0s":                       `--timeout: 0s is too short`,
		"doctor --timeout=-1s":                          `--timeout: -1s is too short`,
		"healthcheck --timeout 0s":                      `--timeout: 0s is too short`,
		"healthcheck --timeout soon":                    `--timeout: "soon" is wrong; use a duration like `,
		"demo --for=-1s":                                `--for: -1s is too short`,
		"events --source nope":                          `--source "nope" is wrong`,
		"events --object=a,b --limit=-1":                `--limit "-1" is wrong`,
		"replay --consumer= --from 1":                   `--consumer is empty; give a value`,
		"redeliver --destination= --dead":               `--destination is empty; give a value`,
	} {
		stdout, stderr, code := program(t, environ, strings.Fields(args)...)
		if code != codeUsage || stdout != "" || !strings.Contains(stderr, "kazoohook: "+want) || strings.ContainsAny(stderr, "{}") {
			t.Errorf("%s: code %d, %q %q", args, code, stdout, stderr)
		}
	}
}

// TestCommandsThatNeedTheService: without it they exit with 1 and say so.
func TestCommandsThatNeedTheService(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	environ := []string{"ADMIN_ADDR=" + strings.TrimPrefix(s.admin, "http://")}
	if stdout, stderr, code := program(t, environ, "replay", "--from", "0s"); code != 0 || !strings.HasPrefix(stdout, "nothing to handle again") {
		t.Errorf("replay of nothing: code %d, %q %q", code, stdout, stderr)
	}
	for _, addr := range []string{"127.0.0.1:1", "off"} {
		for _, command := range [][]string{{"replay", "--from", "2h"}, {"resync"}, {"resync", "--dry-run"}, {"tail"}} {
			stdout, stderr, code := program(t, []string{"ADMIN_ADDR=" + addr, "DATA_DIR=" + s.service.cfg.DataDir}, command...)
			if code != codeFailed || stdout != "" || !strings.Contains(stderr, command[0]+" needs the running service") {
				t.Errorf("%v at %s: code %d, %q %q", command, addr, code, stdout, stderr)
			}
		}
	}
	if got := s.get(s.public + "/healthz"); got.status != http.StatusOK {
		t.Error(got)
	}
}
