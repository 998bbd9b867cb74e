package server_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kazoohook/handlers"
	"kazoohook/server"
)

// dialNarrow connects so that the kernel buffers little of what the server sends: small
// segments into a small buffer. Otherwise it takes megabytes until a handler waits.
func (r *running) dialNarrow() net.Conn {
	r.t.Helper()
	narrow := func(_, _ string, raw syscall.RawConn) error {
		var segment, buffer error
		err := raw.Control(func(fd uintptr) {
			segment = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536)
			buffer = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
		})
		return errors.Join(err, segment, buffer)
	}
	c, err := (&net.Dialer{Control: narrow}).DialContext(r.t.Context(), "tcp", r.srv.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestStrangersDontKeepTheirTurns: as many strangers as there are turns make their
// handlers wait for them: they read no answers, or send half a body. Others are answered
// all the same.
func TestStrangersDontKeepTheirTurns(t *testing.T) {
	t.Parallel()
	large := make([]byte, 16<<20) // more than the kernel buffers
	for name, send := range map[string]string{
		"answers unread while the secret is unknown": strings.Repeat("GET /kazoo/a/b HTTP/1.1\r\nHost: x\r\n\r\n", 100_000),
		"large answer unread":                        "GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
		"half a body":                                "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			public := http.NewServeMux()
			public.Handle("/", handlers.Public(handlers.PublicDeps{Journal: &taken{}, Secret: secret, Waiting: true}))
			public.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(large) })
			public.HandleFunc("/body", ok)
			var begun, ended atomic.Int64
			r := start(t, server.Options{ReadTimeout: time.Hour, WriteTimeout: time.Hour,
				Public: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					begun.Add(1)
					defer ended.Add(1)
					public.ServeHTTP(w, r)
				})})
			turns := int64(2 * runtime.GOMAXPROCS(0))
			for range turns {
				c := r.dialNarrow()
				go func() { _, _ = io.WriteString(c, send) }()
			}
			// All handlers wait once none of them has begun or ended for some time.
			last, same := int64(-1), 0
			for since := time.Now(); same < 100; time.Sleep(time.Millisecond) {
				if time.Since(since) > deadline {
					t.Fatalf("%d requests of strangers have begun, %d have ended", begun.Load(), ended.Load())
				}
				n := begun.Load()
				if same++; n != last || n-ended.Load() != turns {
					last, same = n, 0
				}
			}
			for _, request := range []string{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", delivery("/kazoo/"+secret+"/object", "id=1")} {
				if status, _ := ask(t, r.dial(), request); status != "200 OK" {
					t.Errorf("meanwhile: %q to %.20q", status, request)
				}
			}
		})
	}
}
