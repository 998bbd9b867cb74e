package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kazoohook/bench/chaos/trial"
)

const crashSecret = "a-secret-of-the-crash-test"

// TestKilledUnderLoad kills the receiver at random moments while deliveries
// come from many connections, and starts it again: every delivery that was
// answered 200 has its log line in the end, no event_id has two contents, and
// log and journal hold the same.
func TestKilledUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	t.Parallel()
	addrs, err := trial.FreeAddrs(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	r := trial.NewReceiver("kazoohook", append(os.Environ(),
		// Nothing listens there: this is about receiving alone.
		"KAZOO_API_URL=http://127.0.0.1:1", "KAZOO_USERNAME=a", "KAZOO_PASSWORD=b", "KAZOO_ACCOUNT_NAME=c",
		"PUBLIC_URL=http://"+addrs[0], "LISTEN_ADDR="+addrs[0], "ADMIN_ADDR="+addrs[1], "DATA_DIR="+t.TempDir(),
		"HOOK_SECRET="+crashSecret, "LOG_LEVEL=info", "SHUTDOWN_TIMEOUT=5s", "GORACE=atexit_sleep_ms=0"))
	r.Pause = 10 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { r.Supervise(ctx) })
	load := &load{url: "http://" + addrs[0] + "/kazoo/" + crashSecret + "/object", answered: map[string]bool{}}
	for i := range 8 {
		wg.Go(func() { load.send(ctx, i) })
	}

	const rounds = 20
	for end := time.Now().Add(7 * time.Second); r.Starts() <= rounds && time.Now().Before(end); {
		if rand.IntN(4) > 0 { //nolint:gosec // else it may die while it starts
			load.awaitMore(ctx, time.Until(end))
		}
		time.Sleep(rand.N(150 * time.Millisecond)) //nolint:gosec // the random moment
		r.Signal(ctx, syscall.SIGKILL, 0)
	}
	load.awaitMore(ctx, 10*time.Second)
	stop()
	wg.Wait()
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

// load sends deliveries, each about another object, and now and then the last
// one again, as Kazoo does when the answer was lost.
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

// awaitMore returns when a delivery is answered that was not before: the
// receiver is there.
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

func (l *load) send(ctx context.Context, sender int) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("%016x%016x", sender, n)
		for again := true; again; again = rand.IntN(10) == 0 { //nolint:gosec // now and then
			if l.deliver(ctx, client, id) {
				l.mu.Lock()
				l.answered[id] = true
				l.mu.Unlock()
			} else {
				time.Sleep(5 * time.Millisecond) // the receiver is away
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
	_ = resp.Body.Close() // the status says it all
	return resp.StatusCode == http.StatusOK
}
