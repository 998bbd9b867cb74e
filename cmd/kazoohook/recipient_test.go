package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"kazoohook/bench/chaos/trial"
	"kazoohook/handlers"
)

// recipient is an operator's own system that takes webhooks or refuses them.
type recipient struct {
	t      *testing.T
	addr   string
	server *http.Server

	mu     sync.Mutex
	refuse func(event map[string]any) int // the status of an answer that isn't 200; 0: it is
	taken  map[string]int                 // how often each object id was answered 200
	again  map[string]bool                // objects that came as redelivered
	bodies map[string]string              // by object id
	wrong  []string
}

// newRecipient starts a recipient.
func newRecipient(t *testing.T) *recipient {
	t.Helper()
	r := &recipient{t: t, addr: freeAddrs(t, 1)[0], taken: map[string]int{}, again: map[string]bool{}, bodies: map[string]string{}}
	r.up()
	t.Cleanup(func() { _ = r.server.Close() })
	return r
}

// up listens, at the same address as before.
func (r *recipient) up() {
	r.t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(r.t.Context(), "tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	server := &http.Server{Handler: r} //nolint:gosec // for a test's own client
	r.server = server
	go func() { _ = server.Serve(ln) }() // ends with Close
}

// down stops listening and closes every connection.
func (r *recipient) down() {
	_ = r.server.Close() // it may be closed already
	trial.Closed(r.t.Context(), r.addr)
}

func (r *recipient) set(refuse func(event map[string]any) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
}

// ServeHTTP takes one webhook, if its signature is valid.
func (r *recipient) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body) // if the body is cut, the signature is wrong
	r.mu.Lock()
	defer r.mu.Unlock()
	verify, err := webhooks.NewWebhook(onwardKey)
	if err == nil {
		err = verify.Verify(body, q.Header)
	}
	var event map[string]any
	if err != nil || json.Unmarshal(body, &event) != nil {
		r.wrong = append(r.wrong, fmt.Sprintf("%v: %s", err, body))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	id, _ := event["object_id"].(string)
	if r.refuse != nil {
		if status := r.refuse(event); status != 0 {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "no, \x1b[2J thanks") // an error has nowhere to go
			return
		}
	}
	r.taken[id]++
	r.bodies[id] = string(body)
	if q.Header.Get("Webhook-Redelivered") != "" {
		r.again[id] = true
	}
}

// got returns how many different events it took.
func (r *recipient) got() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.taken)
}

// userID returns the id of a user that process.deliver deletes.
func userID(n int) string { return fmt.Sprintf("%032x", n) }

// onwardProcess returns a process that has a configuration file with destinations.
func onwardProcess(t *testing.T, yaml string) (p *process, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "kazoohook.yaml")
	put(t, file, yaml)
	return newProcess(t, "KAZOOHOOK_CONFIG="+file), file
}

// destination reads one destination from the running service.
func (p *process) destination(name string) (d handlers.Destination) {
	p.t.Helper()
	_, body := p.read(p.admin + "/api/destinations")
	var list []handlers.Destination
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		p.t.Fatalf("%v: %s", err, body)
	}
	i := slices.IndexFunc(list, func(d handlers.Destination) bool { return d.Name == name })
	if i < 0 {
		p.t.Fatalf("no destination %s in %s", name, body)
	}
	return list[i]
}

// command runs a command with the process' settings.
func (p *process) command(code int, args ...string) (stdout, stderr string) {
	p.t.Helper()
	stdout, stderr, got := program(p.t, p.environ, args...)
	if got != code {
		p.t.Fatalf("%v: code %d\n%s%s", args, got, stdout, stderr)
	}
	if strings.Contains(stdout+stderr, "\x1b[2J") {
		p.t.Fatalf("%v: a control character reaches the terminal: %q", args, stdout+stderr)
	}
	return stdout, stderr
}

// settled waits until no event waits for a destination.
func (p *process) settled(name string) {
	p.t.Helper()
	p.until("nothing waits for "+name, func() bool { return p.destination(name).Waiting == 0 })
}
