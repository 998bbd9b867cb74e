package server_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/server"
)

// keyPair writes a fresh certificate for a name into files.
func keyPair(t *testing.T, dir, name string, key crypto.Signer) (certFile, keyFile string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecdsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// shown returns the name in the certificate that an address shows, and the status of
// a request.
func shown(t *testing.T, addr net.Addr, c *tls.Config) (name string, status int, err error) {
	t.Helper()
	c.InsecureSkipVerify = true
	client := http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}, Timeout: time.Minute}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+addr.String()+"/kazoo/"+secret+"/object", strings.NewReader("id=1"))
	if err != nil {
		return "", 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.TLS.PeerCertificates[0].DNSNames[0], resp.StatusCode, nil
}

// TestTLSOfOldErlang: the server accepts what the Erlang releases of Kazoo 4 offer, but
// no broken protocol or cipher.
func TestTLSOfOldErlang(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key    func(*testing.T) crypto.Signer
		client *tls.Config
		want   bool
	}{
		"no elliptic curves":  {rsaKey, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}, true},              //nolint:gosec // what is offered is the point
		"RSA, GCM":            {rsaKey, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_256_GCM_SHA384}}, true},           //nolint:gosec // what is offered is the point
		"CBC":                 {rsaKey, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}}, true},        //nolint:gosec // what is offered is the point
		"ECDSA":               {ecdsaKey, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, true}, //nolint:gosec // what is offered is the point
		"TLS 1.3":             {ecdsaKey, &tls.Config{MinVersion: tls.VersionTLS13}, true},
		"TLS 1.1":             {rsaKey, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}, false},                              //nolint:gosec // what is offered is the point
		"RC4":                 {rsaKey, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}}, false},      //nolint:gosec // what is offered is the point
		"three times DES":     {rsaKey, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}}, false}, //nolint:gosec // what is offered is the point
		"HTTP/2 is not taken": {ecdsaKey, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert, key := keyPair(t, t.TempDir(), "hooks.example.com", c.key(t))
			pair, err := server.LoadKeyPair(cert, key, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			r, kept := receiving(t, server.Options{TLS: pair.TLSConfig()})
			_, status, err := shown(t, r.srv.Addr(), c.client)
			if (err == nil) != c.want || c.want && (status != http.StatusOK || len(kept.all()) != 1) {
				t.Errorf("%d, %v", status, err)
			}
		})
	}
}

// TestCertificateIsReplaced: a certificate is replaced while requests come. A good pair
// takes effect at once on request, half of a pair never.
func TestCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := keyPair(t, dir, "one.example.com", ecdsaKey(t))
	log := &logBuffer{}
	pair, err := server.LoadKeyPair(cert, key, zerolog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := receiving(t, server.Options{TLS: pair.TLSConfig()})
	expect := func(want string) {
		t.Helper()
		if got, status, err := shown(t, r.srv.Addr(), &tls.Config{}); err != nil || got != want || status != http.StatusOK {
			t.Errorf("%q, %d, %v; want %q", got, status, err, want)
		}
	}
	expect("one.example.com")
	other := t.TempDir()
	keyPair(t, other, "two.example.com", ecdsaKey(t))
	for _, step := range []struct{ file, shown, logged string }{
		{"cert.pem", "one.example.com", "the previous one stays in use"},
		{"key.pem", "two.example.com", "certificate read again"},
	} {
		content, err := os.ReadFile(filepath.Join(other, step.file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, step.file), content, 0o600) //nolint:gosec // the test's own files
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := pair.Reload(); (err != nil) != (step.shown == "one.example.com") {
			t.Errorf("after %s: %v", step.file, err)
		}
		expect(step.shown)
		if n := strings.Count(log.String(), step.logged); n != 1 {
			t.Errorf("after %s: %s", step.file, log.String())
		}
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is reported once
		if err := pair.Reload(); err == nil {
			t.Error("a certificate that is missing is no error")
		}
	}
	expect("two.example.com")
	if n := strings.Count(log.String(), "no such file"); n != 1 {
		t.Errorf("%s", log.String())
	}
	if _, err := server.LoadKeyPair(cert, key, zerolog.Nop()); err == nil {
		t.Error("no error at the start")
	}
}

// TestStopWithTLS: the limits of connections and of the stop also hold with TLS.
func TestStopWithTLS(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t, t.TempDir(), "a.example.com", ecdsaKey(t))
	pair, err := server.LoadKeyPair(cert, key, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	r, kept := receiving(t, server.Options{TLS: pair.TLSConfig(), MaxConns: 5})
	for range 20 { // strangers: some complete the handshake, some don't
		_, _ = io.WriteString(r.dial(), "\x16\x03\x01")
	}
	if _, status, err := shown(t, r.srv.Addr(), &tls.Config{}); err != nil || status != http.StatusOK || len(kept.all()) != 1 {
		t.Errorf("%d, %v", status, err)
	}
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(context.WithoutCancel(t.Context()), "tcp", r.srv.Addr().String()) //nolint:gosec // nobody else is there
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, wrongSecret+"Content-Length: 10\r\n\r\nab")
	if answer, err := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 404") {
		t.Errorf("%q, %v", answer, err)
	}
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("the stop: %v", err)
	}
}
