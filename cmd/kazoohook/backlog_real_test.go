//go:build real

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kazoohook/handlers"
)

// deliverMany is deliver over several connections at once.
func (p *process) deliverMany(from, to int) {
	p.t.Helper()
	var group sync.WaitGroup
	const parts = 8
	for part := range parts {
		group.Go(func() {
			for i := from + part; i < to; i += parts {
				body := fmt.Sprintf("id=%032x&account_id=%032x&action=doc_deleted&type=user&cluster_id=c", i, 1)
				if got := p.send(http.MethodPost, p.public+"/kazoo/"+processSecret+"/object", body); got != http.StatusOK {
					p.t.Errorf("delivery %d was answered %d", i, got)
					return
				}
			}
		})
	}
	group.Wait()
}

// TestLargeBacklog: more events wait than a destination reads ahead, with more bytes
// than the journal may have. The receiver is killed twice. Each event arrives, and
// recorded deliveries aren't repeated.
func TestLargeBacklog(t *testing.T) {
	t.Parallel()
	r := newRecipient(t)
	const events = 12_000
	p, _ := onwardProcess(t, "destinations: {d: {type: http, url: 'http://"+r.addr+"', secret: "+onwardKey+", retry: "+patiently+", order: none, concurrency: 16}}")
	p.environ = append(p.environ, "JOURNAL_MAX_BYTES=2MiB", "JOURNAL_RETENTION=1h")
	p.start(io.Discard, execServe)
	r.down()
	p.deliverMany(0, events/2)
	p.kill()
	p.start(io.Discard, execServe)
	p.deliverMany(events/2, events)
	p.until("all wait", func() bool { return p.destination("d").Waiting == events })
	p.command(0, "destinations", "--pause", "d")
	r.up()
	p.command(0, "destinations", "--resume", "d")
	p.until("some have arrived", func() bool { return r.got() > 1000 })
	p.kill()
	p.start(io.Discard, execServe)
	for got := 0; got < events; { // as long as more arrive, however slowly
		p.until("more have arrived", func() bool { return r.got() > got })
		got = r.got()
	}
	p.settled("d")
	if d := p.destination("d"); d.State != "ok" || d.Dead != 0 {
		t.Errorf("%+v", d)
	}
	r.mu.Lock()
	again := 0
	for _, n := range r.taken {
		again += n - 1
	}
	r.mu.Unlock()
	if again > 1000 { // attempts that were running, or were not recorded yet
		t.Errorf("%d came again after a kill", again)
	}
	p.stop()
}

// TestBacklogIsCut: beyond BACKLOG_MAX the oldest events become dead letters without a
// body. All outputs say so, and the other events arrive.
func TestBacklogIsCut(t *testing.T) {
	t.Parallel()
	r := newRecipient(t)
	p, _ := onwardProcess(t, "destinations: {d: {type: http, url: 'http://"+r.addr+"', secret: "+onwardKey+", retry: "+patiently+"}}")
	p.environ = append(p.environ, "JOURNAL_RETENTION=1s", "BACKLOG_MAX=100KiB,1d")
	var log logLines
	p.start(&log, execServe)
	r.down()
	const events = 500
	p.deliverMany(0, events)
	p.until("some are given up", func() bool { return p.destination("d").Dead > 0 })
	p.until("the log says so", func() bool { return strings.Contains(log.String(), "dead letters without a body") })
	if !strings.Contains(log.String(), `"level":"error"`) {
		t.Error("it is no error")
	}
	p.command(0, "destinations", "--pause", "d")
	type letter struct {
		Seq       int64
		LastError string `json:"last_error"`
	}
	var dead []letter
	given := func() int64 { // a minute later there may be more
		var d handlers.Destination
		p.until("every event waits or is given up, and is listed then", func() bool {
			d, dead = p.destination("d"), nil
			stdout, _ := p.command(0, "dead", "--format", "json")
			if err := json.Unmarshal([]byte(stdout), &dead); err != nil {
				t.Fatalf("%v: %s", err, stdout)
			}
			return d.Dead+d.Waiting == events && int64(len(dead)) == d.Dead
		})
		if d.Waiting == 0 {
			t.Fatalf("%+v", d)
		}
		return d.Dead
	}
	given()
	for i := range dead {
		if dead[i].Seq != dead[0].Seq+int64(i) || !strings.Contains(dead[i].LastError, "BACKLOG_MAX") {
			t.Errorf("not the oldest: %+v", dead[i])
		}
	}
	if table, _ := p.command(0, "dead"); !strings.Contains(table, "BACKLOG_MAX") {
		t.Error(table)
	}
	stdout, _ := p.command(0, "redeliver", "--destination", "d", "--dead", "--dry-run")
	if !strings.Contains(stdout, "no longer kept") {
		t.Error(stdout)
	}
	p.until("they are counted", func() bool {
		_, metrics := p.read(p.admin + "/metrics")
		return strings.Contains(metrics, fmt.Sprintf("kazoohook_destinations_given_up_events_total %d\n", given()))
	})
	r.up()
	p.command(0, "destinations", "--resume", "d")
	p.settled("d")
	d := p.destination("d")
	if d.Dead+int64(r.got()) != events {
		t.Errorf("%d have arrived: %+v", r.got(), d)
	}
	stdout, _ = p.command(0, "dead", "--discard", "--destination", "d")
	if !strings.Contains(stdout, fmt.Sprintf("%d dead letters discarded", d.Dead)) {
		t.Error(stdout)
	}
	p.stop()
}

// TestRetryAfter: the header can lengthen a wait, in seconds or as a date, but not
// shorten it.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		retry string
		after func() string
		least time.Duration
	}{
		"seconds": {"100ms", func() string { return "4" }, 4 * time.Second},
		"date":    {"100ms", func() string { return time.Now().Add(5 * time.Second).UTC().Format(http.TimeFormat) }, 4 * time.Second}, // whole seconds
		"shorter": {"3s", func() string { return "1" }, 3 * time.Second},
		"nothing": {"100ms", func() string { return "soon" }, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var at []time.Time
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if at = append(at, time.Now()); len(at) == 1 {
					w.Header().Set("Retry-After", tt.after())
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			}))
			t.Cleanup(server.Close)
			p, _ := onwardProcess(t, "destinations: {d: {type: http, url: '"+server.URL+"', retry: ["+tt.retry+", 1h]}}")
			p.start(io.Discard, execServe)
			p.deliver(0, 1)
			p.until("it came again", func() bool { mu.Lock(); defer mu.Unlock(); return len(at) == 2 })
			if wait := at[1].Sub(at[0]); wait < tt.least-time.Millisecond {
				t.Errorf("came again after %v, not %v", wait, tt.least)
			}
			p.stop()
		})
	}
}
