package endurance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kazoohook/bench/chaos/trial"
)

// readers are clients of the admin listener: live streams, as of the page, that come
// and go, and queries.
type readers struct {
	admin    string // URL
	client   *http.Client
	kazoo    string // an account for queries
	queries  atomic.Int64
	opened   atomic.Int64 // streams
	streamed atomic.Int64 // events in them
	overrun  atomic.Int64 // times that retention removed events that a stream had not sent yet

	mu    sync.Mutex
	wrong []string
}

func newReaders(admin, account string) *readers {
	return &readers{admin: admin, kazoo: account, client: &http.Client{Transport: &http.Transport{IdleConnTimeout: 5 * time.Second}}}
}

// query sends one query after the other.
func (r *readers) query(ctx context.Context, pause time.Duration) {
	questions := []string{
		"/api/events?limit=100", "/api/events?limit=500&event=user.deleted", "/api/events?limit=50&event=channel.*",
		"/api/events?limit=200&account=" + r.kazoo, "/api/events?limit=20&text=jos", "/api/hooks", "/readyz", "/healthz", "/",
		"/api/events?limit=100&order=oldest", "/metrics",
	}
	for i := 0; trial.Sleep(ctx, pause); i = (i + 1) % len(questions) {
		ask, cancel := context.WithTimeout(ctx, 20*time.Second)
		if resp, err := r.get(ask, questions[i], ""); err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close() // only read from
			if err == nil {
				r.queries.Add(1)
			}
			// It may be unready right after a start; otherwise it must answer.
			if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
				r.violation("%s was answered %s", questions[i], resp.Status)
			}
		}
		cancel()
	}
}

// follow keeps a live stream open, closes it after a while and continues where it
// was. Each event must follow the previous one, also over restarts.
func (r *readers) follow(ctx context.Context, longest time.Duration) {
	for last := int64(0); trial.Sleep(ctx, 100*time.Millisecond); {
		look, cancel := context.WithTimeout(ctx, rand.N(longest)) //nolint:gosec // any will do
		last = r.stream(look, last)
		cancel()
	}
}

// stream reads events after last and returns the last one read.
func (r *readers) stream(ctx context.Context, last int64) int64 {
	id := ""
	if last > 0 {
		id = strconv.FormatInt(last, 10)
	}
	resp, err := r.get(ctx, "/api/events/stream", id)
	if err != nil {
		return last // the receiver is down
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	if resp.StatusCode != http.StatusOK {
		return last
	}
	r.opened.Add(1)
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	for name := ""; ; {
		text, err := lines.ReadString('\n')
		if err != nil {
			return last
		}
		switch key, value, _ := strings.Cut(strings.TrimSpace(text), ": "); key {
		case "event":
			name = value
		case "data":
			if name == "gap" {
				r.gap(last, value)
			}
		case "id":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || name == "" && last > 0 && n != last+1 {
				r.violation("a live stream got %q after %d", value, last)
			}
			last = n
			if name == "" {
				r.streamed.Add(1)
			}
		case "":
			name = ""
		}
	}
}

// gap judges a gap that a stream reports. Retention may overtake a reader on a busy
// machine; nothing else may make a gap.
func (r *readers) gap(last int64, data string) {
	if strings.Contains(data, "events past their retention") {
		r.overrun.Add(1)
		return
	}
	r.violation("a live stream got a gap, and is at %d: %s", last, data)
}

// stall opens a stream and doesn't read it: the receiver must end it.
func (r *readers) stall(ctx context.Context, hold time.Duration) {
	host := strings.TrimPrefix(r.admin, "http://")
	for trial.Sleep(ctx, hold/10) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", host)
		if err != nil {
			continue
		}
		if _, err = fmt.Fprintf(conn, "GET /api/events/stream HTTP/1.1\r\nHost: %s\r\n\r\n", host); err == nil {
			trial.Sleep(ctx, hold)
		}
		_ = conn.Close() // there is nothing left to send
	}
}

func (r *readers) get(ctx context.Context, path, lastEvent string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.admin+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	if lastEvent != "" {
		req.Header.Set("Last-Event-ID", lastEvent)
	}
	return r.client.Do(req)
}

func (r *readers) violation(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wrong) < mostWrong {
		r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
	}
}

func (r *readers) violations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.wrong...)
}
