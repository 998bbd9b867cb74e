package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/server"
	"kazoohook/server/acmetest"
)

const acmeName = "hooks.example.com"

// acmeRun is a server with certificates from a CA.
type acmeRun struct {
	*running
	acme *server.ACME
	ca   *acmetest.CA
	log  *logBuffer
	dir  string
}

// withACME starts a server with certificates from ca, which reaches it at addr and
// httpAddr.
func withACME(t *testing.T, dir string, ca *acmetest.CA, addr, httpAddr string) *acmeRun {
	t.Helper()
	pem, err := os.ReadFile(ca.RootsFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	a := &acmeRun{ca: ca, log: &logBuffer{}, dir: dir}
	a.acme = server.NewACME(server.ACMEOptions{
		Domains: []string{acmeName}, Email: "ops@example.com", CA: ca.URL, Roots: roots, HTTPAddr: httpAddr, Dir: dir, Log: zerolog.New(a.log),
		Retry: 50 * time.Millisecond, Check: 50 * time.Millisecond,
	})
	a.running = startAt(t, addr, server.Options{Public: http.HandlerFunc(ok), TLS: a.acme.TLSConfig()})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.acme.Run(ctx, a.srv.Addr()) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return a
}

// leaf returns the certificate that the server shows for a name.
func (a *acmeRun) leaf(name string) *x509.Certificate {
	a.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{ServerName: name, InsecureSkipVerify: true}}, Timeout: deadline} //nolint:gosec // what is shown is the point
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, "https://"+a.srv.Addr().String()+"/", strings.NewReader("a=1"))
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		a.t.Fatalf("%v\n%s", err, a.log)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		a.t.Errorf("%s", resp.Status)
	}
	return resp.TLS.PeerCertificates[0]
}

// fromCA reports whether a certificate is the CA's.
func (a *acmeRun) fromCA(c *x509.Certificate) bool {
	return strings.HasPrefix(c.Issuer.CommonName, "Pebble")
}

func (a *acmeRun) until(what string, ok func() bool) {
	a.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatalf("in vain: %s\n%s", what, a.log)
		}
	}
}

// TestACMEAnswersNothingElse: a request that is no challenge is 404, not redirected.
func TestACMEAnswersNothingElse(t *testing.T) {
	addr, httpAddr := acmetest.FreeAddr(t), acmetest.FreeAddr(t)
	ca := acmetest.Start(t, acmetest.Options{TLSPort: acmetest.Port(t, addr)})
	a := withACME(t, t.TempDir(), ca, addr, httpAddr)
	a.until("there is a certificate", func() bool { return a.fromCA(a.leaf(acmeName)) })
	for _, path := range []string{"/", "/kazoo/x/object", "/.well-known/acme-challenge/unknown", "/.well-known/acme-challenge/../x"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+httpAddr+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if _ = resp.Body.Close(); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// TestACMEWithoutHTTP: if the address for HTTP-01 is in use, only HTTP-01 fails.
func TestACMEWithoutHTTP(t *testing.T) {
	addr := acmetest.FreeAddr(t)
	ca := acmetest.Start(t, acmetest.Options{TLSPort: acmetest.Port(t, addr)})
	taken := start(t, server.Options{Public: http.HandlerFunc(ok)})
	a := withACME(t, t.TempDir(), ca, addr, taken.srv.Addr().String())
	a.until("there is a certificate", func() bool { return a.fromCA(a.leaf(acmeName)) })
	if !strings.Contains(a.log.String(), "HTTP-01 can't be answered (ACME_HTTP_ADDR)") {
		t.Errorf("%s", a.log)
	}
}
