package delivery

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue makes a certificate and its key in PEM, for 127.0.0.1 and inside.test.
func (a *authority) issue(t testing.TB, name string, until time.Time) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"inside.test"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// secure starts a server with a certificate of the authority. If clients is set,
// clients need one, too.
func (a *authority) secure(t testing.TB, until time.Time, clients bool, do http.HandlerFunc) *httptest.Server {
	t.Helper()
	cert, key := a.issue(t, "server", until)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(do)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = silent()
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if clients {
		server.TLS.ClientCAs = x509.NewCertPool()
		server.TLS.ClientCAs.AddCert(a.cert)
		server.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	later := time.Now().Add(time.Hour)
	cert, key := ours.issue(t, "client", later)
	foreign, foreignKey := other.issue(t, "client", later)
	// When the refusal arrives, the request may already be on its way.
	const refused = "tls: certificate required|tls: bad certificate|tls: unknown certificate authority|right after the TLS handshake|the connection was lost"
	for name, test := range map[string]struct {
		until    time.Time
		clients  bool
		settings HTTPSettings
		want     string // part of the error; "": success
	}{
		"own CA":               {later, false, HTTPSettings{CA: ours.pem}, ""},
		"two CAs":              {later, false, HTTPSettings{CA: slices.Concat(other.pem, ours.pem)}, ""},
		"system's CAs":         {later, false, HTTPSettings{}, "certificate signed by unknown authority"},
		"other CA":             {later, false, HTTPSettings{CA: other.pem}, "certificate signed by unknown authority"},
		"expired":              {time.Now().Add(-time.Hour), false, HTTPSettings{CA: ours.pem}, "certificate has expired"},
		"client certificate":   {later, true, HTTPSettings{CA: ours.pem, Cert: cert, Key: key}, ""},
		"none":                 {later, true, HTTPSettings{CA: ours.pem}, refused},
		"one of somebody else": {later, true, HTTPSettings{CA: ours.pem, Cert: foreign, Key: foreignKey}, refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			var proto atomic.Value
			server := ours.secure(t, test.until, test.clients, func(_ http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				proto.Store(r.Proto)
			})
			test.settings.URL = server.URL
			s := sender(t, test.settings)
			s.refusal = wait
			if err := s.Check(t.Context()); !agrees(err, test.want) {
				t.Errorf("check: %v", err)
			}
			if n := requests.Load(); n != 0 {
				t.Errorf("the check made %d requests", n)
			}
			r := s.Send(t.Context(), message())
			if !agrees(r.Err, test.want) || r.Answered {
				t.Errorf("got %+v", r)
			}
			if test.want == "" && (requests.Load() != 1 || proto.Load() != "HTTP/2.0") {
				t.Errorf("%d requests by %v", requests.Load(), proto.Load())
			}
		})
	}
}

// agrees reports whether an error contains one of the texts in want; "" wants no error.
func agrees(err error, want string) bool {
	if want == "" {
		return err == nil
	}
	return err != nil && slices.ContainsFunc(strings.Split(want, "|"), func(one string) bool { return strings.Contains(err.Error(), one) })
}

// TestWrongName: the certificate is for another host.
func TestWrongName(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "ours")
	server := ours.secure(t, time.Now().Add(time.Hour), false, func(http.ResponseWriter, *http.Request) {})
	s := sender(t, HTTPSettings{URL: strings.Replace(server.URL, "127.0.0.1", "other.test", 1), CA: ours.pem})
	s.dialer.Resolver = resolver(t, map[string][]string{"other.test": {"127.0.0.1"}})
	want := "certificate is valid for inside.test, not other.test"
	if r := s.Send(t.Context(), message()); !agrees(r.Err, want) {
		t.Errorf("got %+v", r)
	}
	if err := s.Check(t.Context()); !agrees(err, want) {
		t.Errorf("check: %v", err)
	}
}

// TestClearTextAndTLS sends with TLS to a server without it.
func TestClearTextAndTLS(t *testing.T) {
	t.Parallel()
	server := serve(t, func(http.ResponseWriter, *http.Request) {})
	s := sender(t, HTTPSettings{URL: strings.Replace(server.URL, "http:", "https:", 1)})
	for _, err := range []error{s.Send(t.Context(), message()).Err, s.Check(t.Context())} {
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v", err)
		}
	}
}

// TestProxy goes through a proxy from the environment. For any name, the proxy connects
// to the test's server.
func TestProxy(t *testing.T) {
	ours := newAuthority(t, "ours")
	bodies := make(chan string, 10)
	receive := func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies <- string(b)
	}
	plain, secured := serve(t, receive), ours.secure(t, time.Now().Add(time.Hour), false, receive)
	names := resolver(t, map[string][]string{"bad.test": {"10.0.0.1", "169.254.169.254"}})
	for name, test := range map[string]struct {
		url    string
		server *httptest.Server
		asked  []string // by the proxy, at the check and the attempt
		want   string
	}{
		"http": {"http://inside.test", plain, []string{"POST inside.test Basic cHJveHk6cHJveHlwYXNz"}, ""},
		"https": {"https://inside.test", secured, []string{"CONNECT inside.test:443 Basic cHJveHk6cHJveHlwYXNz",
			"CONNECT inside.test:443 Basic cHJveHk6cHJveHlwYXNz"}, ""},
		"metadata": {"http://bad.test", plain, nil, "the connection was refused: it is the address of a cloud's metadata service"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			proxy := httptest.NewUnstartedServer(nil)
			proxy.Config = forward(t, test.server.Listener.Addr().String(), &asked)
			proxy.Start()
			defer proxy.Close()
			via := strings.Replace(proxy.URL, "http://", "http://proxy:proxypass@", 1)
			t.Setenv("HTTP_PROXY", via)
			t.Setenv("HTTPS_PROXY", via)
			t.Setenv("NO_PROXY", "")
			s := sender(t, HTTPSettings{URL: test.url, CA: ours.pem})
			s.dialer.Resolver = names
			if err := s.Check(t.Context()); !agrees(err, test.want) {
				t.Errorf("check: %v", err)
			}
			if r := s.Send(t.Context(), message()); !agrees(r.Err, test.want) {
				t.Errorf("got %+v", r)
			}
			if test.want == "" {
				if got := <-bodies; got != string(message().Body) {
					t.Errorf("body %q", got)
				}
			}
			if !slices.Equal(asked, test.asked) {
				t.Errorf("the proxy was asked for %q", asked)
			}
		})
	}
}

// TestProxyThatRefuses: the error names the refusal, without the proxy's password.
func TestProxyThatRefuses(t *testing.T) {
	proxy := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusProxyAuthRequired) })
	t.Setenv("HTTPS_PROXY", strings.Replace(proxy.URL, "http://", "http://proxy:"+secretToken+"@", 1))
	t.Setenv("NO_PROXY", "")
	s := sender(t, HTTPSettings{URL: "https://inside.test"})
	s.dialer.Resolver = resolver(t, nil)
	for _, err := range []error{s.Send(t.Context(), message()).Err, s.Check(t.Context())} {
		if !agrees(err, "Proxy Authentication Required") || strings.Contains(err.Error(), secretToken) {
			t.Errorf("got %v", err)
		}
	}
}
