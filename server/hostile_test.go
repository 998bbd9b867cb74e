package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/handlers"
	"kazoohook/internal/event"
	"kazoohook/server"
)

const secret = "hostile-input-test-secret"

// taken is a journal that only counts.
type taken struct {
	mu     sync.Mutex
	bodies []string
}

func (j *taken) Append(_ context.Context, r event.Record) (event.Appended, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.bodies = append(j.bodies, string(r.Body))
	return event.Appended{Seq: int64(len(j.bodies)), ID: "x"}, nil
}

func (j *taken) Acknowledged(event.Record, event.Appended, bool) {}
func (j *taken) Refused(event.Record, event.Appended)            {}

func (j *taken) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.bodies...)
}

// receiving starts the real public side: this server with the real handlers.
func receiving(t *testing.T, o server.Options) (*running, *taken) {
	t.Helper()
	j := &taken{}
	var draining atomic.Bool
	o.Public = handlers.Public(handlers.PublicDeps{Journal: j, Secret: secret, Common: handlers.Common{Draining: draining.Load}})
	o.Drain = func() { draining.Store(true) }
	return start(t, o), j
}

func delivery(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, len(body), body)
}

// TestSlowBodyOfKazoo: a request whose body does not arrive in time is answered so that
// Kazoo resends it.
func TestSlowBodyOfKazoo(t *testing.T) {
	t.Parallel()
	r, j := receiving(t, server.Options{ReadTimeout: time.Second})
	c := r.dial()
	_, _ = io.WriteString(c, "POST /kazoo/"+secret+"/object HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nid=5")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 503 || res.Header.Get("Retry-After") != "2" || !res.Close || len(j.all()) != 0 {
		t.Errorf("%d %v %v", res.StatusCode, res.Header, j.all())
	}
}

// TestStrangersBodyIsNotAwaited: a request without the secret is answered before its
// body comes.
func TestStrangersBodyIsNotAwaited(t *testing.T) {
	t.Parallel()
	r, _ := receiving(t, server.Options{})
	c := r.dial()
	_, _ = io.WriteString(c, "POST /kazoo/wrong/object HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nid=5")
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 404 ") {
		t.Errorf("%v %q", err, b)
	}
}

// TestFloodDoesNotStarveKazoo: strangers hold far more connections than the limit, and
// every request from another address is taken at once.
func TestFloodDoesNotStarveKazoo(t *testing.T) {
	t.Parallel()
	const deliveries = 50
	r, j := receiving(t, server.Options{MaxConns: 30})
	ctx, cancel := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	for i := range 4 {
		flood.Go(func() {
			var held []net.Conn
			defer func() {
				for _, c := range held {
					_ = c.Close()
				}
			}()
			for ctx.Err() == nil {
				c, err := dialMaybe(t, r.srv.Addr().String())
				if err != nil {
					continue
				}
				if held = append(held, c); len(held) > 100 {
					_ = held[0].Close()
					held = held[1:]
				}
				switch i {
				case 0: // silent
				case 1:
					_, _ = io.WriteString(c, "GET /kazoo/x/object HTTP/1.1\r\nX-Slow: ")
				default:
					_, _ = ask(t, c, delivery("/kazoo/wrong/object", "a=b"))
				}
			}
		})
	}
	answered := 0
	kazoo := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for i := range deliveries {
		c, err := kazoo.DialContext(t.Context(), "tcp", r.srv.Addr().String())
		if err != nil {
			t.Error(err)
			break
		}
		_ = c.SetDeadline(time.Now().Add(deadline))
		if status, _ := ask(t, c, delivery("/kazoo/"+secret+"/object", fmt.Sprintf("id=%d", i))); status == "200 OK" {
			answered++
		}
		_ = c.Close()
	}
	cancel()
	flood.Wait()
	if answered != deliveries || len(j.all()) != deliveries {
		t.Errorf("%d of %d answered, %d taken", answered, deliveries, len(j.all()))
	}
}

// TestDeliveriesAcrossAStop: every request is taken and answered 200, or answered so that
// it is resent, or it never reached a handler.
func TestDeliveriesAcrossAStop(t *testing.T) {
	t.Parallel()
	r, j := receiving(t, server.Options{DrainWindow: 2 * time.Second})
	var ok, later atomic.Int64
	var senders sync.WaitGroup
	for s := range 8 {
		senders.Go(func() {
			for i := 0; ; i++ {
				if i == 20 && s == 0 {
					r.stop()
				}
				c, err := dialMaybe(t, r.srv.Addr().String())
				if err != nil {
					return // stopped
				}
				_, _ = io.WriteString(c, delivery("/kazoo/"+secret+"/object", fmt.Sprintf("id=%d-%d", s, i)))
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					_ = c.Close()
					continue
				}
				_ = res.Body.Close()
				_ = c.Close()
				switch {
				case res.StatusCode == 200:
					ok.Add(1)
				case res.StatusCode == 503 && res.Header.Get("Retry-After") == "5" && res.Close:
					later.Add(1)
				default:
					t.Errorf("%s %v", res.Status, res.Header)
				}
			}
		})
	}
	senders.Wait()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	if n := int64(len(j.all())); n < ok.Load() || later.Load() == 0 {
		t.Errorf("%d taken, %d answered 200, %d asked to resend", n, ok.Load(), later.Load())
	}
}
