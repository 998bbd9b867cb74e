package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/fakekazoo"
)

// authority is a CA for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}}
	a.cert = parse(t, a, a.cert, key)
	return a
}

func parse(t *testing.T, a authority, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// certify makes a server certificate for an IP address and a span of time.
func (a authority) certify(t *testing.T, ip string, from, to time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, a, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.ParseIP(ip)},
		NotBefore: from, NotAfter: to, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func TestDoctorTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	put(t, caFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})))
	now, day := time.Now(), 24*time.Hour
	p := newPatient(t, fakekazoo.Options{})
	for name, c := range map[string]struct {
		cert   tls.Certificate
		caFile string
		want   string
	}{
		"verified":   {ca.certify(t, "127.0.0.1", now.Add(-day), now.Add(40*day)), caFile, "ok 39 days left"},
		"ends soon":  {ca.certify(t, "127.0.0.1", now.Add(-day), now.Add(13*day)), caFile, "warn ends in 12 days"},
		"expired":    {ca.certify(t, "127.0.0.1", now.Add(-2*day), now.Add(-day)), caFile, "fail renew it"},
		"other host": {ca.certify(t, "192.0.2.1", now.Add(-day), now.Add(40*day)), caFile, "fail is not for 127.0.0.1"},
		"unknown ca": {ca.certify(t, "127.0.0.1", now.Add(-day), now.Add(40*day)), "", "fail leads to no known CA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{c.cert}, MinVersion: tls.VersionTLS12}
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.StartTLS()
			t.Cleanup(srv.Close)
			want(t, map[string][]finding{"tls": p.checkTLSOf(t, srv.URL, c.caFile)}, map[string][]string{"tls": {c.want}})
		})
	}
	for name, c := range map[string]struct{ url, want string }{
		"no TLS":       {strings.Replace(p.env["PUBLIC_URL"], "http:", "https:", 1), "fail does not speak TLS"},
		"not there":    {"https://" + closed, "skip connection refused"},
		"loopback":     {"http://localhost:1", "ok within this machine"},
		"not verified": {"http://192.0.2.1:1", "warn plain http"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, map[string][]finding{"tls": p.checkTLSOf(t, c.url, "")}, map[string][]string{"tls": {c.want}})
		})
	}
}

// checkTLSOf runs the TLS check with the given PUBLIC_URL and KAZOO_CA_FILE.
func (p *patient) checkTLSOf(t *testing.T, url, caFile string) []finding {
	t.Helper()
	d := doctorWith(t, p.world(io.Discard, io.Discard).environ, "PUBLIC_URL="+url, "KAZOO_CA_FILE="+caFile)
	found, _ := d.checkTLS(t.Context())
	return found
}
