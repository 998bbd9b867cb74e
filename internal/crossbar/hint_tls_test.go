package crossbar

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned makes a certificate that is its own CA.
func selfSigned(t *testing.T, leaf x509.Certificate, rsaKey bool) (caFile string, cert tls.Certificate) {
	t.Helper()
	var key interface {
		Public() any
	}
	if rsaKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		key = public{k, &k.PublicKey}
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key = public{k, &k.PublicKey}
	}
	leaf.SerialNumber, leaf.IsCA, leaf.BasicConstraintsValid = big.NewInt(1), true, true
	if leaf.NotAfter.IsZero() {
		leaf.NotAfter = time.Now().Add(time.Hour)
	}
	leaf.NotBefore = leaf.NotAfter.Add(-2 * time.Hour)
	p, _ := key.(public)
	der, err := x509.CreateCertificate(rand.Reader, &leaf, &leaf, p.pub, p.private)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return caFile, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: p.private}
}

type public struct{ private, pub any }

func (p public) Public() any { return p.pub }

// Each TLS problem of a server has a hint of its own, and the request is not
// tried again.
func TestTLSHints(t *testing.T) {
	t.Parallel()
	here := []net.IP{net.IPv4(127, 0, 0, 1)}
	for name, tc := range map[string]struct {
		leaf   x509.Certificate
		rsaKey bool
		server *tls.Config
		want   string
	}{
		"fine":              {leaf: x509.Certificate{IPAddresses: here}, server: &tls.Config{}},
		"TLS 1.1 only":      {leaf: x509.Certificate{IPAddresses: here}, server: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, want: "no TLS newer than 1.1"},                                              //nolint:gosec // the server that is complained about
		"RSA key exchange":  {leaf: x509.Certificate{IPAddresses: here}, rsaKey: true, server: &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, want: "RSA key exchange only"}, //nolint:gosec // the server that is complained about
		"no SAN":            {leaf: x509.Certificate{Subject: pkix.Name{CommonName: "127.0.0.1"}}, server: &tls.Config{}, want: "issue one with a subjectAltName"},
		"another host":      {leaf: x509.Certificate{DNSNames: []string{"kazoo.example.com"}}, server: &tls.Config{}, want: "is for another host"},
		"expired":           {leaf: x509.Certificate{IPAddresses: here, NotAfter: time.Now().Add(-time.Hour)}, server: &tls.Config{}, want: "has expired"},
		"unknown authority": {leaf: x509.Certificate{IPAddresses: here}, server: nil, want: "KAZOO_CA_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caFile, cert := selfSigned(t, tc.leaf, tc.rsaKey)
			srv := httptest.NewUnstartedServer(offering())
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			if tc.server == nil {
				tc.server, caFile = &tls.Config{}, ""
			}
			srv.TLS = tc.server
			srv.TLS.Certificates = []tls.Certificate{cert}
			srv.StartTLS()
			defer srv.Close()
			_, err := real(t, srv.URL, func(o *Options) { o.CAFile = caFile }).Offered(t.Context())
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || asError(t, err).Attempts != 1 {
				t.Errorf("%v\nwant %q", err, tc.want)
			}
		})
	}
}

// Plain HTTP to a port for TLS, as several servers answer it.
func TestPlainHTTPToATLSPort(t *testing.T) {
	t.Parallel()
	_, cert := selfSigned(t, x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, false)
	golang := httptest.NewUnstartedServer(offering())
	golang.Config.ErrorLog = log.New(io.Discard, "", 0)
	golang.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	golang.StartTLS()
	defer golang.Close()
	page := func(body string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			// A handshake that fails sends an alert, as other TLS libraries do.
			_, _ = conn.Read(make([]byte, 1))
			raw, _ := conn.(*tls.Conn)
			_, _ = raw.NetConn().Write([]byte("\x15\x03\x01\x00\x02\x02\x46"))
			_ = raw.NetConn().Close()
		}
	}()
	for name, base := range map[string]string{
		"Go":     strings.Replace(golang.URL, "https:", "http:", 1),
		"nginx":  page("<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"),
		"Apache": page("<html><title>400 Bad Request</title><p>Reason: You're speaking plain HTTP to an SSL-enabled server port.</p></html>"),
		"alert":  "http://" + ln.Addr().String(),
	} {
		ctx, cancel := timeout(t, 5*time.Second)
		_, err := real(t, base, nil).Offered(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "should begin with https://") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHintOfARefusedLogin(t *testing.T) {
	t.Parallel()
	a := http.NewServeMux()
	a.HandleFunc("PUT /v2/user_auth", func(w http.ResponseWriter, _ *http.Request) { fail(w, 401, "invalid_credentials", nil) })
	c, _ := inMemory(t, a)
	_, err := c.Login(t.Context())
	for _, what := range []string{"KAZOO_USERNAME", "KAZOO_PASSWORD", "KAZOO_CREDENTIALS", "KAZOO_HASH", "KAZOO_ACCOUNT_NAME", "KAZOO_ACCOUNT_REALM"} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("no %s in %v", what, err)
		}
	}
}
