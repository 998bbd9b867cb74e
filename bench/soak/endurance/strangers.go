package endurance

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"kazoohook/bench/chaos/trial"
)

const secret = "a-secret-of-the-soak"

// strangers are clients without the secret at the public listener, and one with the
// secret that sends requests which can't be understood.
type strangers struct {
	public string // host and port
	ledger *ledger
	sent   atomic.Int64
}

// requests are a stranger's, as bytes. The connection is closed after a while, with
// any answer, also if the request is unfinished.
func (s *strangers) requests() []string {
	host := "Host: " + s.public + "\r\n"
	return []string{
		"GET / HTTP/1.1\r\n" + host + "\r\n",
		"GET /kazoo//../admin HTTP/1.1\r\n" + host + "\r\n",
		"GET /%2e%2e%2fmetrics HTTP/1.0\r\n\r\n",
		"POST /kazoo/wrong-secret-0123456789/object HTTP/1.1\r\n" + host + "Content-Length: 12\r\n\r\nid=1&type=us",
		"POST /kazoo/wrong-secret-0123456789/object HTTP/1.1\r\n" + host + "Content-Length: 100000\r\n\r\nid=",
		"POST /kazoo/wrong HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"GET /healthz HTTP/1.1\r\n" + host + "X-Long: " + strings.Repeat("x", 200_000) + "\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHo",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"",
	}
}

// visit sends a stranger's requests, one after the other.
func (s *strangers) visit(ctx context.Context, pause time.Duration) {
	requests := s.requests()
	buf := make([]byte, 4096)
	for i := 0; trial.Sleep(ctx, pause); i = (i + 1) % len(requests) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", s.public)
		if err != nil {
			continue // the receiver is down
		}
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second)) // as on any connection
		if _, err := conn.Write([]byte(requests[i])); err == nil {
			_, _ = conn.Read(buf) // any answer will do
			s.sent.Add(1)
		}
		_ = conn.Close() // there is nothing left to send
	}
}

// babble posts requests with the right secret that can't be understood: each is kept
// as an event of its own.
func (s *strangers) babble(ctx context.Context, pause time.Duration) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for n := 0; trial.Sleep(ctx, pause); n++ {
		id := "babble-" + strconv.Itoa(n)
		req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost,
			"http://"+s.public+"/kazoo/"+secret+"/object", strings.NewReader(fmt.Sprintf("id=%s&surprise=%d", id, n)))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close() // the status says it all
		}
		s.ledger.sent(identity{hook: "object", id: id}, err == nil && resp.StatusCode == http.StatusOK)
	}
}
