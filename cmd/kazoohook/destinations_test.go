package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kazoohook/handlers"
)

const onwardKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

const fast = "[50ms, 50ms, 50ms]"

// patiently is a retry schedule that lasts longer than a test's outage. It has as many
// pauses as are accepted.
var patiently = "[" + strings.Repeat("300ms, ", 70) + strings.TrimSuffix(strings.Repeat("4s, ", 30), ", ") + "]"

// TestOnward: events reach a destination that was down, although the receiver is
// killed. Delivered events aren't sent again.
func TestOnward(t *testing.T) {
	t.Parallel()
	r := newRecipient(t)
	p, _ := onwardProcess(t, "destinations: {billing: {type: http, url: 'http://"+r.addr+"/x', secret: "+onwardKey+", retry: "+patiently+", start: beginning}}")
	p.start(io.Discard, execServe)
	p.deliver(0, 5)
	p.until("five have arrived", func() bool { return r.got() == 5 })
	p.settled("billing")
	r.down()
	p.deliver(5, 10)
	p.until("an attempt has failed", func() bool {
		d := p.destination("billing")
		return d.State == "retrying" && d.LastError != "" && d.Waiting == 5
	})
	p.until("the attempt is recorded", func() bool {
		_, newest := p.read(p.admin + "/api/events?format=ndjson&limit=1")
		var last struct{ Seq int64 }
		if err := json.Unmarshal([]byte(newest), &last); err != nil {
			t.Fatal(err)
		}
		_, deliveries := p.read(fmt.Sprintf("%s/api/events/%d/deliveries", p.admin, last.Seq))
		var history []handlers.Delivery
		return json.Unmarshal([]byte(deliveries), &history) == nil && len(history) == 1 && history[0].Attempts > 0
	})
	p.kill()
	stdout, _ := p.command(0, "destinations", "--format", "json")
	var offline []map[string]any
	if err := json.Unmarshal([]byte(stdout), &offline); err != nil || len(offline) != 1 {
		t.Fatalf("%v: %s", err, stdout)
	}
	keys := slices.Sorted(maps.Keys(offline[0]))
	if want := []string{"dead", "last_error", "name", "oldest_waiting_seconds", "state", "type", "waiting"}; !slices.Equal(keys, want) {
		t.Errorf("keys %v", keys)
	}
	if d := offline[0]; d["name"] != "billing" || d["type"] != "http" || d["state"] == "ok" || d["waiting"] != 5.0 || d["dead"] != 0.0 {
		t.Errorf("while it is stopped: %v", d)
	}
	p.start(io.Discard, execServe)
	p.deliver(10, 12)
	r.up()
	p.until("all have arrived", func() bool { return r.got() == 12 })
	p.settled("billing")
	if d := p.destination("billing"); d.State != "ok" || d.LastError != "" || d.Delivered != 12 || d.Address != "http://"+r.addr+"/x" {
		t.Errorf("%+v", d)
	}
	r.mu.Lock()
	for id, n := range r.taken {
		if n != 1 {
			t.Errorf("%s was taken %d times", id, n)
		}
	}
	if len(r.wrong) > 0 {
		t.Errorf("wrong requests: %q", r.wrong)
	}
	body := r.bodies[userID(3)]
	r.mu.Unlock()
	var event struct{ Seq int64 }
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		t.Fatal(err)
	}
	_, line := p.read(fmt.Sprintf("%s/api/events?format=ndjson&after=%d&limit=1&order=oldest", p.admin, event.Seq-1))
	if strings.TrimSpace(line) != body {
		t.Errorf("the body\n%s\nis not the event\n%s", body, line)
	}
	p.stop()
	stdout, stderr := p.command(0, "destinations", "--preview", "billing", "--since", "1h", "--format", "json")
	if !strings.Contains(stdout, strings.ReplaceAll(body, `"`, `\"`)) || !strings.Contains(stderr, "12 of 12 events would have gone to billing") {
		t.Errorf("preview\n%s%s", stdout, stderr)
	}
}

// TestDeadLetter: one bad event among good ones becomes a dead letter, which can be
// seen, redelivered and discarded.
func TestDeadLetter(t *testing.T) {
	t.Parallel()
	r := newRecipient(t)
	r.set(func(event map[string]any) int {
		if event["object_id"] == userID(1) || event["object_id"] == userID(2) {
			return http.StatusUnprocessableEntity
		}
		return 0
	})
	p, _ := onwardProcess(t, "destinations: {billing: {type: http, url: 'http://"+r.addr+"', secret: "+onwardKey+", retry: "+fast+"}}")
	p.start(io.Discard, execServe)
	p.deliver(0, 6)
	n := 6
	p.until("two are dead", func() bool {
		if p.destination("billing").Dead == 2 {
			return true
		}
		p.deliver(n, n+1) // an event becomes a dead letter only after another was accepted
		n++
		return false
	})
	stdout, _ := p.command(0, "dead", "--format", "json")
	var dead []map[string]any
	if err := json.Unmarshal([]byte(stdout), &dead); err != nil || len(dead) != 2 {
		t.Fatalf("%v: %s", err, stdout)
	}
	if want := []string{"at", "attempts", "destination", "event", "event_id", "last_error", "seq"}; !slices.Equal(slices.Sorted(maps.Keys(dead[0])), want) {
		t.Errorf("keys %v", slices.Sorted(maps.Keys(dead[0])))
	}
	d := dead[0]
	// Four attempts, and more until the destination had accepted another event.
	attempts, _ := d["attempts"].(float64)
	if d["destination"] != "billing" || d["event"] != "user.deleted" || attempts < 4 || !strings.Contains(fmt.Sprint(d["last_error"]), "422") || d["at"] == "" {
		t.Errorf("%v", d)
	}
	table, hint := p.command(0, "dead")
	if !strings.Contains(table, "422") || !strings.Contains(hint, "redeliver --destination NAME --dead") {
		t.Errorf("%s%s", table, hint)
	}
	deliveries := func(of map[string]any) string {
		_, text := p.read(fmt.Sprintf("%s/api/events/%v/deliveries", p.admin, of["seq"]))
		return text
	}
	const kept = 50 // attempts at one delivery
	var history []handlers.Delivery
	if err := json.Unmarshal([]byte(deliveries(d)), &history); err != nil || len(history) != 1 || history[0].State != "dead" || float64(len(history[0].History)) != min(attempts, kept) || !strings.Contains(history[0].History[3].Status, "422") {
		t.Errorf("%v: %s", err, deliveries(d))
	}
	for want, narrowed := range map[int][]string{0: {"--to", "1h"}, 2: {"--from", "1h", "--event", "user.*"}} {
		stdout, _ = p.command(0, append([]string{"redeliver", "--destination", "billing", "--dead", "--dry-run"}, narrowed...)...)
		if !strings.Contains(stdout, fmt.Sprintf("%d events would be delivered again to billing", want)) {
			t.Errorf("%q: %s", narrowed, stdout)
		}
	}
	stdout, _ = p.command(0, "redeliver", "--destination", "billing", "--dead", "--dry-run")
	if !strings.Contains(stdout, "2 events would be delivered again to billing") || !strings.Contains(stdout, fmt.Sprint(d["event_id"])) {
		t.Error(stdout)
	}
	r.set(nil)
	stdout, _ = p.command(0, "redeliver", "--destination", "billing", "--event-id", fmt.Sprint(d["event_id"]))
	if !strings.Contains(stdout, "1 event is delivered again to billing") {
		t.Error(stdout)
	}
	p.until("it has arrived", func() bool { return p.destination("billing").Dead == 1 && r.got() == n-1 })
	p.settled("billing")
	stdout, _ = p.command(0, "dead", "--discard")
	if !strings.Contains(stdout, "1 dead letter discarded") || p.destination("billing").Dead != 0 {
		t.Error(stdout)
	}
	if one, two := deliveries(d), deliveries(dead[1]); !strings.Contains(one, `"state":"delivered"`) || !strings.Contains(two, `"state":"discarded"`) {
		t.Errorf("%s%s", one, two)
	}
	if _, stderr := p.command(0, "dead"); !strings.Contains(stderr, "no dead letters") {
		t.Error(stderr)
	}
	r.mu.Lock()
	if !r.again[userID(1)] && !r.again[userID(2)] {
		t.Error("the redelivered event isn't marked")
	}
	r.mu.Unlock()
	stdout, _ = p.command(0, "redeliver", "--destination", "billing", "--from", "1h", "--event", "user.*", "--dry-run")
	if !strings.Contains(stdout, fmt.Sprintf("%d events would be", n)) {
		t.Error(stdout)
	}
	for _, args := range [][]string{
		{"redeliver", "--destination", "other", "--dead"}, {"redeliver", "--destination", "billing", "--event-id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, {"destinations", "--pause", "other"},
	} {
		if _, stderr := p.command(codeFailed, args...); !strings.Contains(stderr, "There is no") {
			t.Errorf("%v: %s", args, stderr)
		}
	}
	for _, args := range [][]string{
		{"redeliver", "--destination", "billing"}, {"redeliver", "--dead"}, {"redeliver", "--destination", "billing", "--to", "1h"}, {"redeliver", "--destination", "billing", "--event", "*"},
		{"redeliver", "--destination", "billing", "--dead", "--event-id", "x"}, {"redeliver", "--destination", "billing", "--event-id", "x", "--from", "1h"}, {"redeliver", "--destination", "billing", "--event-id", "x", "--event", "*"},
	} {
		p.command(codeUsage, args...)
	}
	p.stop()
	for _, args := range [][]string{{"redeliver", "--destination", "billing", "--dead"}, {"dead", "--discard"}, {"destinations", "--pause", "billing"}, {"destinations", "--resume", "billing"}} {
		if _, stderr := p.command(codeFailed, args...); !strings.Contains(stderr, "needs the running service") {
			t.Errorf("%v: %s", args, stderr)
		}
	}
	if stdout, _ := p.command(0, "dead", "--format", "json"); strings.TrimSpace(stdout) != "[]" {
		t.Errorf("while it is stopped: %s", stdout)
	}
}

// TestPause: an operator pauses a destination, and so does an answer 410.
func TestPause(t *testing.T) {
	t.Parallel()
	r := newRecipient(t)
	p, _ := onwardProcess(t, "destinations: {billing: {type: http, url: 'http://"+r.addr+"', secret: "+onwardKey+", retry: "+patiently+"}}")
	p.start(io.Discard, execServe)
	if stdout, _ := p.command(0, "destinations", "--pause", "billing"); !strings.Contains(stdout, "billing: paused") {
		t.Error(stdout)
	}
	p.deliver(0, 3)
	p.until("they wait", func() bool { return p.destination("billing").Waiting == 3 })
	if stdout, _ := p.command(0, "destinations"); !strings.Contains(stdout, "paused (operator)") {
		t.Error(stdout)
	}
	p.stop()
	if stdout, _ := p.command(0, "destinations"); !strings.Contains(stdout, "paused (operator)") {
		t.Error(stdout)
	}
	p.start(io.Discard, execServe)
	r.set(func(map[string]any) int { return http.StatusGone })
	p.command(0, "destinations", "--resume", "billing")
	p.until("it is paused by the answer", func() bool { return p.destination("billing").PausedBy == "recipient" })
	if r.got() != 0 || p.destination("billing").Waiting != 3 {
		t.Errorf("%+v", p.destination("billing"))
	}
	r.set(nil)
	p.command(0, "destinations", "--resume", "billing")
	p.until("all have arrived", func() bool {
		if p.destination("billing").PausedBy == "recipient" { // an attempt that began before is answered only now
			p.command(0, "destinations", "--resume", "billing")
		}
		return r.got() == 3
	})
	p.stop()
}

// TestReloadDestinations: a changed file takes effect without a restart, and a wrong
// file is refused as a whole.
func TestReloadDestinations(t *testing.T) {
	t.Parallel()
	one, two := newRecipient(t), newRecipient(t)
	section := func(name, addr, more string) string {
		return "destinations: {" + name + ": {type: http, url: 'http://" + addr + "', secret: " + onwardKey + more + "}}"
	}
	p, file := onwardProcess(t, section("billing", one.addr, ""))
	var log logLines
	p.environ = append(p.environ, "FORWARD_EVENTS=")
	p.start(&log, execServe)
	said := func(what string) {
		t.Helper()
		p.until("the log says "+what, func() bool { return strings.Contains(log.String(), what) })
	}
	hangUp := func(yaml string) {
		t.Helper()
		put(t, file, yaml)
		p.signal(syscall.SIGHUP)
	}
	said("destination is new")
	p.deliver(0, 1)
	p.until("it has arrived", func() bool { return one.got() == 1 })
	hangUp(section("billing", two.addr, ", where: '((', retry: [5s, never]"))
	said("destinations.billing.retry[1]")
	said("destinations.billing.where")
	p.deliver(1, 2)
	p.until("it has arrived where it did before", func() bool { return one.got() == 2 })
	hangUp(section("billing", two.addr, ""))
	said(`"changed":["destinations"]`)
	p.deliver(2, 3)
	p.until("it has arrived at the new address", func() bool { return two.got() == 1 })
	hangUp(section("accounting", two.addr, ""))
	said("a renamed destination is a new one")
	p.deliver(3, 4)
	p.until("it has arrived once more", func() bool { return two.got() == 2 })
	put(t, file, "hook_name: other\n"+section("accounting", one.addr, "")) // without a signal: the change is noticed
	said(`"settings":["HOOK_NAME"]`)
	p.deliver(4, 5)
	p.until("it has arrived at the first", func() bool { return one.got() == 3 })
	p.stop()
}

// TestForwardURL: a destination without a file.
func TestForwardURL(t *testing.T) {
	t.Parallel()
	r := newRecipient(t)
	keys := filepath.Join(t.TempDir(), "keys")
	put(t, keys, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"+onwardKey+"\n")
	p := newProcess(t, "FORWARD_URL=http://"+r.addr, "FORWARD_SECRET_FILE="+keys, "FORWARD_EVENTS=user.deleted")
	p.start(io.Discard, execServe)
	p.deliver(0, 2)
	p.until("both have arrived", func() bool { return r.got() == 2 })
	p.settled("forward")
	if d := p.destination("forward"); d.Type != "http" || d.Delivered != 2 {
		t.Errorf("%+v", d)
	}
	p.stop()
}

// TestPing prints the answer to a test message, without a service.
func TestPing(t *testing.T) {
	t.Parallel()
	var body string
	status := http.StatusAccepted
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body) // the test fails if it is cut
		body = string(b)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "two\nlines \x1b[2J") // an error has nowhere to go
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "x.yaml")
	put(t, file, "destinations: {a: {type: http, url: '"+server.URL+"'}, b: {type: exec, command: [/bin/sh, -c, 'cat >/dev/null; echo oops >&2; exit 3']}, c: {type: http, url: '"+server.URL+"', body: '{{.event}} of {{.source}}'}}")
	environ := []string{"KAZOOHOOK_CONFIG=" + file, "PATH=" + os.Getenv("PATH")}
	stdout, stderr, code := program(t, environ, "ping", "a")
	if code != 0 || !strings.Contains(stdout, "202 Accepted") || !strings.Contains(stdout, "a took the message") || strings.Contains(stdout, "\x1b") || !strings.Contains(body, `"event":"kazoohook.ping"`) {
		t.Errorf("code %d, %q %q, body %s", code, stdout, stderr, body)
	}
	status = http.StatusTeapot
	stdout, stderr, code = program(t, environ, "ping", "a")
	if code != codeFailed || !strings.Contains(stdout, "418") || !strings.Contains(stderr, "a did not take the message") {
		t.Errorf("code %d, %q %q", code, stdout, stderr)
	}
	stdout, stderr, code = program(t, environ, "ping", "b")
	if code != codeFailed || !strings.Contains(stderr, "3") {
		t.Errorf("code %d, %q %q", code, stdout, stderr)
	}
	status = http.StatusOK
	if _, stderr, code = program(t, environ, "ping", "c"); code != 0 || !strings.HasPrefix(body, "kazoohook.ping of ") {
		t.Errorf("code %d, %q, body %s", code, stderr, body)
	}
	if _, stderr, code = program(t, environ, "ping", "d"); code != codeUsage || !strings.Contains(stderr, "there are a, b, c") {
		t.Errorf("code %d, %q", code, stderr)
	}
}

// TestPreview tries a changed filter on past events, while the service runs without it.
func TestPreview(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.start(io.Discard, execServe)
	p.deliver(0, 3)
	file := filepath.Join(t.TempDir(), "new.yaml")
	put(t, file, `destinations:
  some: {type: exec, command: [/bin/true], where: 'object_id endsWith "1"', body: "{{.event}} {{.object_id}}\nsecond\u001b[2J line"}
  other: {type: exec, command: [/bin/true], events: [device.*]}
  failing: {type: exec, command: [/bin/true], body: '{{if eq .object_id "`+userID(2)+`"}}{{index .data "a" "b" "c"}}{{end}}x'}
  below: {type: exec, command: [/bin/true], accounts: [`+strings.Repeat("a", 32)+`]}
`)
	stdout, stderr := p.command(0, "destinations", "--config", file, "--preview", "some", "--since", "1h")
	if !strings.Contains(stdout, "    user.deleted "+userID(1)+"\n    second") || strings.Contains(stdout, userID(2)) || !strings.Contains(stderr, "1 of 3 events would have gone to some") {
		t.Errorf("%s%s", stdout, stderr)
	}
	if stdout, stderr = p.command(0, "destinations", "--config", file, "--preview", "other"); stdout != "" || !strings.Contains(stderr, "0 of 3") {
		t.Errorf("%s%s", stdout, stderr)
	}
	if stdout, _ = p.command(0, "destinations", "--config", file, "--preview", "failing"); !strings.Contains(stdout, "problem: the template fails for this event") {
		t.Error(stdout)
	}
	if _, stderr = p.command(0, "destinations", "--config", file, "--preview", "below"); !strings.Contains(stderr, "3 more are of accounts whose place") {
		t.Error(stderr)
	}
	if _, stderr = p.command(codeUsage, "destinations", "--config", file, "--preview", "some", "--since", "soon"); !strings.Contains(stderr, "since") {
		t.Error(stderr)
	}
	p.command(codeUsage, "destinations", "--preview", "some")
	p.stop()
}
