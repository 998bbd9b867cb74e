package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"kazoohook/config"
	"kazoohook/internal/delivery"
)

// demoDestination is the demo's destination. It is down for some seconds, and
// refuses one event until that is redelivered.
type demoDestination struct {
	listener net.Listener
	server   *http.Server

	mu      sync.Mutex
	down    bool
	poison  string // the event that it refuses
	wanted  bool   // the next event becomes that one
	taken   map[string]bool
	failed  int  // attempts while it was down
	refusal int  // attempts at the event that it refuses
	delayed int  // events that were accepted after a failure
	refused bool // the refused event was accepted in the end
	tried   map[string]bool
}

const demoDestinationName = "billing"

func newDemoDestination(ctx context.Context) (*demoDestination, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &demoDestination{listener: ln, taken: map[string]bool{}, tried: map[string]bool{}}
	d.server = &http.Server{Handler: d, ReadHeaderTimeout: readTimeout}
	go func() { _ = d.server.Serve(ln) }() // ends with close
	return d, nil
}

func (d *demoDestination) close() { _ = d.server.Close() }

// settings returns the destination's settings, with a short retry schedule.
func (d *demoDestination) settings() config.Destination {
	return config.Destination{
		Name: demoDestinationName, Type: "http", URL: config.NewAddress("http://" + d.listener.Addr().String() + "/events"),
		Format: "json", Order: "object", Timeout: 5 * time.Second, Concurrency: 4,
		Retry: []time.Duration{time.Second, time.Second, 2 * time.Second},
	}
}

// ServeHTTP accepts or refuses an event.
func (d *demoDestination) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("Webhook-Id")
	_, _ = io.Copy(io.Discard, r.Body) // the sender has the whole body
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.wanted && !d.tried[id] {
		d.poison, d.wanted = id, false
	}
	again := r.Header.Get("Webhook-Redelivered") != ""
	switch {
	case d.down:
		d.failed++
		d.tried[id] = true
		http.Error(w, "the database is being upgraded", http.StatusServiceUnavailable)
	case id == d.poison && !again:
		d.refusal++
		d.tried[id] = true
		http.Error(w, "no customer has this account", http.StatusUnprocessableEntity)
	default:
		if d.tried[id] && !d.taken[id] && id != d.poison {
			d.delayed++
		}
		d.taken[id] = true
		d.refused = d.refused || id == d.poison && again
	}
}

func (d *demoDestination) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// happen makes the destination fail and return. Then it refuses an event, which is
// redelivered once it is a dead letter.
func (d *demoDestination) happen(ctx context.Context, s *service, after, outage time.Duration) {
	if !sleep(ctx, after) {
		return
	}
	d.set(func() { d.down = true })
	if !sleep(ctx, outage) {
		return
	}
	d.set(func() { d.down, d.wanted = false, true })
	for sleep(ctx, 200*time.Millisecond) {
		states, err := s.leading().onward.Status(ctx)
		if err != nil || len(states) == 0 || states[0].Dead == 0 {
			continue
		}
		if sleep(ctx, time.Second) {
			_, _ = s.leading().onward.Redeliver(ctx, delivery.Redelivery{Destination: demoDestinationName, Dead: true}) // the log says so
		}
		return
	}
}

// summary describes what happened at the destination.
func (d *demoDestination) summary() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	outage := "no event came meanwhile."
	if d.failed > 0 {
		outage = fmt.Sprintf("%s failed, and %s arrived later.", counted(d.failed, "attempt"), counted(d.delayed, "event"))
	}
	end := "No event became a dead letter."
	switch {
	case d.refused:
		end = "It refused one event at " + counted(d.refusal, "attempt") + "; the event became a dead letter and was redelivered."
	case d.poison != "":
		end = "It refuses one event, which waits after " + counted(d.refusal, "attempt") + "."
	}
	return fmt.Sprintf("Delivered onward to %s: %s. It was down for some seconds: %s %s", demoDestinationName, counted(len(d.taken), "event"), outage, end)
}
