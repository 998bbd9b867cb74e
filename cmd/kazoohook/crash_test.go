package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kazoohook/bench/chaos/trial"
)

const crashSecret = "a-secret-of-the-crash-test"

// TestKilledUnderLoad kills the receiver at random moments under load and starts it
// again. In the end, every request that was answered 200 has its log line. No event_id
// has two contents, and log and journal agree.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	addrs := freeAddrs(t, 2)
	r := trial.NewReceiver("kazoohook", append(os.Environ(),
		// Nothing listens there: this test is only about receiving.
		"KAZOO_API_URL=http://127.0.0.1:1", "KAZOO_USERNAME=a", "KAZOO_PASSWORD=b", "KAZOO_ACCOUNT_NAME=c",
		"PUBLIC_URL=http://"+addrs[0], "LISTEN_ADDR="+addrs[0], "ADMIN_ADDR="+addrs[1], "DATA_DIR="+t.TempDir(),
		"HOOK_SECRET="+crashSecret, "LOG_LEVEL=info", "SHUTDOWN_TIMEOUT=20s", "GORACE=atexit_sleep_ms=0"))
	r.Pause = 10 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	loading, stopLoading := context.WithCancel(ctx)
	defer stopLoading()
	var supervisor, senders sync.WaitGroup
	supervisor.Go(func() { r.Supervise(ctx) })
	load := &load{url: "http://" + addrs[0] + "/kazoo/" + crashSecret + "/object", answered: map[string]bool{}}
	for i := range 8 {
		senders.Go(func() { load.send(loading, i) })
	}

	const rounds = 15
	begun := time.Now()
	goesOn := func() bool { // on a slow machine a life may last for seconds
		took, little := time.Since(begun), r.Starts() < 3 || load.count() < 50
		return r.Starts() <= rounds && (took < time.Minute || little && took < 4*time.Minute)
	}
	for goesOn() {
		if rand.IntN(4) > 0 { //nolint:gosec // else it may die while it starts
			load.awaitMore(ctx, time.Minute)
		}
		time.Sleep(rand.N(150 * time.Millisecond)) //nolint:gosec // the random moment
		r.Signal(ctx, syscall.SIGKILL, 0)
	}
	stopLoading()
	senders.Wait()
	load.awaitLast(t, r)
	stop()
	supervisor.Wait()
	r.Stop(context.Background())

	logged := map[string]bool{}
	for _, e := range r.Lines.Logged() {
		logged[e.ObjectID] = true
	}
	missing := 0
	for id := range load.answered {
		if !logged[id] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d deliveries that were answered 200 have no line", missing, len(load.answered))
	}
	journal, err := r.History(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range append(append(trial.Compare(journal, r.Lines.Logged()), r.Lines.Conflicts()...), r.Failures()...) {
		t.Error(v)
	}
	t.Logf("%d lives, %d deliveries answered 200, %d events", r.Starts(), len(load.answered), len(journal))
	if r.Starts() < 3 || len(load.answered) < 50 {
		t.Error("hardly anything happened")
	}
}

// load sends deliveries about different objects. Sometimes it repeats the last one, as
// Kazoo does after a lost answer.
type load struct {
	url string

	mu       sync.Mutex
	answered map[string]bool // objects whose delivery was answered 200
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.answered)
}

// awaitMore returns when a new delivery is answered: the receiver is up.
func (l *load) awaitMore(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for before := l.count(); l.count() == before && ctx.Err() == nil; {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// awaitLast sends one more request and returns when its event is logged. Lines come in
// order, so then every earlier event has its line. The receiver may have been killed
// just before, and not be up yet.
func (l *load) awaitLast(t *testing.T, r *trial.Receiver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	last := strings.Repeat("f", 32)
	for !l.deliver(ctx, http.DefaultClient, last) {
		if !trial.Sleep(ctx, 10*time.Millisecond) {
			t.Fatal("the receiver did not come back")
		}
	}
	isLast := func(e trial.Event) bool { return e.ObjectID == last }
	for !slices.ContainsFunc(slices.Collect(maps.Values(r.Lines.Logged())), isLast) {
		if !trial.Sleep(ctx, 50*time.Millisecond) {
			t.Fatal("the last event is not logged")
		}
	}
}

func (l *load) send(ctx context.Context, sender int) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("%016x%016x", sender, n)
		for again := true; again; again = rand.IntN(10) == 0 { //nolint:gosec // now and then
			if l.deliver(ctx, client, id) {
				l.mu.Lock()
				l.answered[id] = true
				l.mu.Unlock()
			} else {
				time.Sleep(5 * time.Millisecond) // the receiver is down
			}
		}
	}
}

func (l *load) deliver(ctx context.Context, client *http.Client, id string) bool {
	body := "id=" + id + "&account_id=c0ffee00aa11bb22cc33dd44ee55ff66&action=doc_deleted&type=user&cluster_id=a1b2"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, strings.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Hook-ID", "5f1c0de05f1c0de05f1c0de05f1c0de0")
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // only the status matters
	return resp.StatusCode == http.StatusOK
}

// TestKilledAmidLines kills the process several times while it prints. Every event has
// its line, and each time at most the last batch of lines is repeated.
func TestKilledAmidLines(t *testing.T) {
	t.Parallel()
	const rounds, events, few = 4, 120, 16
	p := newProcess(t)
	log, err := os.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	counts := map[string]int{}
	printed := func(events int) {
		t.Helper()
		p.until(fmt.Sprint(events, " events are logged"), func() bool {
			text, err := os.ReadFile(log.Name())
			if err != nil {
				t.Fatal(err)
			}
			clear(counts)
			for line := range strings.Lines(string(text)) {
				var l struct {
					Event    string `json:"event"`
					ObjectID string `json:"object_id"`
				}
				if json.Unmarshal([]byte(line), &l) == nil && l.Event == "user.deleted" {
					counts[l.ObjectID]++
				}
			}
			return len(counts) >= events
		})
	}
	for round := range rounds {
		p.start(log, execServe)
		last := (round+1)*events - few
		p.deliver(round*events, last)
		printed(last)
		p.deliver(last, last+1)
		printed(last + 1) // a batch of its own, which comes after those before have been noted
		p.deliver(last+1, last+few)
		p.kill()
		if _, err := log.WriteString("\n"); err != nil { // the last line may be cut
			t.Fatal(err)
		}
	}
	p.start(log, execServe)
	printed(rounds * events)
	p.stop()
	again := 0
	for _, n := range counts {
		again += n - 1
	}
	t.Logf("%d lines came again", again)
	if again > rounds*few { // all that can be in the last batch
		t.Errorf("%d lines came again", again)
	}
}
