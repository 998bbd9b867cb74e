package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kazoohook/config"
	"kazoohook/internal/fakekazoo"
)

// files writes a certificate and its key, and returns their settings.
func files(t *testing.T, dir string, pair tls.Certificate) (settings []string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, private := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	put(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	put(t, private, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	return []string{"TLS_CERT_FILE=" + cert, "TLS_KEY_FILE=" + private}
}

// TestServeTLS: Kazoo registers an https address and delivers to it. The container's
// health check and doctor use TLS, too.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(stop)
	now, ca := time.Now(), newAuthority(t)
	addr := freeAddrs(t, 1)[0]
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	environ := append(files(t, t.TempDir(), ca.certify(t, host, now.Add(-time.Hour), now.AddDate(0, 0, 13))),
		"KAZOO_API_URL=http://127.0.0.1:1", "KAZOO_API_KEY="+fakekazoo.DefaultAPIKey, "PUBLIC_URL=https://"+addr, "LISTEN_ADDR="+addr, "ADMIN_ADDR=off",
		"HOOK_SECRET="+sceneSecret, "DATA_DIR="+t.TempDir(), "SHUTDOWN_TIMEOUT=20s")
	cfg, err := config.Load(config.Options{Need: config.All, Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	log := &logLines{}
	l, err := (&env{}).newLogs(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newService(ctx, cfg, l)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("%v\n%s", err, log)
		}
	})
	if stdout, stderr, code := program(t, environ, "healthcheck", "--timeout", "1m"); code != 0 || stdout != "ok\n" {
		t.Errorf("code %d, %s%s", code, stdout, stderr)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+addr+"/kazoo/"+sceneSecret+"/object", strings.NewReader("id=1&type=user&action=doc_deleted&account_id=2"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	d := doctorWith(t, environ)
	found, _ := d.checkService(ctx)
	want(t, map[string][]finding{"service": found}, map[string][]string{"service": {"fail runs but is not ready"}}) // Kazoo is away
}

// TestDoctorCertificate: doctor checks the files that the next start will read.
func TestDoctorCertificate(t *testing.T) {
	t.Parallel()
	now, day, ca := time.Now(), 24*time.Hour, newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	put(t, caFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})))
	for name, c := range map[string]struct {
		settings []string
		want     string
	}{
		"none":      {nil, "ok doesn't speak TLS"},
		"good":      {files(t, t.TempDir(), ca.certify(t, "127.0.0.1", now.Add(-day), now.Add(40*day))), "ok 39 days left"},
		"ends soon": {files(t, t.TempDir(), ca.certify(t, "127.0.0.1", now.Add(-day), now.Add(13*day))), "warn ends in 12 days"},
		"expired":   {files(t, t.TempDir(), ca.certify(t, "127.0.0.1", now.Add(-2*day), now.Add(-day))), "fail renew it"},
		"elsewhere": {files(t, t.TempDir(), ca.certify(t, "192.0.2.1", now.Add(-day), now.Add(40*day))), "fail is not for 127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := doctorWith(t, append(c.settings, "KAZOO_API_URL=http://127.0.0.1:1", "KAZOO_API_KEY="+fakekazoo.DefaultAPIKey, "PUBLIC_URL=https://127.0.0.1:8443", "KAZOO_CA_FILE="+caFile))
			found, _ := d.checkCertificate(t.Context())
			want(t, map[string][]finding{"certificate": found}, map[string][]string{"certificate": {c.want}})
		})
	}
}
