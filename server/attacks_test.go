package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/server"
)

// attack is what a stranger does with each of its connections.
type attack struct {
	send string // what is sent on each
	keep bool   // it stays open and the answer unread; otherwise the answer is read
}

const (
	asksHealth  = "GET /healthz HTTP/1.1\r\nHost: x\r\n"
	wrongSecret = "POST /kazoo/wrong-secret/object HTTP/1.1\r\nHost: x\r\n"
)

func attacks() map[string]attack {
	return map[string]attack{
		"silent":                   {"", true},
		"half a header":            {"POST /kazoo/x/object HTTP/1.1\r\nX-Slow: ", true},
		"idle after an answer":     {asksHealth + "\r\n", true},
		"healthz, body missing":    {asksHealth + "Content-Length: 10\r\n\r\n", true},
		"readyz, body missing":     {"GET /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", true},
		"healthz, endless chunks":  {asksHealth + "Transfer-Encoding: chunked\r\n\r\nfffff\r\naaa", true},
		"healthz, expectation":     {asksHealth + "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", true},
		"answers never read":       {strings.Repeat(asksHealth+"\r\n", 500), true},
		"wrong secret, body":       {wrongSecret + "Content-Length: 300\r\n\r\n" + strings.Repeat("a", 300), false},
		"wrong secret, half":       {wrongSecret + "Content-Length: 300\r\n\r\n" + strings.Repeat("a", 100), true},
		"wrong secret, large body": {wrongSecret + "Content-Length: 1000000\r\n\r\n" + strings.Repeat("a", 3000), true},
		"no such path, body":       {"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n" + strings.Repeat("a", 300), false},
	}
}

// crowd is the size of a trial.
type crowd struct {
	room      int // MaxConns
	senders   int // like Kazoo's, each on one connection that it keeps
	requests  int // of each sender, with a pause before each
	pause     time.Duration
	strangers int // goroutines
	held      int // connections that each of them keeps open
}

// TestNoAttackKeepsKazooOut: 100 senders on keep-alive connections lose no request and
// no connection, whatever strangers do from the same address or from another.
func TestNoAttackKeepsKazooOut(t *testing.T) {
	small := crowd{room: 160, senders: 100, requests: 6, pause: 20 * time.Millisecond, strangers: 3, held: 100}
	small.trials(t, attacks())
}

func (c crowd) trials(t *testing.T, attacks map[string]attack) {
	for name, a := range attacks {
		for from, addr := range map[string]string{"another address": "127.0.0.9", "the same address": "127.0.0.1"} {
			t.Run(name+" from "+from, func(t *testing.T) { c.trial(t, a, addr) })
		}
	}
}

func (c crowd) trial(t *testing.T, a attack, from string) {
	r, kept := receiving(t, server.Options{MaxConns: c.room})
	ctx, cancel := context.WithCancel(t.Context())
	var tries atomic.Int64
	var flood, kazoo sync.WaitGroup
	var connected sync.WaitGroup
	connected.Add(c.senders)
	var worst, lost atomic.Int64
	for s := range c.senders {
		kazoo.Go(func() {
			conn := r.dial()
			in := bufio.NewReader(conn)
			for i := range c.requests {
				begun := time.Now()
				err := deliverOn(conn, in, fmt.Sprintf("id=%d-%d", s, i))
				if took := time.Since(begun).Nanoseconds(); took > worst.Load() {
					worst.Store(took)
				}
				if err != nil {
					lost.Add(1)
					t.Logf("sender %d, request %d: %v", s, i, err)
				}
				if i == 0 {
					connected.Done()
					connected.Wait()
				}
				if err != nil {
					return
				}
				tick(ctx, c.pause)
			}
		})
	}
	connected.Wait()
	for range c.strangers {
		flood.Go(func() { tries.Add(a.flood(ctx, r.srv.Addr().String(), from, c.held)) })
	}
	kazoo.Wait()
	health := time.Now()
	// A probe is a stranger, too. On an overloaded machine its grace may be over
	// before it is answered; then it asks again.
	status := ""
	for tries := 0; status != "200 OK" && (tries < 5 || time.Since(health) < deadline); tries++ {
		status, _ = ask(t, r.dial(), asksHealth+"\r\n")
	}
	if status != "200 OK" {
		t.Errorf("healthz: %q", status)
	}
	healthTook := time.Since(health)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	begun := time.Now()
	r.stop()
	err := <-r.done
	if err != nil {
		t.Errorf("stop: %v", err)
	}
	stopped := time.Since(begun)
	cancel()
	flood.Wait()
	if n := int64(len(kept.all())); lost.Load() > 0 || n != int64(c.senders*c.requests) {
		t.Errorf("%d requests lost, %d kept of %d", lost.Load(), n, c.senders*c.requests)
	}
	t.Logf("%d tries of strangers; Kazoo's worst answer %v, healthz %v, stop %v, heap and stacks %d MiB", tries.Load(),
		time.Duration(worst.Load()).Round(time.Millisecond), healthTook.Round(time.Millisecond), stopped.Round(time.Millisecond), (m.HeapInuse+m.StackInuse)>>20)
}

// deliverOn sends one request like Kazoo and expects 200 and an open connection.
func deliverOn(conn net.Conn, in *bufio.Reader, body string) error {
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, delivery("/kazoo/"+secret+"/object", body)); err != nil {
		return err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	if res.StatusCode != http.StatusOK || res.Close {
		return fmt.Errorf("%s, closes %v", res.Status, res.Close)
	}
	return res.Body.Close()
}

// flood attacks until ctx ends and returns the number of tries.
func (a attack) flood(ctx context.Context, addr, from string, most int) (tries int64) {
	held := make([]net.Conn, 0, most)
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	for ; ctx.Err() == nil; tries++ {
		c, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			tick(ctx, time.Millisecond)
			continue
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c, a.send)
		if !a.keep {
			_, _ = bufio.NewReader(c).ReadString('\n')
			_ = c.Close()
			continue
		}
		if held = append(held, c); len(held) >= most {
			_ = held[0].Close()
			held = held[1:]
		}
	}
	return tries
}

func tick(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// TestStopWaitsForNoBody: requests whose bodies don't come, with and without the secret,
// on both listeners, don't delay a stop beyond its drain window and the time that a
// body has then.
func TestStopWaitsForNoBody(t *testing.T) {
	t.Parallel()
	r, _ := receiving(t, server.Options{Admin: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	for _, addr := range []net.Addr{r.srv.Addr(), r.srv.AdminAddr()} {
		for _, head := range []string{asksHealth, wrongSecret, "POST /kazoo/" + secret + "/object HTTP/1.1\r\nHost: x\r\n", "GET /kazoo/" + secret + "/object?a=b HTTP/1.1\r\nHost: x\r\n"} {
			for _, body := range []string{"Content-Length: 10\r\n\r\n", "Content-Length: 10\r\n\r\nab", "Content-Length: 1000000\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"} {
				_, _ = io.WriteString(dial(t, addr), head+body)
			}
		}
	}
	if status, _ := ask(t, r.dial(), asksHealth+"\r\n"); status != "200 OK" { // so the others have been accepted
		t.Fatal(status)
	}
	begun := time.Now()
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("the stop: %v", err)
	}
	t.Logf("the stop took %v", time.Since(begun))
}

// TestNoAnswerWaitsForABody: on both listeners no answer waits for a body that no handler
// reads, and the connection is closed. After a body that is read it stays open.
func TestNoAnswerWaitsForABody(t *testing.T) {
	t.Parallel()
	r, _ := receiving(t, server.Options{ReadTimeout: time.Hour, Admin: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/reads" {
			_, _ = io.Copy(io.Discard, r.Body)
		}
	})})
	for name, body := range map[string]string{
		"none of it": "Content-Length: 10\r\n\r\n", "some of it": "Content-Length: 10\r\n\r\nab", "a large one": "Content-Length: 1000000\r\n\r\nab",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n5\r\nab", "expected": "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
	} {
		for _, head := range []string{asksHealth, "GET /readyz HTTP/1.1\r\nHost: x\r\n", "HEAD /healthz HTTP/1.1\r\nHost: x\r\n", wrongSecret, "POST /x HTTP/1.1\r\nHost: x\r\n"} {
			for _, addr := range []net.Addr{r.srv.Addr(), r.srv.AdminAddr()} {
				c := dial(t, addr)
				_, _ = io.WriteString(c, head+body)
				answer, err := io.ReadAll(c) // until the server closes
				if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 ") || strings.HasPrefix(string(answer), "HTTP/1.1 100") {
					t.Fatalf("%s of %q: %v %q", name, head, err, answer)
				}
			}
		}
	}
	c := dial(t, r.srv.AdminAddr())
	for range 2 {
		if status, closes := ask(t, c, "POST /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"); status != "200 OK" || closes {
			t.Errorf("a body that is read: %q, closes %v", status, closes)
		}
	}
}
