package crossbar

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
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

	"github.com/rs/zerolog"
)

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"https://new.example.com/v2/webhooks?x=1": "KAZOO_API_URL redirects to https://new.example.com: set it",
		"/login": "answered with a redirect",
	} {
		hits := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			hits++
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusMovedPermanently)
		}))
		t.Cleanup(srv.Close)
		c := real(t, srv.URL, nil)
		_, err := c.Offered(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || asError(t, err).Code != CodeRedirect || hits != 1 {
			t.Errorf("%s: %v (%d requests)", to, err, hits)
		}
	}
}

// real returns a client with real sockets.
func real(t *testing.T, base string, change func(*Options)) *Client {
	t.Helper()
	o := Options{BaseURL: base, Rate: 1000, Log: zerolog.Nop()}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestRealSocket(t *testing.T) {
	t.Parallel()
	a := newAPI()
	a.authed("GET "+hooksPath, func(w http.ResponseWriter, _ *http.Request) { ok(w, []any{map[string]any{"id": "h1"}}) })
	srv := httptest.NewServer(a)
	defer srv.Close()
	// The wait for a second attempt, which is logged, ends at once.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := real(t, srv.URL, func(o *Options) {
		o.Auth, o.AccountName, o.Log = Password{User: testUser, Pass: testPass}, "acme", zerolog.New(written(cancel))
	})
	if hooks, err := c.Hooks(t.Context(), testAccount); err != nil || len(hooks) != 1 {
		t.Error(hooks, err)
	}
	if off, known := c.ClockOffset(); !known || off.Abs() > time.Minute {
		t.Errorf("offset by the Date header: %s, %t", off, known)
	}
	// A lost answer is ambiguous, a refused connection is not.
	a.HandleFunc("PUT "+hooksPath, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	if _, err := c.CreateHook(t.Context(), testAccount, ourHook()); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("error %v", err)
	}
	c.Close()
	network, _ := c.http.Transport.(*http.Transport)
	network.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:1") // another test may get the port of a closed server
	}
	if _, err := c.CreateHook(ctx, testAccount, ourHook()); err == nil || errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), "nothing listens there") {
		t.Errorf("error %v", err)
	}
}

// written calls a function when something is written.
type written func()

func (f written) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// authority makes a private CA and a certificate from it for 127.0.0.1.
func authority(t *testing.T) (caFile string, cert tls.Certificate) {
	t.Helper()
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return caFile, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	caFile, cert := authority(t)
	srv := httptest.NewUnstartedServer(offering())
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()

	if _, err := real(t, srv.URL, func(o *Options) { o.CAFile = caFile }).Offered(t.Context()); err != nil {
		t.Errorf("with the CA: %v", err)
	}
	start := time.Now()
	_, err := real(t, srv.URL, nil).Offered(t.Context())
	if err == nil || !strings.Contains(err.Error(), "KAZOO_CA_FILE") || asError(t, err).Attempts != 1 || time.Since(start) > time.Minute {
		t.Errorf("without: %v", err)
	}
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	if _, err := real(t, "https://localhost:"+port, func(o *Options) { o.CAFile = caFile }).Offered(t.Context()); err == nil || !strings.Contains(err.Error(), "is for another host") {
		t.Errorf("wrong name: %v", err)
	}
	var out bytes.Buffer
	if _, err := real(t, srv.URL, func(o *Options) { o.InsecureTLS, o.Log = true, zerolog.New(&out) }).Offered(t.Context()); err != nil {
		t.Errorf("insecure: %v", err)
	}
	if !strings.Contains(out.String(), "KAZOO_INSECURE_TLS") {
		t.Errorf("no warning: %s", out.String())
	}
	plain := httptest.NewServer(offering())
	defer plain.Close()
	if _, err := real(t, strings.Replace(plain.URL, "http:", "https:", 1), nil).Offered(t.Context()); err == nil || !strings.Contains(err.Error(), "begin with http://") {
		t.Errorf("TLS to a plain port: %v", err)
	}
}
