package delivery

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Check connects, through the proxy if there is one, and makes the TLS handshake for
// https. It sends no request to the destination.
func (s *httpSender) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	if err := s.reach(ctx); err != nil {
		return s.failure(ctx, err)
	}
	return nil
}

func (s *httpSender) reach(ctx context.Context) error {
	via, err := s.proxied.choose(ctx, s.url)
	if err != nil {
		return err
	}
	first := s.url
	if via != nil {
		first = via
	}
	conn, err := s.dialer.DialContext(ctx, "tcp", hostPort(first))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing was written that could be lost
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a closed connection fails below
	}
	through := conn
	if via != nil {
		if through, err = s.tunnel(ctx, conn, via); err != nil {
			return fmt.Errorf("through the proxy %s: %w", via.Host, err)
		}
	}
	if s.url.Scheme != "https" {
		return nil
	}
	return s.handshake(ctx, through, s.url.Hostname())
}

// tunnel asks a proxy for a connection to the destination. Plain HTTP has no tunnel:
// there it is enough that the proxy accepts a connection.
func (s *httpSender) tunnel(ctx context.Context, conn net.Conn, via *url.URL) (net.Conn, error) {
	if via.Scheme == "https" {
		secured := tls.Client(conn, withName(s.tls, via.Hostname()))
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secured
	}
	if s.url.Scheme != "https" || via.Scheme != "http" && via.Scheme != "https" {
		return conn, nil
	}
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: hostPort(s.url)}, Host: hostPort(s.url), Header: http.Header{}}
	if user := via.User; user != nil {
		password, _ := user.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), r) // the server then waits for our TLS handshake
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close() // the answer to CONNECT has none
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", status(answer))
	}
	return conn, nil
}

// maxRefusal is how long a server may take to refuse the client certificate. In TLS 1.3
// it does so after the client has completed the handshake.
const maxRefusal = 3 * time.Second

func (s *httpSender) handshake(ctx context.Context, raw net.Conn, host string) error {
	asked := false
	c := withName(s.tls, host)
	c.NextProtos = []string{"h2", "http/1.1"} // in HTTP/2 the server speaks first, so there is no need to wait
	c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		for i := range c.Certificates {
			if r.SupportsCertificate(&c.Certificates[i]) == nil {
				return &c.Certificates[i], nil
			}
		}
		return &tls.Certificate{}, nil // none
	}
	conn := tls.Client(raw, c)
	if err := conn.HandshakeContext(ctx); err != nil || !asked {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(s.refusal)); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	if alert := (*net.OpError)(nil); errors.As(err, &alert) && alert.Op == "remote error" {
		return err
	}
	return nil // the server waits for a request, or closed the connection without refusing
}

func withName(c *tls.Config, host string) *tls.Config {
	c = c.Clone()
	c.ServerName = host
	return c
}

// hostPort returns the address of a URL, with its scheme's port if it has none.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
