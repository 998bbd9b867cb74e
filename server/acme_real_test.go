//go:build real

package server_test

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kazoohook/server"
	"kazoohook/server/acmetest"
)

// TestACME: the first check fails, and nonces are refused. Meanwhile requests are
// taken. Then there is a certificate, which a restart finds without the CA, and which
// is renewed before it ends.
func TestACME(t *testing.T) {
	for name, by := range map[string]bool{"TLS-ALPN-01": true, "HTTP-01": false} {
		t.Run(name, func(t *testing.T) {
			addr, httpAddr, o := acmetest.FreeAddr(t), server.Off, acmetest.Options{RejectNonces: 30}
			if by {
				o.TLSPort = acmetest.Port(t, addr)
			} else {
				httpAddr = acmetest.FreeAddr(t)
				o.HTTPPort = acmetest.Port(t, httpAddr)
			}
			ca := acmetest.Start(t, o)
			ca.Break(acmeName)
			dir := t.TempDir()
			a := withACME(t, dir, ca, addr, httpAddr)
			a.until("the first try fails", func() bool { return a.acme.States()[0].Error != "" })
			if c := a.leaf(acmeName); a.fromCA(c) || c.DNSNames[0] != acmeName {
				t.Errorf("shown meanwhile: %v", c.Subject)
			}
			if s := a.acme.States()[0]; s.Domain != acmeName || !s.NotAfter.IsZero() || s.FailingSince.IsZero() || !strings.Contains(s.Problem(time.Now()), "there is no certificate for "+acmeName) {
				t.Errorf("%+v", s)
			}
			a.until("it is said", func() bool { return strings.Contains(a.log.String(), "a self-signed one is used meanwhile") })
			ca.Heal(acmeName)
			a.until("there is a certificate", func() bool { return a.fromCA(a.leaf(acmeName)) })
			for _, other := range []string{"other.example.com", ""} { // Kazoo may connect by an address
				if c := a.leaf(other); !a.fromCA(c) {
					t.Errorf("%q shows %v", other, c.Subject)
				}
			}
			a.until("it is known", func() bool {
				s := a.acme.States()[0]
				return s.Error == "" && !s.NotAfter.IsZero() && s.Problem(time.Now()) == ""
			})
			if c := a.leaf(acmeName); c.PublicKeyAlgorithm != x509.RSA {
				t.Errorf("its key is %v", c.PublicKeyAlgorithm)
			}
			private(t, dir)
			chain, err := server.StoredCertificate(dir, ca.URL, acmeName)
			if err != nil || len(chain) < 2 || chain[0].DNSNames[0] != acmeName {
				t.Errorf("%d certificates are stored, %v", len(chain), err)
			}
			if _, err := server.StoredCertificate(dir, ca.URL, "other.example.com"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("of another: %v", err)
			}
			// A restart, while the CA is down.
			ca.Stop()
			b := withACME(t, dir, ca, acmetest.FreeAddr(t), server.Off)
			b.until("a restart finds it", func() bool { return b.fromCA(b.leaf(acmeName)) })
			if !b.leaf(acmeName).Equal(a.leaf(acmeName)) {
				t.Error("it is another")
			}
		})
	}
}

// TestACMERenews: a certificate that lives for some seconds is renewed repeatedly, and
// no connection fails meanwhile. If the CA gives no more, the last one stays in use.
func TestACMERenews(t *testing.T) {
	addr := acmetest.FreeAddr(t)
	ca := acmetest.Start(t, acmetest.Options{TLSPort: acmetest.Port(t, addr), Life: 6 * time.Second, RejectNonces: 20})
	a := withACME(t, t.TempDir(), ca, addr, server.Off)
	a.until("there is a certificate", func() bool { return a.fromCA(a.leaf(acmeName)) })
	first := a.leaf(acmeName)
	a.until("it is renewed", func() bool { c := a.leaf(acmeName); return a.fromCA(c) && !c.Equal(first) })
	a.until("it is said", func() bool { return strings.Contains(a.log.String(), "certificate renewed") })
	ca.Break(acmeName)
	a.until("a renewal fails", func() bool { return strings.Contains(a.log.String(), "the certificate could not be renewed") })
	if !a.fromCA(a.leaf(acmeName)) {
		t.Error("the last one isn't shown any more")
	}
	a.until("it ends", func() bool { return strings.Contains(a.acme.States()[0].Problem(time.Now()), "ended at") })
	if c := a.leaf(acmeName); c.DNSNames[0] != acmeName {
		t.Errorf("after its end: %v", c.Subject)
	}
}

// unlessGone ignores that the library has removed a file meanwhile, such as a lock.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// private checks that no other user can read the stored files.
func private(t *testing.T, dir string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return unlessGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return unlessGone(err)
		}
		if !d.IsDir() {
			n++
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || n < 4 {
		t.Errorf("%d files, %v", n, err)
	}
}
