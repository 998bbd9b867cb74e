//go:build real

package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"kazoohook/bench/chaos/trial"
)

// cantBuffer takes away the directory in which nginx stores a large body: like a full
// disk, nginx answers 500 by itself to that.
func (p *proxy) cantBuffer(path, body string) {
	p.t.Helper()
	if err := os.Rename(p.path("body"), p.path("away")); err != nil {
		p.t.Fatal(err)
	}
	if got := p.ask(http.MethodPost, path, body+"&x="+strings.Repeat("x", 900<<10)); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "10" {
		p.t.Errorf("no room for a body: %d %v %s", got.status, got.header, got.body)
	}
	if err := os.Rename(p.path("away"), p.path("body")); err != nil {
		p.t.Fatal(err)
	}
}

// hangsUp listens instead of the receiver and closes each connection during a request:
// a proxy answers 502 to that.
func (p *proxy) hangsUp(path, body string) {
	p.t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(p.t.Context(), "tcp", strings.TrimPrefix(p.receive.public, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 100)) // then nothing
			_ = c.Close()
		}
	}()
	if got := p.ask(http.MethodPost, path, body); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "10" {
		p.t.Errorf("the receiver hangs up: %d %v %s", got.status, got.header, got.body)
	}
	if err := ln.Close(); err != nil {
		p.t.Error(err)
	}
	trial.Closed(p.t.Context(), ln.Addr().String())
}

// malformed sends malformed requests with the secret in them.
func (p *proxy) malformed(path string) {
	p.t.Helper()
	const host = "Host: hooks.example.com\r\n"
	var cuts sync.WaitGroup
	for _, text := range []string{
		"POST " + path + " HTTP/1.1\r\n\r\n",
		"POST " + path + " HTTP/9.9\r\n" + host + "\r\n",
		"POST " + path + "\r\n\r\n",
		"POST " + path + " x HTTP/1.1\r\n" + host + "\r\n",
		"POST " + path + "/%zz HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"POST " + path + "/%00 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"POST " + path + "/../../.. HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"POST " + path + "/../../../../.. HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"POST /" + path + " HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"POST " + path + " HTTP/1.1\r\n" + host + "Content-Length: abc\r\n\r\n",
		"POST " + path + " HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"POST " + path + " HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST " + path + " HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\nabc",
		"POST " + path + " HTTP/1.1\r\n" + host + "Bad Header: x\r\n\r\n",
		"POST " + path + " HTTP/1.1\r\n" + host + "NoColon\r\n\r\n",
		"POST " + path + " HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n",
		"POST " + path + " HTTP/1.1\r\n" + host + host + "\r\n",
		"POST " + path + " HTTP/1.1\r\nHost: other.example.com\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"POST " + path + " HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"POST " + path + "/" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\n" + host + "\r\n",
		"POST " + path + " HTTP/1.1\r\n" + host + "Content-Length: 3000000\r\n\r\n",
		"POST " + path + " HTTP/1.1\r\n" + host + "Expect: the-unexpected\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"POST https://hooks.example.com" + path + " HTTP/1.1\r\n" + host + "Connection: close\r\nContent-Length: 0\r\n\r\n",
		"CONNECT " + path + " HTTP/1.1\r\n" + host + "\r\n",
		"BREW " + path + " HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"\x00\x01" + path + "\r\n\r\n",
	} {
		cuts.Go(func() { p.cut(text) })
	}
	cuts.Wait()
	// Without TLS, to the TLS port.
	var d net.Dialer
	if c, err := d.DialContext(p.t.Context(), "tcp", p.addr); err == nil {
		_, _ = io.WriteString(c, "POST "+path+" HTTP/1.1\r\n"+host+"\r\n")
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.ReadAll(c)
		_ = c.Close()
	}
}

// cut sends bytes, closes its side, and waits a moment for an answer.
func (p *proxy) cut(text string) {
	c, err := p.dial()
	if err != nil {
		p.t.Error(err)
		return
	}
	defer func() { _ = c.Close() }() // nothing more is sent
	_, _ = io.WriteString(c, text)
	if t, ok := c.(*tls.Conn); ok {
		_ = t.CloseWrite()
	}
	_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	answer, _ := io.ReadAll(c)
	if strings.HasPrefix(string(answer), "HTTP/1.1 3") {
		p.t.Errorf("%.100q is redirected: %.200s", text, answer)
	}
}

// secretNowhere looks through everything that the proxy wrote.
func (p *proxy) secretNowhere() {
	p.t.Helper()
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // the test's own directory
		if err != nil {
			return err
		}
		if i := bytes.Index(text, []byte(processSecret)); i >= 0 {
			p.t.Errorf("%s holds the secret: %s", filepath.Base(path), text[max(0, i-300):min(len(text), i+100)])
		}
		return nil
	})
	if err != nil {
		p.t.Error(err)
	}
}
